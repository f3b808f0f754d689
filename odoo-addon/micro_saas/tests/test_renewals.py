from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import UserError
from odoo.tests import freeze_time, tagged

from .common import MicroSaasCommon


class RenewalCase(MicroSaasCommon):
    def _sold(self, *lines, **vals):
        """Return the subscription of an invoice that was sold and paid."""
        return self._instance(self._invoice(*lines, **vals)).subscription_ids.sudo()

    @staticmethod
    def _active(subscription, days=3, **vals):
        end = subscription.company_id._microsaas_today() + timedelta(days=days)
        subscription.write({"state": "active", "fecha_fin": end, **vals})
        return subscription

    def _renewal(self, subscription):
        return subscription._renewal_invoice("A test wants it.")


@tagged("post_install", "-at_install")
class TestRenewals(RenewalCase):
    """A renewal is what was agreed, owed by nobody before they want it, and one for each period."""

    def test_the_agreed_price_and_currency(self):
        tax = self.company_data["default_tax_sale"]
        dollars = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        term = self.env.ref("account.account_payment_term_30days")
        line = self._line(price_unit=100, discount=20, tax_ids=[Command.set(tax.ids)], name="Hosting, as agreed")
        subscription = self._sold(line, currency_id=dollars.id, invoice_payment_term_id=term.id)
        self.plan.list_price = 999
        move = self._renewal(subscription)
        renewed = move.invoice_line_ids
        self.assertEqual((renewed.price_unit, renewed.discount, renewed.tax_ids), (100, 20, tax))
        self.assertEqual((move.currency_id, move.invoice_payment_term_id), (dollars, term))
        self.assertTrue(renewed.name.startswith("Hosting, as agreed\nService from "))
        self.assertAlmostEqual(subscription._renewal_amount(), move.amount_total)

    def test_the_price_of_today_where_the_plan_says_so(self):
        subscription = self._sold(self._line(price_unit=10))
        self.plan.list_price = 45
        self.assertEqual(self._renewal(subscription).amount_untaxed, 10)
        self.plan.microsaas_renew_price = "list"
        other = self._sold(self._line(price_unit=10))
        self.assertEqual(self._renewal(other).amount_untaxed, 45)

    def test_who_tried_it_for_nothing_agreed_to_no_price(self):
        subscription = self._sold(self._line(discount=100))
        self.assertEqual(self._renewal(subscription).amount_untaxed, 30)

    def test_a_correction_is_the_new_agreement(self):
        first = self._invoice(self._line(price_unit=30))
        subscription = self._instance(first).subscription_ids.sudo()
        wizard = self.env["account.move.reversal"].with_context(active_model="account.move", active_ids=first.ids)
        action = wizard.create({"journal_id": first.journal_id.id}).modify_moves()
        correction = self.env["account.move"].browse(action["res_id"])
        correction.invoice_line_ids.price_unit = 25
        correction.action_post()
        self.assertEqual(self._renewal(subscription).amount_untaxed, 25)

    def test_another_plan_has_its_own_price(self):
        subscription = self._sold(self._line(price_unit=10))
        subscription.product_id = self._product("Bigger", es_plan_microsaas=True, list_price=80.0)
        self.assertEqual(self._renewal(subscription).invoice_line_ids.price_unit, 80)

    def test_the_salesperson_is_the_seller_of_the_sale(self):
        subscription = self._active(self._sold(invoice_user_id=self.seller.id))
        self.plan.microsaas_renew_days = 10
        self.env["microsaas.subscription"].with_user(self.env.ref("base.user_root"))._cron_issue_renewals()
        self.assertEqual(subscription.renewal_line_ids.move_id.invoice_user_id, self.seller)
        nobody = self._sold()
        nobody.factura_id.invoice_user_id = False
        self.assertFalse(self._renewal(nobody).invoice_user_id)

    def test_the_service_period(self):
        subscription = self._sold()
        subscription.write({"state": "active", "fecha_inicio": "2026-01-31", "fecha_fin": "2026-02-27"})
        line = self._renewal(subscription).invoice_line_ids
        first, last = line.microsaas_service_start, line.microsaas_service_end
        self.assertEqual((first, last), (fields.Date.to_date("2026-02-28"), fields.Date.to_date("2026-03-30")))
        line.quantity = 2
        subscription.write({"state": "expired", "suspended_at": "2026-03-10 10:00:00"})
        with freeze_time("2026-03-20 12:00:00"):
            line.move_id.action_post()
        self.assertEqual(line.microsaas_service_start, fields.Date.to_date("2026-03-20"))
        self.assertEqual(line.microsaas_service_end, fields.Date.to_date("2026-05-19"))
        self.assertEqual(line.name.count("Service from"), 1)

    def test_a_renewal_is_whole_terms(self):
        move = self._renewal(self._sold())
        for quantity in (0.5, 1.5, 0):
            move.invoice_line_ids.quantity = quantity
            with self.assertRaisesRegex(UserError, "number of terms"), self.cr.savepoint():
                move.action_post()

    def test_units_of_one_customer_share_an_invoice(self):
        move = self._invoice(self._line(quantity=3))
        subscriptions = self.env["microsaas.subscription"].sudo()
        for _unit in range(3):
            subscriptions |= self._active(self._instance(move).subscription_ids.sudo())
        later = self._active(self._sold(), days=4)
        other = self._active(self._sold(partner_id=self.partner.copy().id))
        self.plan.microsaas_renew_days = 10
        for _day in range(2):
            subscriptions._cron_issue_renewals()
        renewal = subscriptions.renewal_line_ids.move_id
        self.assertEqual((len(renewal), renewal.invoice_line_ids.suscripcion_id), (1, subscriptions))
        self.assertEqual(renewal.invoice_line_ids.mapped("quantity"), [1, 1, 1])
        self.assertNotIn(renewal, later.renewal_line_ids.move_id | other.renewal_line_ids.move_id)

    def test_an_archived_plan_goes_on_for_who_has_it(self):
        subscription = self._active(self._sold())
        self.plan.microsaas_renew_days = 10
        self.plan.product_tmpl_id.active = False
        subscription._cron_issue_renewals()
        self.assertTrue(subscription.renewal_line_ids)

    def test_ahead_by_the_companys_clock(self):
        self.env.company.sudo().partner_id.tz = "Pacific/Auckland"
        subscription = self._sold()
        self.plan.microsaas_renew_days = 2
        subscription.write({"state": "active", "fecha_fin": "2026-03-04"})
        with freeze_time("2026-03-01 10:30:00"):  # still the 1st there
            subscription._cron_issue_renewals()
        self.assertFalse(subscription.renewal_line_ids)
        with freeze_time("2026-03-01 12:30:00"):  # already the 2nd
            subscription._cron_issue_renewals()
        self.assertTrue(subscription.renewal_line_ids)

    def test_money_on_its_way_is_not_asked_for_twice(self):
        subscription = self._sold()
        move = subscription._issue_renewal_invoice()
        self.env.flush_all()
        self.cr.execute("UPDATE account_move SET payment_state = 'in_payment' WHERE id = %s", [move.id])
        move.invalidate_recordset()
        self.assertFalse(subscription._open_renewal_invoice(), "in payment counts as paid")
        self._set_param("in_payment_is_paid", "False")
        self.assertEqual(subscription._open_renewal_invoice(), move)
        self.assertEqual(subscription._issue_renewal_invoice(), move)
        self.assertIn(move.get_portal_url(), subscription._pay_url())

    def test_a_credited_renewal_waits_for_nothing(self):
        subscription = self._sold()
        move = subscription._issue_renewal_invoice()
        self._credit(move)
        self.assertNotEqual(subscription._issue_renewal_invoice(), move)

    def test_a_leaver_owes_nothing_that_is_not_posted(self):
        leaver, stays = self._sold(), self._sold()
        draft = self._renewal(leaver)
        leaver.action_cancelar()
        self.assertEqual(draft.state, "cancel")
        self.assertIn("has ended", str(draft.message_ids.mapped("body")))
        leaver = self._sold()
        shared = (leaver | stays)._create_renewal_invoice("Both.")
        self._report(leaver.instancia_id, subscription={"hidden_at": "2026-02-01 10:00:00"})
        self.assertEqual((shared.state, shared.invoice_line_ids.suscripcion_id), ("draft", stays))

    def test_a_posted_renewal_of_a_leaver_is_put_before_a_person(self):
        subscription = self._sold()
        move = subscription._issue_renewal_invoice()
        subscription.action_cancelar()
        self.assertEqual(move.state, "posted")
        self.assertIn("unpaid", subscription.activity_ids.summary)

    def test_the_chatter_says_who_and_why(self):
        subscription = self._active(self._sold())
        self.plan.microsaas_renew_days = 10
        subscription._cron_issue_renewals()
        said = str(subscription.message_ids.mapped("body"))
        self.assertIn("Plan Odoo hosting renews 10 days ahead", said)
        self.assertRegex(said, "30[.,]00")

    def test_revenue_is_what_was_invoiced(self):
        euros = self.env.company.currency_id
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        self.plan.duracion_suscripcion = "annual"
        subscription = self._sold(self._line(quantity=3, price_unit=240, discount=50), currency_id=other.id)
        self.plan.list_price = 999
        self.assertEqual((subscription.currency_id, subscription.ingreso_mensual), (euros, 5.0))
        move = self._renewal(subscription)
        move.invoice_line_ids.write({"price_unit": 480, "quantity": 2})
        move.action_post()
        period = {"line_id": move.invoice_line_ids.id, "is_first": False, "before": "2027-01-09", "taken": 0, "missing_since": ""}
        counted = {**period, "after": "2029-01-09", "days": 731, "taken_back_on": ""}
        self._report(subscription.instancia_id, subscription={"periods": [counted]})
        self.assertEqual(subscription.ingreso_mensual, 10.0)
        taken_back = {**counted, "taken_back_on": "2027-02-01"}
        self._report(subscription.instancia_id, subscription={"periods": [taken_back]})
        self.assertEqual(subscription.ingreso_mensual, 5.0)
