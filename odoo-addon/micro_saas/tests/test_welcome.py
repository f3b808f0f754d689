from unittest.mock import patch

import requests

from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..models import microsaas_portal_mixin
from .common import MicroSaasCommon

LINK = "http://127.0.0.1:20000/web/reset_password?token=once"


@tagged("post_install", "-at_install")
class TestWelcome(MicroSaasCommon, HttpCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._instance().sudo()
        cls.instance.start_instance()
        cls.env.cr.flush()  # what the invoice makes due at the end of its transaction comes before the sidecar's report
        cls._report(
            cls.instance,
            state="running",
            reason="Running",
            next_review=False,
            instance_url="http://127.0.0.1:20000",
            seconds_to_ready=1.0,
            subscription={"state": "active", "notices": [{"kind": "welcome", "period": ""}]},
        )
        cls._set_param("sidecar_url", "http://sidecar:8471/webhooks/odoo")
        cls.env["res.config.settings"].sudo().action_microsaas_new_secret()

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)  # a visitor; where Odoo serves several databases, they choose one

    def _mail(self):
        return self.env["mail.mail"].sudo().search([("recipient_ids", "=", self.partner.id)], order="id desc", limit=1)

    def _page(self):
        return self._mail().body_html.partition("/my/instances/")[2].partition('"')[0]

    def _sidecar_answers(self, status, **json):
        answer = requests.Response()
        answer.status_code = status
        answer.json = lambda: json
        return patch.object(microsaas_portal_mixin, "post", return_value=answer)

    def _press(self, path):
        # Of any page of this visitor's session: also where there is no button to press.
        token = self.url_open("/web/login").text.partition('name="csrf_token" value="')[2].partition('"')[0]
        response = self.url_open(path, data={"csrf_token": token}, allow_redirects=False)
        self.env.invalidate_all()
        return response

    def test_it_goes_to_the_administrator_and_to_nobody_else(self):
        ana = self.env["res.partner"].create({"name": "Ana", "email": "ana@example.com", "parent_id": self.partner.id})
        instance = self._instance(ordered_by_id=ana.id).sudo()
        # As templates from before have it.
        self.env.ref("micro_saas.mail_template_welcome").sudo().use_default_to = True
        instance.start_instance()
        self.env.cr.flush()
        said = {"state": "active", "notices": [{"kind": "welcome", "period": ""}]}
        self._report(instance, state="running", reason="Running", next_review=False, subscription=said)
        notice = self.env["microsaas.notice"].sudo().search(
            [("subscription_id", "in", instance.subscription_ids.ids), ("kind", "=", "welcome")]
        )
        self.assertEqual(notice.mail_id.recipient_ids, ana)
        self.assertFalse(notice.mail_id.email_to)

    def test_colleagues_read_no_way_in(self):
        token = self._page().rpartition("/")[2]
        self.assertGreater(len(token), 40)
        self.assertNotIn(token, str(self.instance.read()), "kept by its hash alone")
        for user in (self.seller, self.manager, self.invoicer, self.employee):
            messages = self.env["mail.message"].with_user(user)
            self.assertFalse(messages.search([("body", "ilike", "/welcome/")]), user.login)
            for message in self._mail().mail_message_id:
                self.assertFalse(message.with_user(user).has_access("read"), user.login)
            with self.assertRaises(AccessError):
                self.instance.with_user(user).read(["welcome_hash"])
        self.assertIn("Mail to luna@example.com", str(self.instance.subscription_ids.message_ids.mapped("body")))

    def test_the_click_makes_the_link(self):
        path = f"/my/instances/{self._page()}"
        page = self.url_open(path)
        self.assertIn("Choose a password", page.text)
        self.assertNotIn("reset_password", page.text)
        self.assertEqual(page.headers["Referrer-Policy"], "no-referrer")
        with self._sidecar_answers(200, url=LINK) as sidecar:
            response = self._press(path)
        self.assertEqual((response.status_code, response.headers["Location"]), (303, LINK))
        url, _secrets, payload, _timeout = sidecar.call_args[0]
        self.assertEqual(url, "http://sidecar:8471/invitations")
        self.assertEqual(payload, {"instance": self.instance.id, "is_first": True})

    def test_it_ends_with_the_first_login(self):
        path = f"/my/instances/{self._page()}"
        with self._sidecar_answers(410):
            self.assertIn("You have logged in already", self._press(path).text)
        page = self.url_open(path).text
        self.assertIn("http://127.0.0.1:20000", page)
        self.assertNotIn("Choose a password", page)
        with self._sidecar_answers(200, url=LINK) as sidecar:
            self.assertEqual(self._press(path).status_code, 200)
        self.assertFalse(sidecar.called)

    def test_it_ends_after_a_week(self):
        path = f"/my/instances/{self._page()}"
        self.instance._quiet().welcome_until = "2020-01-01 00:00:00"
        with self._sidecar_answers(200, url=LINK) as sidecar:
            self.assertNotIn("Choose a password", self._press(path).text)
        self.assertFalse(sidecar.called)

    def test_a_wrong_token_learns_nothing(self):
        number = self.instance.id
        for path in (f"{number}/welcome/x", f"{number}/welcome/", f"{number + 1000}/welcome/x"):
            page = self.url_open(f"/my/instances/{path}").text
            self.assertNotIn(self.instance.name, page)
            self.assertNotIn("20000", page)

    def test_a_sidecar_that_is_away(self):
        path = f"/my/instances/{self._page()}"
        away = patch.object(microsaas_portal_mixin, "post", side_effect=requests.ConnectionError("x"))
        with away, mute_logger("odoo.addons.micro_saas.models.microsaas_portal_mixin"):
            self.assertIn("try again", self._press(path).text)
        with self._sidecar_answers(429):
            self.assertIn("too often", self._press(path).text)
        bad = self._sidecar_answers(200, url="javascript:alert(1)")
        with bad, mute_logger("odoo.addons.micro_saas.models.microsaas_portal_mixin"):
            with self.assertRaises(UserError):
                self.instance._password_link(is_first=True)

    def test_a_new_password_is_the_customers_own_act(self):
        customer = new_test_user(self.env(su=True), "luna", password="lunaluna", groups="base.group_portal")
        customer.partner_id.parent_id = self.partner
        path = f"/my/instances/{self.instance.id}"
        self.authenticate("luna", "lunaluna")
        self.assertNotIn("Set a new password", self.url_open(path).text, "a colleague is not the administrator")
        self.instance._quiet().partner_id = customer.partner_id
        self.assertNotIn("Set a new password", self.url_open(path).text, "nor is who gets the invoices")
        customer.partner_id.email = "ana@luna.example"
        self.instance._quiet().ordered_by_id = customer.partner_id
        page = self.url_open(path).text
        self.assertIn("Set a new password", page)
        token = page.partition('name="csrf_token" value="')[2].partition('"')[0]
        with self._sidecar_answers(200, url=LINK) as sidecar:
            response = self.url_open(f"{path}/password", data={"csrf_token": token}, allow_redirects=False)
        self.assertEqual(response.headers["Location"], LINK)
        self.assertFalse(sidecar.call_args[0][2]["is_first"])
