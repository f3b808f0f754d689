from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_sidecar_methods import holds_none


@tagged("post_install", "-at_install")
class TestSubscriptionSidecar(MicroSaasCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._instance()
        cls.subscription = cls.instance.subscription_ids

    def _desired(self):
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        self.assertFalse(holds_none(desired))
        return desired["subscription"]

    def _change(self, **change):
        self._report(self.instance, subscription=change)

    def _period(self, **period):
        line = self.instance.linea_factura_id.id
        counted = {"before": "2026-01-09", "after": "2026-02-09", "days": 31, "taken": 0, "taken_back_on": ""}
        return {"line_id": line, "is_first": True, "missing_since": False, **counted, **period}

    def _mails(self):
        return self.subscription.notice_ids.sudo().mail_id

    def test_terms_of_the_settings_and_of_the_plan(self):
        terms = {"notice": 7, "grace": 3, "retention": 30, "final_notice": 7, "refund": "suspend"}
        terms |= {"reconsider": 24, "free": ""}
        self.assertEqual(self._desired()["terms"], terms)
        self.env.company.sudo().write({"microsaas_grace_days": 0, "microsaas_reconsider_hours": 2})
        self.assertEqual(self._desired()["terms"], {**terms, "grace": 0, "reconsider": 2})
        plan = self.plan.product_tmpl_id
        plan.write({"microsaas_own_terms": True, "microsaas_grace_days": 9, "microsaas_refund": "warn"})
        self.assertEqual(self._desired()["terms"], {**terms, "grace": 9, "refund": "warn"})
        with self.assertRaises(ValidationError), self.cr.savepoint():
            self.env.company.sudo().microsaas_reconsider_hours = -1
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
        self._change(state="active", fecha_inicio="2026-01-10", fecha_fin="2026-02-09", periods=[self._period()])
        [first] = self._desired()["periods"]
        counted = {"before": "2026-01-09", "after": "2026-02-09", "days": 31, "taken": 0, "taken_back_on": ""}
        self.assertEqual(first["counted"], counted)
        self._change(periods=[self._period(taken=15, taken_back_on="2026-01-20")])
        self.assertEqual(len(self.subscription.periodo_ids), 1)
        [first] = self._desired()["periods"]
        self.assertEqual(first["counted"], {**counted, "taken": 15, "taken_back_on": "2026-01-20"})
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
        self.assertEqual(period["months"], 0, "no plan says when it ends")
        self._change(periods=[self._period(line_id=0)])
        self.assertTrue(self._desired()["periods"][0]["counted"])

    def test_an_invoice_without_a_plan_has_no_end(self):
        self.instance = self._instance(self._invoice(self._line(self._product("Consulting"))))
        self.assertEqual(self._desired()["periods"][0]["months"], 0)

    def test_the_term_is_the_one_of_the_sale(self):
        plan = self.plan.product_tmpl_id
        self.env.flush_all()  # as at the end of the transaction that made the invoice
        plan.duracion_suscripcion = "annual"
        move = self.env["account.move"].browse(self.subscription.with_user(self.seller).action_renovar()["res_id"])
        self.env.flush_all()
        plan.duracion_suscripcion = "quarterly"
        self.assertEqual([period["months"] for period in self._desired()["periods"]], [1, 12])
        plan.es_plan_microsaas = False
        self.assertEqual([period["months"] for period in self._desired()["periods"]], [1, 12])
        self.assertEqual(move.invoice_line_ids.microsaas_months, 12)
        self.env.cr.execute("UPDATE account_move_line SET microsaas_months = NULL WHERE move_id = %s", move.ids)
        move.invoice_line_ids.invalidate_recordset()
        self.assertEqual(self._desired()["periods"][1]["months"], 3, "a line from before the months were kept")

    def test_missing_money_is_remembered_before_and_after_the_first_day(self):
        since = "2026-01-10 10:00:00"
        self._change(periods=[self._period(before="", after="", days=0, missing_since=since)])
        [first] = self._desired()["periods"]
        self.assertEqual((first["counted"], first["missing_since"]), (False, since))
        self._change(periods=[self._period()])
        [first] = self._desired()["periods"]
        self.assertEqual((first["counted"]["days"], first["missing_since"]), (31, ""))

    def test_when_a_renewal_was_paid(self):
        move = self.subscription._issue_renewal_invoice()
        self.assertEqual(self._desired()["periods"][1]["paid_at"], 0)
        self._pay(move)
        self.assertAlmostEqual(self._desired()["periods"][1]["paid_at"], move._microsaas_paid_at())

    def test_in_payment_counts_from_the_next_look(self):
        later = fields.Datetime.now() + timedelta(days=1)
        for counts in (False, True):
            self.instance._quiet().next_review = later
            self.env["res.config.settings"].sudo().create({"microsaas_in_payment_is_paid": counts}).execute()
            [desired] = self._sidecar().microsaas_desired(self.instance.ids)
            self.assertEqual(desired["in_payment_is_paid"], counts)
            invoice = self._sidecar().microsaas_invoice(self.instance.factura_id.id)
            self.assertEqual(invoice["in_payment_is_paid"], counts)
            self.assertLess(self.instance.next_review, later)

    def test_each_automatic_act_leaves_a_line(self):
        def lines():
            messages = self.subscription.sudo().message_ids - before
            return [(message.author_id, str(message.body)) for message in messages.sorted("id")]

        before = self.subscription.sudo().message_ids
        self._change(state="active", fecha_inicio="2026-01-10", fecha_fin="2026-02-09", periods=[self._period()])
        taken = self._period(taken=31, taken_back_on="2026-01-20")
        suspended = {"suspended_at": "2026-01-20 10:00:00", "reason": "Refunded"}
        self._change(state="expired", fecha_fin="2026-01-09", periods=[taken], **suspended)
        self._change(state="active", suspended_at=False, fecha_fin="2026-02-09", periods=[self._period()])
        self._change(state="removed", data_removed_at="2026-04-01 10:00:00")
        authors, bodies = zip(*lines(), strict=True)
        self.assertEqual({*authors}, {self.bot.partner_id})
        name = self.instance.factura_id.name
        for body, words in zip(
            bodies,
            (f"{name} began", f"{name} is missing", "given back", "Paid until", "No longer suspended", "Data removed"),
            strict=True,
        ):
            self.assertIn(words, body)
        self._change(state="removed")
        self.assertEqual(len(lines()), 6, "no news, no line")

    def test_what_costs_nothing(self):
        self.plan.product_tmpl_id.list_price = 0.0
        self.assertEqual(self._desired()["terms"]["free"], "", "it was sold for a price")
        self.instance = self._instance(self._invoice())
        subscription = self.instance.subscription_ids
        self.assertEqual(self._desired()["terms"]["free"], "continue")
        self.plan.product_tmpl_id.microsaas_free = "end"
        self.assertEqual(self._desired()["terms"]["free"], "end")
        end = fields.Date.today() + timedelta(days=1)
        subscription.sudo().write({"state": "active", "fecha_fin": end})
        subscription.sudo()._cron_issue_renewals()
        self._change(state="expired", notices=[{"kind": "finalNotice", "period": "1"}])
        self.assertFalse(subscription.renewal_line_ids, "a zero invoice would renew it for ever")
        self.assertFalse(subscription.sudo().activity_ids)

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

    def test_suspended_with_a_link_to_renew_and_nothing_owed(self):
        self._change(state="expired", notices=[{"kind": "suspended", "period": "2026-02-14"}])
        self.assertFalse(self.subscription.renewal_line_ids, "a lapse alone makes no invoice")
        self.assertIn(f"/my/renew/{self.subscription.id}/", self._mails().body_html)
        with self.assertRaisesRegex(UserError, self.subscription.name):
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
        self._change(data_removed_at="2026-04-01 10:00:00", archive="3f2a" * 16)
        command = f"microsaas restore {self.instance.id} 3f2a3f2a3f2a --yes"
        with self.assertRaisesRegex(UserError, command):
            instance.action_restaurar()
        with self.assertRaisesRegex(UserError, command):
            self.subscription.with_user(self.seller).action_renovar()

    def test_the_command_that_restores_names_the_last_backup_or_an_old_archive(self):
        number = self.instance.id
        for name, said in (
            ("3f2a" * 16, f"{number} 3f2a3f2a3f2a --yes"),
            (False, f"{number} latest --yes"),
            ("7-20260401T100000Z", "7-20260401T100000Z"),
        ):
            self._change(archive=name)
            self.assertEqual(self.subscription.restore_command, f"microsaas restore {said}")

    def test_renewal_invoices_ahead(self):
        self.assertEqual(self.plan.microsaas_renew_days, 14, "before the mail that needs something to pay")
        self.plan.microsaas_renew_days = 0
        # A paused one is invoiced like any other: its time goes on.
        self._change(state="paused", fecha_fin=fields.Date.to_string(fields.Date.today() + timedelta(days=9)))
        subscriptions = self.env["microsaas.subscription"].sudo()
        subscriptions._cron_issue_renewals()
        self.assertFalse(self.subscription._open_renewal_invoice(), "the plan does not say so")
        self.plan.product_tmpl_id.microsaas_renew_days = 10
        for _day in range(2):
            subscriptions._cron_issue_renewals()
        move = self.subscription.renewal_line_ids.move_id
        self.assertEqual(move.mapped("state"), ["draft"])
        self.assertIn(f"/my/renew/{self.subscription.id}/", self.subscription._pay_url())
        move.unlink()
        self.plan.product_tmpl_id.microsaas_renew_issue = "posted"
        subscriptions._cron_issue_renewals()
        move = self.subscription.renewal_line_ids.move_id
        self.assertEqual(move.mapped("state"), ["posted"])
        self.assertIn(f"/my/invoices/{move.id}", self.subscription._pay_url())

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
        self.assertTrue(self.instance.was_ready, "no data are made in place of the backup's")
        self.assertFalse(self.subscription.data_removed_at or self.subscription.suspended_at)
        restore(self.instance.id, "odoo", "end")
        self.assertEqual(self.instance.desired_state, "stopped")

    def _recent_suspensions(self, instance=None):
        return self._sidecar().microsaas_recent_suspensions((instance or self.instance).id)

    def test_the_suspension_limit_counts(self):
        now = fields.Datetime.to_string(fields.Datetime.now())
        self._report(self.instance, state="running", seconds_to_ready=1.0)
        before = self._recent_suspensions()
        self._change(suspended_at=now)
        self.assertEqual(self._recent_suspensions(), {**before, "taken": before["taken"] + 1})

    def test_the_suspension_limit_lets_those_end_that_are_listed(self):
        due, held, other = (self._instance() for _instance in range(3))
        for instance in due | held | other:
            self._report(instance, state="running", seconds_to_ready=1.0)
        long_ago = fields.Date.today() - timedelta(days=9)
        due.subscription_ids.sudo().write({"state": "active", "fecha_fin": long_ago})
        for _time in range(2):
            self._sidecar().microsaas_request_approval(held.id, 10, 15)
        request = self.env["microsaas.brake"].sudo().search([])
        self.assertEqual(len(request.activity_ids), 1)
        self.assertEqual(request.subscription_ids, (due | held).subscription_ids)
        with self.assertRaises(AccessError):
            request.with_user(self.seller).action_release()
        self.assertFalse(self._recent_suspensions(held)["is_approved"])
        request.with_user(self.manager).action_release()
        self.assertFalse(request.activity_ids)
        approved = [self._recent_suspensions(instance)["is_approved"] for instance in (due, held, other)]
        self.assertEqual(approved, [True, True, False])
        held.subscription_ids.sudo().fecha_fin = fields.Date.today()
        self.assertFalse(self._recent_suspensions(held)["is_approved"], "it is paid until another day")
        due.subscription_ids.sudo().suspended_at = fields.Datetime.now()
        self.assertFalse(self._recent_suspensions(due)["is_approved"], "it is suspended")
        self._sidecar().microsaas_request_approval(other.id, 10, 15)
        self.assertEqual(len(self.env["microsaas.brake"].sudo().search([])), 2, "others are asked about anew")

    def test_many_that_end_on_one_day_are_asked_about_ahead_and_once(self):
        end = fields.Date.today() + timedelta(days=5)
        instances = self.env["odoo.docker.instance"]
        for _instance in range(12):
            instances |= self._instance()
        for instance in instances:
            self._report(instance, state="running", seconds_to_ready=1.0)
        subscriptions = instances.subscription_ids.sudo()
        (subscriptions - subscriptions[:2]).write({"state": "active", "fecha_fin": end})
        requests = self.env["microsaas.brake"].sudo()
        requests._cron_ask_ahead()
        self.assertFalse(requests.search([]), "ten are nothing unusual")
        subscriptions.write({"state": "active", "fecha_fin": end})
        for _day in range(2):
            requests._cron_ask_ahead()
        request = requests.search([])
        self.assertEqual((request.planned_on, request.waiting, len(request.activity_ids)), (end, 12, 1))
        request.with_user(self.manager).action_release()
        self.assertTrue(self._recent_suspensions(instances[0])["is_approved"])
