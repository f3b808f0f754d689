from unittest.mock import patch

import requests

from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from ..controllers import portal
from ..models import microsaas_portal_mixin
from .test_portal import LOGGER, PortalCase

LOGIN = "ana@luna.example"
LINK = "https://luna.example.com/.well-known/microsaas-login?token=once"


class PortalLoginCase(PortalCase):
    """A running instance behind a door, and a sidecar that makes links."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.customer.partner_id.email = cls.customer.login = LOGIN
        cls._settle(seconds_to_ready=1.0)
        cls._set_param("door_domain", "example.com")
        cls._set_param("sidecar_url", "http://sidecar:8471/webhooks/odoo")
        cls.env["res.config.settings"].sudo().action_microsaas_new_secret()

    def _sidecar_answers(self, status, **json):
        answer = requests.Response()
        answer.status_code = status
        answer.json = lambda: json
        return patch.object(microsaas_portal_mixin, "post", return_value=answer)

    def _send(self, action, **data):
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        path = f"/my/instances/{self.instance.id}/{action}"
        response = self.url_open(path, data={"csrf_token": token, **data}, allow_redirects=False)
        self.env.invalidate_all()
        return response

    def _page(self):
        return self.url_open(f"/my/instances/{self.instance.id}").text

    def _said(self):
        return [sentence for _moment, sentence in self.instance._portal_history()]


@tagged("post_install", "-at_install")
class TestPortalLogin(PortalLoginCase):
    def setUp(self):
        super().setUp()
        self.authenticate(LOGIN, "customer" * 2)

    def test_one_press_opens_it_as_herself(self):
        page = self._page()
        self.assertIn(f'action="/my/instances/{self.instance.id}/open"', page)
        self.assertIn("ana@luna.example", page)
        with self._sidecar_answers(200, url=LINK) as sidecar, patch.object(portal, "_logger") as logger:
            response = self._send("open")
        self.assertEqual((response.status_code, response.headers["Location"]), (303, LINK))
        self.assertIn("no-store", response.headers["Cache-Control"])
        self.assertEqual(response.headers["Referrer-Policy"], "no-referrer")
        url, _secrets, payload, _timeout = sidecar.call_args[0]
        self.assertEqual(url, "http://sidecar:8471/logins")
        self.assertEqual(payload, {"instance": self.instance.id, "login": "ana@luna.example", "ends_at": None})
        self.assertTrue(logger.info.called)
        self.assertNotIn("token", str(logger.mock_calls))

    def test_so_does_one_on_its_card(self):
        action = f'action="/my/instances/{self.instance.id}/open"'
        for path in ("/my/instances", "/my/instances/list"):
            self.assertIn(action, self.url_open(path).text)
        self._set_param("door_domain", "")
        cards = self.url_open("/my/instances").text
        self.assertNotIn(action, cards)
        self.assertIn('href="http://127.0.0.1:20000"', cards)

    def test_each_time_stands_in_the_chatter_and_the_last_one_on_her_page_and_the_link_nowhere(self):
        with self._sidecar_answers(200, url=LINK):
            for _press in range(3):
                self._send("open")
        lines = self.instance.message_ids.filtered(lambda message: "opened it from the portal" in message.body)
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines.author_id, self.customer.partner_id)
        self.assertIn("ana@luna.example", lines[0].body)
        self.assertTrue(lines[0].date)
        self.assertEqual(self._said().count(f"{self.customer.name} opened it from here."), 1)
        self.env.flush_all()
        self.assertNotIn("token=once", str(self.instance.message_ids.mapped("body")) + str(self.instance.read()))

    def test_the_form_is_the_sites_own_and_no_link_opens_it(self):
        path = f"/my/instances/{self.instance.id}/open"
        with self._sidecar_answers(200, url=LINK) as sidecar, mute_logger("odoo.http"):
            self.assertEqual(self.url_open(path, data={"x": "1"}).status_code, 400)
            self.assertIn(self.url_open(path).status_code, (404, 405))
        self.assertFalse(sidecar.called)

    def test_strangers_colleagues_and_who_only_acts_do_not(self):
        for login in ("colleague", "accounts"):
            new_test_user(self.env(su=True), login, password=login * 2, groups="base.group_portal", lang="en_US")
        people = self.env["res.users"].sudo().search([("login", "in", ("colleague", "accounts"))]).partner_id
        people.write({"parent_id": self.partner.id, "email": "ana@luna.example"})
        self.env["res.users"].sudo().search([("login", "=", "accounts")]).partner_id.type = "invoice"
        for login in ("stranger", "colleague", "accounts"):
            self.authenticate(login, login * 2)
            if login != "stranger":
                self.assertNotIn(f"{self.instance.id}/open", self._page())
            with self._sidecar_answers(200, url=LINK) as sidecar, mute_logger(LOGGER):
                self.assertEqual(self._send("open").status_code, 404, login)
            self.assertFalse(sidecar.called, login)
        self.assertFalse([line for line in self._said() if "opened" in line])

    def test_the_companys_own_login_opens_it_as_itself_and_not_as_somebody_else(self):
        company = new_test_user(self.env(su=True), "office@luna.example", groups="base.group_portal")
        company.partner_id = self.partner
        self.partner.email = "Office@luna.example"
        self.assertEqual(self.instance._opens_as(company), "office@luna.example")
        self.partner.email = LOGIN
        self.assertEqual(self.instance._opens_as(company), "", "who writes a colleague's address into their own contact")
        self.partner.email = False
        self.assertEqual(self.instance._opens_as(company), "", "who has no address has no login there")

    def test_the_sellers_people_open_none_even_where_they_make_themselves_its_administrator(self):
        self.seller.login = self.seller.email = "staff@seller.example"
        for change in ({"partner_id": self.seller.partner_id.id}, {"ordered_by_id": self.seller.partner_id.id}):
            self.instance.with_user(self.seller).write(change)
        self.assertEqual(self.instance._administrator(), self.seller.partner_id)
        self.assertEqual(self.instance._opens_as(self.seller), "")
        self.assertFalse(self.instance._may_set_password(self.seller))

    def test_without_a_door_and_unless_it_runs_there_is_the_plain_address(self):
        self._set_param("door_domain", "")
        page = self._page()
        self.assertNotIn(f"{self.instance.id}/open", page)
        self.assertIn('href="http://127.0.0.1:20000"', page)
        self.assertEqual(self._send("open").status_code, 404)
        self._set_param("door_domain", "example.com")
        self.instance.stop_instance()
        self._settle(state="stopped", reason="Stopped")
        self.assertEqual(self._send("open").status_code, 404)

    def test_she_reads_why_it_was_not_opened(self):
        for answers, sentence in (
            (self._sidecar_answers(404), "more than a password"),
            (self._sidecar_answers(429), "too often"),
            (self._sidecar_answers(503), "try again"),
            (self._sidecar_answers(200, url="javascript:alert(1)"), "try again"),
        ):
            with answers, mute_logger("odoo.addons.micro_saas.models.microsaas_portal_mixin"):
                response = self._send("open")
            self.assertEqual(response.status_code, 200)
            self.assertIn(sentence, response.text)
        self.assertNotIn("opened it", str(self.instance.message_ids.mapped("body")))
