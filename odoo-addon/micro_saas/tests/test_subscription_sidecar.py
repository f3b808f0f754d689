from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_sidecar_methods import holds_none


@tagged("post_install", "-at_install")
class TestSubscriptionSidecar(MicroSaasCommon):
    def setUp(self):
        super().setUp()
        self.instance = self._instance()
        self.subscription = self.instance.subscription_ids

    def _desired(self):
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        self.assertFalse(holds_none(desired))
        return desired["subscription"]

    def _change(self, **change):
        self._report(self.instance, subscription=change)

    def _period(self, **period):
        line = self.instance.linea_factura_id.id
        counted = {"before": "2026-01-09", "after": "2026-02-10", "days": 31, "taken_back_on": ""}
        return {"line_id": line, "is_first": True, **counted, **period}

    def _mails(self):
        return self.subscription.notice_ids.sudo().mail_id

    def test_terms_of_the_settings_and_of_the_plan(self):
        terms = {"notice": 7, "grace": 3, "retention": 30, "final_notice": 7, "refund": "suspend"}
        self.assertEqual(self._desired()["terms"], terms)
        self._set_param("grace_days", "0")
        self.assertEqual(self._desired()["terms"]["grace"], 0)
        plan = self.plan.product_tmpl_id
        plan.write({"microsaas_own_terms": True, "microsaas_grace_days": 9, "microsaas_refund": "warn"})
        self.assertEqual(self._desired()["terms"], {**terms, "grace": 9, "refund": "warn"})
        with self.assertRaises(ValidationError), self.cr.savepoint():
            plan.microsaas_notice_days = -1
        with self.assertRaises(ValidationError), self.cr.savepoint():
            plan.microsaas_final_notice_days = 31

    def test_other_terms_make_every_instance_due(self):
        later = fields.Datetime.now() + timedelta(days=1)
        self.instance._quiet().next_review = later
        settings = self.env["res.config.settings"].sudo().create({})
        settings.execute()
        self.assertEqual(self.instance.next_review, later, "nothing was changed")
        self.env["res.config.settings"].sudo().create({"microsaas_grace_days": 0}).execute()
        self.assertLess(self.instance.next_review, later)
        self.instance._quiet().next_review = later
        self.plan.product_tmpl_id.microsaas_refund = "ignore"
        self.assertLess(self.instance.next_review, later)

    def test_periods(self):
        [first] = self._desired()["periods"]
        self.assertEqual((first["months"], first["counted"]), (1, False))
        self._change(state="active", fecha_inicio="2026-01-10", fecha_fin="2026-02-10", periods=[self._period()])
        [first] = self._desired()["periods"]
        self.assertEqual(
            first["counted"], {"before": "2026-01-09", "after": "2026-02-10", "days": 31, "taken_back_on": ""}
        )
        self._change(periods=[self._period(taken_back_on="2026-01-20")])
        self.assertEqual(len(self.subscription.periodo_ids), 1)
        self.assertEqual(self._desired()["periods"][0]["counted"]["taken_back_on"], "2026-01-20")
        self.assertFalse(self.subscription.renovacion_ids, "the first sale is no renewal")

    def test_renewals(self):
        self.plan.product_tmpl_id.duracion_suscripcion = "quarterly"
        move = self.subscription._issue_renewal_invoice()
        move.button_draft()
        move.invoice_line_ids.quantity = 2
        move.action_post()
        renewal = self._desired()["periods"][1]
        self.assertEqual((renewal["months"], renewal["sold"], renewal["is_first"]), (6, False, False))
        line = move.invoice_line_ids
        period = self._period(line_id=line.id, is_first=False)
        for _time in range(2):
            self._change(periods=[period])
        self.assertEqual(self.subscription.renovacion_ids.linea_factura_id, line)
        self.assertEqual(self.subscription.renovacion_ids.factura_id, move)

    def test_which_units_were_removed(self):
        move = self._invoice(self._line(quantity=3))
        first, second, third = (self._instance(move) for _unit in range(3))
        second.action_remove()
        self.instance = third
        [period] = self._desired()["periods"]
        self.assertEqual(period["sold"], {"unit": 3, "quantity": 3.0, "removed": [2]})

    def test_an_instance_that_nobody_was_invoiced(self):
        self.instance = self.env["odoo.docker.instance"].with_user(self.manager).create({"name": "Ours"})
        [period] = self._desired()["periods"]
        self.assertEqual((period["line_id"], period["money"], period["sold"]), (0, False, False))
        self._change(periods=[self._period(line_id=0)])
        self.assertTrue(self._desired()["periods"][0]["counted"])

    def test_moments(self):
        self._change(state="expired", reason="Expired", suspended_at="2026-02-14 10:00:00")
        desired = self._desired()
        self.assertEqual((desired["suspended_at"], desired["reason"]), ("2026-02-14 10:00:00", "Expired"))
        self._change(state="active", reason="", suspended_at=False)
        self.assertEqual((self._desired()["suspended_at"], self._desired()["reason"]), ("", ""))

    def test_each_mail_once_in_the_customers_language(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        self.partner.lang = "es_ES"
        for _time in range(2):
            self._change(fecha_fin="2026-02-10", notices=[{"kind": "welcome", "period": ""}])
        mail = self._mails()
        self.assertEqual(len(mail), 1)
        self.assertEqual(mail.subject, "Su Odoo está listo")
        self.assertIn(f"/my/instances/{self.instance.id}/welcome/", mail.body_html)
        self.assertFalse(mail.model or mail.res_id, "a message on no record")
        self.assertEqual(self._desired()["told"], ["welcome "])

    def test_suspended_with_a_link_to_pay(self):
        self._change(state="expired", notices=[{"kind": "suspended", "period": "2026-02-14"}])
        invoice = self.subscription._open_renewal_invoice()
        self.assertEqual(invoice.state, "posted")
        self.assertIn(f"/my/invoices/{invoice.id}", self._mails().body_html)
        with self.assertRaisesRegex(UserError, invoice.name):
            self.instance.start_instance()

    def test_who_was_given_her_money_back_is_asked_for_none(self):
        self._change(
            state="expired",
            reason="Refunded",
            notices=[{"kind": "suspended", "period": "2026-02-14"}],
        )
        self.assertFalse(self.subscription.renewal_line_ids)
        self.assertIn("given back", self._mails().body_html)
        with self.assertRaisesRegex(UserError, self.subscription.name):
            self.instance.start_instance()

    def test_a_cancelled_payment_is_asked_for_again(self):
        move = self.instance.factura_id
        move.reconciled_payment_ids.action_cancel()
        self._change(
            state="expired",
            reason="Refunded",
            notices=[{"kind": "suspended", "period": "2026-02-14"}],
        )
        self.assertFalse(self.subscription.renewal_line_ids, "not two invoices for one month")
        self.assertIn(f"/my/invoices/{move.id}", self._mails().body_html)
        with self.assertRaisesRegex(UserError, move.name):
            self.instance.start_instance()

    def test_every_mail_can_be_made(self):
        kinds = ("welcome", "expiring", "suspended", "renewed", "finalNotice", "removed", "addressChanged")
        for kind in kinds:
            self._change(fecha_fin="2026-02-10", notices=[{"kind": kind, "period": "1"}])
        self.assertEqual(len(self._mails()), len(kinds))
        self.assertFalse(self.subscription.sudo().activity_ids)

    def test_who_cannot_be_told_is_told_to_a_person(self):
        self.partner.email = False
        self._change(notices=[{"kind": "expiring", "period": "1"}])
        self.partner.email = "luna@example.com"
        broken = patch.object(type(self.env["mail.template"]), "send_mail", side_effect=ValueError("token=abc"))
        with broken, self.assertLogs("odoo.addons.micro_saas.models.microsaas_notice", "WARNING") as logs:
            self._change(state="active", notices=[{"kind": "renewed", "period": "1"}])
        self.assertNotIn("abc", logs.output[0])
        self._change(notices=[{"kind": "refundWarning", "period": "1"}])
        self.assertEqual(len(self.subscription.sudo().activity_ids), 3)
        self.assertEqual(self.subscription.state, "active")

    def test_restore_until_the_data_are_gone(self):
        instance = self.instance.with_user(self.seller)
        with self.assertRaisesRegex(UserError, "was not removed"):
            instance.action_restaurar()
        instance.start_instance()
        self._report(self.instance, state="running", seconds_to_ready=1.0)
        instance.action_remove()
        self._report(self.instance, state="removed", active=False)
        instance.action_restaurar()
        self.assertEqual((instance.active, instance.desired_state), (True, "running"))
        instance.action_remove()
        self._change(data_removed_at="2026-04-01 10:00:00", archive="7-20260401T100000Z")
        with self.assertRaisesRegex(UserError, "7-20260401T100000Z"):
            instance.action_restaurar()
        with self.assertRaisesRegex(UserError, "7-20260401T100000Z"):
            self.subscription.with_user(self.seller).action_renovar()

    def test_renewal_invoices_ahead(self):
        self._change(state="active", fecha_fin=fields.Date.to_string(fields.Date.today() + timedelta(days=9)))
        subscriptions = self.env["microsaas.subscription"].sudo()
        subscriptions._cron_issue_renewals()
        self.assertFalse(self.subscription._open_renewal_invoice(), "the plan does not say so")
        self.plan.product_tmpl_id.microsaas_renew_days = 10
        for _day in range(2):
            subscriptions._cron_issue_renewals()
        self.assertEqual(self.subscription.renewal_line_ids.move_id.mapped("state"), ["posted"])

    def test_one_renewal_invoice_that_fails_holds_up_no_other(self):
        end = fields.Date.to_string(fields.Date.today() + timedelta(days=1))
        self.plan.product_tmpl_id.microsaas_renew_days = 10
        broken, self.instance = self.subscription, self._instance()
        self._change(state="active", fecha_fin=end)
        broken.sudo().write({"state": "active", "fecha_fin": end, "partner_id": False})
        with self.assertLogs("odoo.addons.micro_saas.models.microsaas_subscription", "WARNING"):
            for _day in range(2):
                broken.sudo()._cron_issue_renewals()
        self.assertEqual(len(broken.sudo().activity_ids), 1)
        self.assertTrue(self.instance.subscription_ids._open_renewal_invoice())

    def test_a_restore_is_a_draft_until_its_end(self):
        self.instance.start_instance()
        self._report(self.instance, state="removed", active=False)
        self._change(data_removed_at="2026-04-01 10:00:00", suspended_at="2026-03-01 10:00:00")
        restore = self._sidecar().microsaas_restore
        restore(self.instance.id, "odoo", "begin")
        self.assertEqual((self.instance.active, self.instance.desired_state), (True, "draft"))
        self.assertTrue(self.instance.was_ready, "no data are made in place of the archive's")
        self.assertFalse(self.subscription.data_removed_at or self.subscription.suspended_at)
        restore(self.instance.id, "odoo", "end")
        self.assertEqual(self.instance.desired_state, "stopped")

    def test_the_brake(self):
        now = fields.Datetime.to_string(fields.Datetime.now())
        self._report(self.instance, state="running", seconds_to_ready=1.0)
        before = self._sidecar("microsaas.subscription").microsaas_descents()
        self._change(suspended_at=now)
        after = self._sidecar("microsaas.subscription").microsaas_descents()
        self.assertEqual(after, {**before, "taken": before["taken"] + 1})
        for _time in range(2):
            self._sidecar("microsaas.subscription").microsaas_ask_to_go_on(10, 15)
        brake = self.env["microsaas.brake"].sudo().search([])
        self.assertEqual(len(brake.activity_ids), 1)
        with self.assertRaises(AccessError):
            brake.with_user(self.seller).action_release()
        brake.with_user(self.manager).action_release()
        self.assertFalse(brake.activity_ids)
        self.assertTrue(self._sidecar("microsaas.subscription").microsaas_descents()["is_released"])

    def test_revenue_by_the_month(self):
        self.assertEqual(self.subscription.ingreso_mensual, 30.0)
        self.plan.product_tmpl_id.duracion_suscripcion = "annual"
        self.assertEqual(self.subscription.ingreso_mensual, 2.5)
