from datetime import timedelta

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestSubscription(MicroSaasCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._instance()
        cls.subscription = cls.instance.subscription_ids

    def test_created_with_the_instance(self):
        self.assertRegex(self.subscription.name, r"^MS/SUB/\d{4}/\d{5}$")
        self.assertEqual(self.subscription.partner_id, self.partner)
        self.assertEqual(self.subscription.factura_id, self.instance.factura_id)
        self.assertEqual(self.subscription.product_id, self.plan)

    def test_days_left_in_the_companys_time_zone(self):
        self.assertEqual(self.subscription.dias_restantes, 0)
        self.env.company.sudo().partner_id.tz = "Pacific/Auckland"
        self.subscription.sudo().fecha_fin = "2026-03-10"
        with freeze_time("2026-03-01 12:30:00"):  # already the 2nd there
            self.subscription.invalidate_recordset()
            self.assertEqual(self.subscription.dias_restantes, 8)

    def test_only_managers_move_the_last_paid_day(self):
        day = fields.Date.today() + timedelta(days=3)
        with self.assertRaises(AccessError):
            self.subscription.with_user(self.seller).fecha_fin = day
        before = self.instance.revision
        self.subscription.with_user(self.manager).fecha_fin = day
        self.assertGreater(self.instance.revision, before)

    def test_renewing_opens_one_invoice(self):
        subscription = self.subscription.with_user(self.seller)
        action = subscription.action_renovar()
        self.assertEqual(action["res_model"], "account.move")
        move = self.env["account.move"].browse(action["res_id"])
        self.assertEqual((move.state, move.partner_id), ("draft", self.partner))
        self.assertEqual(move.invoice_line_ids.product_id, self.plan)
        self.assertEqual(subscription.action_renovar()["res_id"], move.id)
        move.action_post()
        self.assertEqual(subscription.action_renovar()["res_id"], move.id)
        self.assertEqual(move.subscription_count, 1)
        self._pay(move)
        self.assertNotEqual(subscription.action_renovar()["res_id"], move.id)

    def test_a_paid_renewal_creates_no_instance(self):
        move = self.env["account.move"].browse(self.subscription.action_renovar()["res_id"])
        move.action_post()
        self._pay(move)
        invoices = self._sidecar()
        self.assertNotIn(move.id, invoices.microsaas_unclaimed(100))
        self.assertEqual(invoices.microsaas_invoice(move.id)["lines"], [])
        with self.assertRaises(UserError), self.cr.savepoint():
            self._claimed_ids([{"line_id": move.invoice_line_ids.id, "unit": 1}])

    def test_cancel(self):
        subscription = self.subscription.with_user(self.seller)
        self.assertIs(subscription.action_cancelar(), True)
        self.assertEqual(subscription.state, "cancelled")
        self.assertFalse(subscription.fecha_fin, "it has not begun, so nothing has ended")
        with self.assertRaisesRegex(UserError, "is cancelled"):
            subscription.action_renovar()
        with self.assertRaises(AccessError):
            self.subscription.with_user(self.invoicer).action_cancelar()

    def test_a_cancellation_is_undone_until_the_end(self):
        subscription = self.subscription.with_user(self.seller)
        today = fields.Date.today()
        self.subscription.sudo().write({"state": "active", "fecha_inicio": today, "fecha_fin": today})
        with self.assertRaisesRegex(UserError, "not cancelled"):
            subscription.action_reanudar()
        subscription.action_cancelar()
        self.assertIs(subscription.action_reanudar(), True)
        self.assertEqual(subscription.state, "active")
        subscription.action_cancelar()
        self.subscription.sudo().fecha_fin = today - timedelta(days=2)
        with self.assertRaisesRegex(UserError, "paid time is over"):
            subscription.action_reanudar()

    def test_what_has_no_end_ends_today_when_it_is_cancelled(self):
        self.subscription.sudo().write({"state": "active", "fecha_inicio": "2026-01-10", "fecha_fin": False})
        self.subscription.with_user(self.seller).action_cancelar()
        self.assertEqual(self.subscription.fecha_fin, self.subscription.company_id._microsaas_today())

    def test_the_companys_own_day(self):
        company = self.env.company.sudo()
        self.env.ref("base.user_admin").sudo().tz = False
        company.partner_id.tz = False
        self.assertEqual(company._microsaas_tz(), "UTC")
        self.env.ref("base.user_admin").sudo().tz = "Asia/Tokyo"
        self.assertEqual(company._microsaas_tz(), "Asia/Tokyo")
        company.partner_id.tz = "Europe/Madrid"
        self.assertEqual(company._microsaas_tz(), "Europe/Madrid")
        company.microsaas_tz = "Pacific/Auckland"
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        self.assertEqual(desired["company_tz"], "Pacific/Auckland")
        plan = self.plan.product_tmpl_id
        plan.microsaas_renew_days = 10
        self.subscription.sudo().write({"state": "active", "fecha_fin": "2026-03-12"})
        with freeze_time("2026-03-01 11:30:00"):  # already the 2nd there
            self.env["microsaas.subscription"].sudo()._cron_issue_renewals()
        self.assertTrue(self.subscription.renewal_line_ids, "the daily job counts as everything else does")

    def test_days_of_each_company(self):
        other = self.env["res.company"].sudo().create({"name": "Other"})
        other.microsaas_grace_days = 9
        plan = self.plan.product_tmpl_id
        self.assertEqual(plan._microsaas_terms(other)["grace"], 9)
        self.assertEqual(plan._microsaas_terms(self.env.company)["grace"], 3)
