from calendar import timegm
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .test_portal import LOGGER
from .test_portal_login import LINK, LOGIN, PortalLoginCase


@tagged("post_install", "-at_install")
class TestSupport(PortalLoginCase):
    def setUp(self):
        super().setUp()
        self.authenticate(LOGIN, "customer" * 2)

    def _log_in(self, user=None):
        instance = self.instance.with_user(user or self.manager)
        with self._sidecar_answers(200, url=LINK) as sidecar:
            return instance.action_log_in_for_support(), sidecar

    def _let_in(self, may_log_in="1"):
        return self._send("support", may_log_in=may_log_in)

    def test_without_consent_nobody_logs_in_and_reads_why(self):
        self.assertFalse(self.instance.admits_support)
        with self.assertRaisesRegex(UserError, "does not let support in"):
            self._log_in()
        self.assertNotIn("support", str(self.instance.message_ids.mapped("body")))

    def test_she_lets_support_in_for_a_day_and_reads_until_when(self):
        page = self._page()
        self.assertIn("Let support in for", page)
        self.assertIn("whom it adds stays when you take that back", page)
        before = fields.Datetime.now()
        self._let_in()
        until = self.instance.support_until
        self.assertAlmostEqual(until, before + timedelta(hours=24), delta=timedelta(minutes=1))
        page = self._page()
        self.assertIn(self.instance._portal_time(until), page)
        self.assertIn("Let support in no more", page)
        self.assertIn(f"{self.customer.name} let our support log in to it.", self._said())
        self.assertIn("lets support log in for 24 hours", str(self.instance.message_ids.mapped("body")))

    def test_a_manager_logs_in_as_its_administrator_and_everybody_can_read_it(self):
        self._let_in()
        action, sidecar = self._log_in()
        self.assertEqual(action, {"type": "ir.actions.act_url", "url": LINK, "target": "new"})
        ends_at = timegm(self.instance.support_until.timetuple())
        self.assertEqual(
            sidecar.call_args[0][2], {"instance": self.instance.id, "login": "ana@luna.example", "ends_at": ends_at}
        )
        self._log_in()
        lines = self.instance.message_ids.filtered(lambda message: "logs in for support" in message.body)
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines.author_id, self.manager.partner_id)
        self.assertEqual(self._said().count(f"{self.manager.name} of our support logged in to it as its administrator."), 2)
        self.assertIn(f"{self.manager.name} of our support", self._page())
        self.env.flush_all()
        self.assertNotIn("token=once", str(self.instance.message_ids.mapped("body")) + str(self.instance.read()))

    def test_what_she_takes_back_or_is_over_admits_nobody(self):
        self._let_in()
        self._let_in(may_log_in="")
        self.assertIn(f"{self.customer.name} lets our support log in to it no more.", self._said())
        with self.assertRaisesRegex(UserError, "does not let support in"):
            self._log_in()
        self._let_in()
        self.instance._quiet().support_until = fields.Datetime.now() - timedelta(seconds=1)
        self.assertFalse(self.instance.admits_support)
        self.assertIn("Let support in for", self._page())
        with self.assertRaisesRegex(UserError, "does not let support in"):
            self._log_in()

    def test_the_sellers_people_neither_let_themselves_in_nor_keep_what_another_administrator_has_let_happen(self):
        people = {"partner_id": self.partner.id, "ordered_by_id": self.customer.partner_id.id}
        for name in people:
            self._let_in()
            self.instance.with_user(self.seller).write({name: self.seller.partner_id.id})
            self.assertFalse(self.instance.support_until, name)
            self.assertEqual(self.instance._portal_support(self.seller), {})
            with self.assertRaisesRegex(UserError, "is decided by"):
                self.instance._let_support_in(self.seller, True)
            self.instance.write(people)

    def test_the_sidecar_reads_until_when_when_a_link_is_used(self):
        def told():
            [desired] = self._sidecar().microsaas_desired(self.instance.ids)
            return desired["support_until"]

        self.assertEqual(told(), 0)
        self._let_in()
        self.assertEqual(told(), timegm(self.instance.support_until.timetuple()))
        self._let_in(may_log_in="")
        self.assertEqual(told(), 0)

    def test_nothing_else_that_happens_pushes_its_lines_out(self):
        self._let_in()
        self._log_in()
        for _time in range(30):
            self.instance._note_for_customer("stopped")
        self.assertEqual(self._said().count("It was stopped."), 20)
        self.assertEqual(self._said().count(f"{self.manager.name} of our support logged in to it as its administrator."), 1)
        self.assertEqual(self._said()[-1], f"{self.customer.name} let our support log in to it.")
        for _time in range(30):
            self._log_in()
        self.assertEqual(self._said().count(f"{self.manager.name} of our support logged in to it as its administrator."), 20)
        self.assertEqual(self._said().count("It was stopped."), 20)

    def test_one_that_does_not_run_admits_nobody(self):
        self._let_in()
        self.instance.stop_instance()
        self._settle(state="stopped", reason="Stopped")
        with self.assertRaisesRegex(UserError, "does not run"):
            self._log_in()

    def test_no_line_is_written_where_the_odoo_lets_nobody_in(self):
        self._let_in()
        with self._sidecar_answers(404), self.assertRaisesRegex(UserError, "more than a password"):
            self.instance.with_user(self.manager).action_log_in_for_support()
        self.assertNotIn("logs in for support", str(self.instance.message_ids.mapped("body")))

    def test_only_managers_of_its_company_log_in(self):
        self._let_in()
        for user in (self.seller, self.invoicer, self.employee, self.bot, self.customer, self.stranger):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self._log_in(user)
        self.stranger.login = "portal-stranger"
        with self.assertRaises(AccessError):
            self._log_in(self._stranger())

    def test_nobody_but_who_administers_it_lets_support_in(self):
        colleague = new_test_user(
            self.env(su=True), "colleague", password="colleague" * 2, groups="base.group_portal", lang="en_US"
        )
        colleague.partner_id.parent_id = self.partner
        self.instance.acting_ids = colleague.partner_id
        self.authenticate("colleague", "colleague" * 2)
        self.assertNotIn("Help from our support", self._page())
        self.assertIn("is decided by", self._let_in().text)
        self.authenticate("stranger", "strangerstranger")
        with mute_logger(LOGGER):
            self.assertEqual(self._let_in().status_code, 404)
        self.assertFalse(self.instance.support_until)
        for user in (self.manager, self.seller, self.customer):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self.instance.with_user(user).write({"support_until": fields.Datetime.now() + timedelta(days=1)})

    def test_without_a_door_she_is_not_asked(self):
        self._set_param("door_domain", "")
        self.assertNotIn("Help from our support", self._page())
