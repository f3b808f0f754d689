from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon

LOGGER = "odoo.addons.micro_saas.controllers.portal"


class PortalCase(MicroSaasCommon, HttpCase):
    """An instance, who ordered it, and a stranger."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for login in ("customer", "stranger"):
            user = new_test_user(cls.env(su=True), login, password=login * 2, groups="base.group_portal", lang="en_US")
            setattr(cls, login, user)
        cls.customer.partner_id.parent_id = cls.partner
        cls.instance = cls._instance().sudo()
        cls.instance.ordered_by_id = cls.customer.partner_id
        cls.instance.start_instance()

    @classmethod
    def _settle(cls, **report):
        cls.env.cr.flush()  # what the invoice makes due at the end of its transaction comes before the sidecar's report
        report = {"state": "running", "reason": "Running", "next_review": False, **report}
        cls._report(cls.instance, instance_url="http://127.0.0.1:20000", **report)

    def _post(self, path):
        page = self.url_open(f"/my/instances/{self.instance.id}")
        token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
        response = self.url_open(path, data={"csrf_token": token})
        self.env.invalidate_all()  # what the request wrote, this environment has not seen
        return response

    def _renewal_page(self, subscription, **data):
        path = f"/my/renew/{subscription.id}/{subscription._renewal_token()}"
        self.env.cr.flush()
        if not data:
            return self.url_open(path)
        token = self.url_open("/web/login").text.partition('csrf_token: "')[2].partition('"')[0]
        response = self.url_open(path, data={"csrf_token": token, **data})
        self.env.invalidate_all()
        return response


@tagged("post_install", "-at_install")
class TestPortal(PortalCase):
    def test_she_sees_hers_and_nobody_elses(self):
        self.authenticate("customer", "customer" * 2)
        self.assertIn(self.instance.name, self.url_open("/my/instances").text)
        self.assertEqual(self.url_open(f"/my/instances/{self.instance.id}").status_code, 200)
        self.authenticate("stranger", "strangerstranger")
        self.assertNotIn(self.instance.name, self.url_open("/my/instances").text)
        for path in ("", "/status"):
            with self.assertLogs(LOGGER, "WARNING") as logs:
                response = self.url_open(f"/my/instances/{self.instance.id}{path}")
            self.assertEqual(response.status_code, 404)
            self.assertIn("stranger", logs.output[0])

    def test_its_page_asks_for_news_in_the_language_that_it_is_read_in(self):
        # Odoo would redirect a request in another one, and who asks for news follows no redirect.
        spanish = self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.authenticate("customer", "customer" * 2)
        for page in ("", f"/{self.instance.id}"):
            text = self.url_open(f"/{spanish.url_code}/my/instances{page}").text
            url = text.partition('data-url="')[2].partition('"')[0]
            self.assertTrue(url.startswith(f"/{spanish.url_code}/my/instances/"), url)
            self.assertEqual(self.url_open(url, allow_redirects=False).status_code, 200)

    def test_a_stranger_restarts_nothing(self):
        self._settle()
        self.authenticate("stranger", "strangerstranger")
        page = self.url_open("/my/account")
        token = page.text.partition('csrf_token: "')[2].partition('"')[0]
        with mute_logger(LOGGER):
            refused = [
                self.url_open(f"/my/instances/{self.instance.id}/restart", data={"csrf_token": token}),
                self.url_open(f"/my/instances/{self.instance.id}/renew"),
            ]
        self.assertEqual([response.status_code for response in refused], [404, 404])
        self.assertEqual(self.instance.restart_count, 0)

    def test_records_of_others_are_closed_to_rpc_too(self):
        own, stranger = (self.instance.with_user(user) for user in (self.customer, self.stranger))
        self.assertTrue(own.read(["name", "state", "instance_url"]))
        self.assertTrue(own.subscription_ids.read(["state"]))
        for field in ("log", "message", "detail", "phase_message"):
            with self.assertRaises(AccessError):
                own.read([field])
        for forbidden in (
            lambda: stranger.read(["name"]),
            lambda: stranger.sudo().subscription_ids.with_user(self.stranger).read(["state"]),
            lambda: own.write({"name": "x"}),
            lambda: own.start_instance(),
            lambda: own.action_remove(),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_restart(self):
        self._settle()
        self.authenticate("customer", "customer" * 2)
        self._post(f"/my/instances/{self.instance.id}/restart")
        self.assertEqual(self.instance.restart_count, 1)

    def test_a_sixth_restart_within_ten_minutes_waits(self):
        self.authenticate("customer", "customer" * 2)
        for count in range(1, 6):
            self._settle()
            self._post(f"/my/instances/{self.instance.id}/restart")
            self.assertEqual(self.instance.restart_count, count)
        self._settle()
        response = self._post(f"/my/instances/{self.instance.id}/restart")
        self.assertIn("5 times", response.text)
        self.assertEqual(self.instance.restart_count, 5)
        self.instance.restart_instance()
        self.assertEqual(self.instance.restart_count, 6, "for staff there is no limit")
        self._settle()
        self.instance._quiet().portal_restarts = [moment - 600 for moment in self.instance.portal_restarts]
        self._post(f"/my/instances/{self.instance.id}/restart")
        self.assertEqual(self.instance.restart_count, 7)

    def test_a_suspended_one_says_why_instead_of_restarting(self):
        self._settle()
        self.authenticate("customer", "customer" * 2)
        self.url_open("/my/instances")
        self.instance.subscription_ids._write({"state": "expired"})
        self.instance.subscription_ids.invalidate_recordset()
        page = self.url_open(f"/my/instances/{self.instance.id}").text
        self.assertNotIn("/restart", page)
        self.assertIn(f'href="/my/instances/{self.instance.id}/renew"', page)
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        response = self.url_open(f"/my/instances/{self.instance.id}/restart", data={"csrf_token": token})
        self.env.invalidate_all()
        self.assertIn("suspended", response.text)
        self.assertEqual(self.instance.restart_count, 0)

    def test_renew_says_price_and_term_before_it_posts_one_invoice(self):
        self._settle()
        subscription = self.instance.subscription_ids
        subscription.write({"state": "active", "fecha_fin": fields.Date.today()})
        self.authenticate("customer", "customer" * 2)
        page = self.url_open(f"/my/instances/{self.instance.id}").text
        self.assertRegex(page, r"Renewal for 1 month, taxes included:(?s:.)*30[.,]00")
        page = self.url_open(f"/my/instances/{self.instance.id}/renew")
        self.assertIn("/my/renew/", page.url)
        self.assertRegex(page.text, "30[.,]00")
        self.assertFalse(subscription.renewal_line_ids, "what only looks makes no invoice")
        for _press in range(2):
            response = self._renewal_page(subscription, pressed="1")
            self.assertIn("/my/invoices/", response.url)
        move = subscription.renewal_line_ids.move_id
        self.assertEqual((len(move), move.state), (1, "posted"))
        self.assertEqual(move.invoice_user_id, self.instance.factura_id.invoice_user_id)
        self.assertIn(f"{self.customer.name} renewed in the portal", str(move.message_ids.mapped("body")))
        self.assertIn("/my/invoices/", self.url_open(f"/my/instances/{self.instance.id}/renew").url)
        self.assertIn(f'href="/my/instances/{self.instance.id}"', self.url_open(move.get_portal_url()).text)

    def test_what_ends_soon_has_its_renewal_on_the_card(self):
        self._settle()
        subscription, renew = self.instance.subscription_ids, f'href="/my/instances/{self.instance.id}/renew"'
        subscription.write({"state": "active", "fecha_fin": fields.Date.today() + timedelta(days=20)})
        self.authenticate("customer", "customer" * 2)
        self.assertNotIn(renew, self.url_open("/my/instances").text)
        for state in ("expiring_soon", "expired"):
            subscription._write({"state": state})
            subscription.invalidate_recordset()
            self.assertIn(renew, self.url_open("/my/instances").text, state)
        self.instance.ordered_by_id = self.partner
        self.assertNotIn(renew, self.url_open("/my/instances").text, "for who may not renew it")

    def test_money_on_its_way_is_not_asked_for_on_her_page(self):
        self._settle()
        subscription = self.instance.subscription_ids
        subscription.write({"state": "expiring_soon", "fecha_fin": fields.Date.today()})
        self.assertFalse(self.instance._portal_renewal(self.customer)["is_owed"])
        move = subscription._issue_renewal_invoice()
        self.assertTrue(self.instance._portal_renewal(self.customer)["is_owed"])
        self._set_param("in_payment_is_paid", "False")
        self.env.flush_all()
        self.cr.execute("UPDATE account_move SET payment_state = 'in_payment' WHERE id = %s", [move.id])
        move.invalidate_recordset()
        self.assertEqual(self.instance._portal_renewal(self.customer), {})

    def test_what_happened_lately_is_said_in_her_words(self):
        self._settle()
        self._settle(state="error", reason="StartFailed", detail="secret cause")
        because = {"at": "10:00", "reason": "Running", "detail": "", "because": "ContainersGone"}
        self._settle()
        self._settle(log=[because])
        self.authenticate("customer", "customer" * 2)
        self._post(f"/my/instances/{self.instance.id}/restart")
        said = [sentence for _moment, sentence in self.instance._portal_history()]
        self.assertEqual(
            said,
            [
                f"{self.customer.name} restarted it.",
                "It had stopped working, and was started again by itself.",
                "It was started.",
                "Something went wrong with it.",
                "It was ready for the first time.",
            ],
        )
        page = self.url_open(f"/my/instances/{self.instance.id}").text
        self.assertIn("It was ready for the first time.", page)
        self.assertNotIn("secret cause", page)
        for _report in range(30):
            self.instance._note_for_customer("restarted", "x" * 10)
        self.assertEqual(len(self.instance.portal_history), 20)

    def test_the_administrator_lets_a_colleague_act(self):
        self._settle()
        self.instance.subscription_ids.write({"state": "active"})
        colleague = new_test_user(
            self.env(su=True), "colleague", password="colleague" * 2, groups="base.group_portal", lang="en_US"
        )
        colleague.partner_id.parent_id = self.partner
        person, page = colleague.partner_id, f"/my/instances/{self.instance.id}"
        path = f"{page}/people/{person.id}"
        self.authenticate("colleague", "colleague" * 2)
        self.assertNotIn("Who may do what", self.url_open(page).text)
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        self.assertIn("Only who ordered", self.url_open(path, data={"csrf_token": token, "may_act": "1"}).text)
        self.authenticate("customer", "customer" * 2)
        self.assertIn("Let them act", self.url_open(page).text)
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        for may_act in ("1", ""):
            self.url_open(path, data={"csrf_token": token, "may_act": may_act})
            self.env.invalidate_all()
            self.assertEqual(self.instance._may_act(colleague), bool(may_act))
        self.assertIn("lets colleague", str(self.instance.message_ids.mapped("body")))
        self.url_open(path, data={"csrf_token": token, "may_act": "1"})
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "is decided by"):
            self.instance._let_act(colleague, person.id, True)
        with self.assertRaisesRegex(UserError, "no account of your company"):
            self.instance._let_act(self.customer, self.stranger.partner_id.id, True)
        person.parent_id = False
        self.assertFalse(self.instance._may_act(colleague), "who has left the company acts for it no more")

    def test_only_some_of_a_company_may_act_for_it(self):
        self._settle()
        self.instance.subscription_ids.write({"state": "active"})
        self.instance.ordered_by_id = self.partner
        self.authenticate("customer", "customer" * 2)
        page = self.url_open(f"/my/instances/{self.instance.id}").text
        self.assertNotIn("/restart", page)
        self.assertNotIn("/renew", page)
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        for response in (
            self.url_open(f"/my/instances/{self.instance.id}/restart", data={"csrf_token": token}),
            self.url_open(f"/my/instances/{self.instance.id}/renew"),
        ):
            self.assertIn("Only who ordered", response.text)
        self.env.invalidate_all()
        self.assertEqual(self.instance.restart_count, 0)
        self.assertFalse(self.instance.subscription_ids.renewal_line_ids)
        self.customer.partner_id.type = "invoice"
        self._settle()
        self.assertIn("/restart", self.url_open(f"/my/instances/{self.instance.id}").text)

    def test_the_link_of_a_mail_renews_without_a_login(self):
        subscription = self.instance.subscription_ids
        subscription.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        self._settle()
        page = self._renewal_page(subscription)
        self.assertEqual(page.status_code, 200)
        self.assertRegex(page.text, "30[.,]00")
        self.assertFalse(subscription.renewal_line_ids, "opening the link makes no invoice: mail scanners open it")
        forged = self.url_open(f"/my/renew/{subscription.id}/{'0' * 64}")
        self.assertEqual(forged.status_code, 404)
        for _press in range(2):
            response = self._renewal_page(subscription, pressed="1")
            self.assertIn("/my/invoices/", response.url)
        move = subscription.renewal_line_ids.move_id
        self.assertEqual((len(move), move.state, move.amount_total), (1, "posted", 30.0))
        self.assertIn("link of the mail", str(move.message_ids.mapped("body")))

    def test_what_ends_the_same_day_is_renewed_by_one_invoice(self):
        move = self._invoice(self._line(quantity=3))
        instances = self.env["odoo.docker.instance"].sudo()
        for _unit in range(3):
            instances |= self._instance(move).sudo()
        subscriptions = instances.subscription_ids
        subscriptions.write({"state": "expiring_soon", "fecha_fin": fields.Date.today()})
        self._settle()
        one, two, three = subscriptions.sorted("id")
        self._renewal_page(one, **{f"with_{three.id}": "on"})
        self.assertEqual(one.renewal_line_ids.move_id.invoice_line_ids.suscripcion_id, one | three)
        self.assertFalse(two.renewal_line_ids)

    def test_what_she_is_told(self):
        instance = self.instance
        self.assertEqual(instance._portal_status()["code"], "preparing")
        self._report(instance, reason="CreatingDatabase")
        self.assertEqual(instance._portal_status()["percent"], 50)
        self._settle()
        ready = instance._portal_status()
        self.assertEqual((ready["code"], ready["poll"]), ("running", 0))
        instance.restart_instance()
        self.assertEqual(instance._portal_status()["code"], "preparing")
        self._report(instance, state="error", reason="StartFailed", detail="secret cause", next_review=False)
        told = instance._portal_status()
        self.assertEqual(told["code"], "error")
        self.assertNotIn("secret", told["text"])
        instance.stop_instance()
        self._settle(state="stopped", reason="Stopped")
        self.assertEqual(instance._portal_status()["code"], "stopped")

    def test_what_is_paid_is_announced_until_it_is_there(self):
        self._settle()
        self.authenticate("customer", "customer" * 2)
        self.assertNotIn("data-poll", self.url_open("/my/instances/list").text)
        move = self._invoice()
        coming = self.url_open("/my/instances/list").text
        self.assertIn('data-poll="1"', coming)
        self.assertIn("alert-info", coming)
        self._claimed_ids([{"line_id": move.invoice_line_ids.id, "unit": 1}])
        preparing = self.url_open("/my/instances/list").text
        self.assertIn('data-poll="1"', preparing)
        self.assertNotIn("alert-info", preparing)

    def test_what_is_made_by_hand_is_not_announced(self):
        self._settle()
        self.plan.microsaas_provision = "manual"
        self._invoice()
        self.authenticate("customer", "customer" * 2)
        self.assertNotIn("data-poll", self.url_open("/my/instances/list").text)

    def test_while_other_data_take_the_place_of_its_own_it_is_not_called_ready(self):
        self._settle()
        job = self.env["microsaas.job"].sudo().create({"instancia_id": self.instance.id, "kind": "update"})
        job.write({"state": "running", "reason": "Rehearsing", "percent": 30})
        self.assertEqual(self.instance._portal_status()["code"], "running", "it is tried on a backup")
        for reason in ("Updating", "SwappingData"):
            job.write({"reason": reason, "percent": 70})
            status = self.instance._portal_status()
            self.assertEqual((status["code"], status["title"]), ("preparing", "Your Odoo is being updated"))
            self.assertEqual((status["percent"], status["poll"]), (70, 1))
        job.kind = "undo_restore"
        self.assertEqual(self.instance._portal_status()["title"], "The restore is being undone")
        job.state = "done"
        self.assertEqual(self.instance._portal_status()["code"], "running")

    def test_busy_means_that_a_review_is_due(self):
        self.assertTrue(self.instance.microsaas_busy)
        self._settle(next_review=fields.Datetime.to_string(fields.Datetime.now() + timedelta(days=1)))
        self.assertFalse(self.instance.microsaas_busy)


@tagged("post_install", "-at_install", "-standard", "microsaas_payment")
class TestRenewalInTheShop(PortalCase):
    def test_the_link_of_a_mail_leads_to_the_payment(self):
        provider = self.env["payment.provider"].search([("code", "=", "demo")], limit=1).sudo()
        journal = self.company_data["default_journal_bank"]
        copy = provider.copy({"company_id": self.env.company.id, "state": "test", "is_published": True})
        copy.journal_id = journal
        self.env["ir.config_parameter"].sudo().set_param("account_payment.enable_portal_payment", "True")
        subscription = self.instance.subscription_ids
        subscription.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        self._settle()
        page = self._renewal_page(subscription, pressed="1")
        self.assertIn("o_payment_form", page.text)
        self.assertIn(f"/invoice/transaction/{subscription.renewal_line_ids.move_id.id}", page.text)
