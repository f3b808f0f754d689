from datetime import date

from odoo.exceptions import AccessError
from odoo.tests import freeze_time, new_test_user, tagged

from .test_renewals import RenewalCase


@tagged("post_install", "-at_install")
class TestOwnerRevenue(RenewalCase):
    """Recurring revenue: what was invoiced by the month, as of each month's end, and as of today in the present one."""

    sells_beforehand = False

    def _revenue(self, today="2028-01-01", user=None):
        """Return `{"2026-01": amount}` of the months that are not zero, as read on a day."""
        with freeze_time(today):
            self.env.invalidate_all()
            rows = self.env["microsaas.revenue"].with_user(user or self.invoicer)
            months = [date(2025 + number // 12, number % 12 + 1, 1) for number in range(36)]
            added = rows._of_months(self.env.company, months)
            groups = rows._read_group([("company_id", "=", self.env.company.id)], ["month:month"], ["amount:sum"])
        read = {f"{month:%Y-%m}": round(amount, 2) for month, amount in groups if round(amount, 2)}
        self.assertEqual({f"{month:%Y-%m}": round(amount, 2) for month, amount in added.items() if round(amount, 2)}, read)
        return read

    def _on(self, day, *lines, **vals):
        return self._invoice(*lines, invoice_date=day, **vals)

    def _yearly(self):
        plan = self._product("A year", es_plan_microsaas=True, duracion_suscripcion="annual")
        return self._line(plan, price_unit=360)

    def _every_month(self, amount):
        return {f"2026-{month:02}": amount for month in range(1, 13)}

    # -- months ------------------------------------------------------------------------------------

    def test_a_month_counts_once_and_the_present_one_as_of_today(self):
        self._on("2026-01-15")
        self.assertEqual(self._revenue("2026-01-14"), {}, "it begins tomorrow")
        self.assertEqual(self._revenue("2026-01-20"), {"2026-01": 30})
        self.assertEqual(self._revenue("2026-02-14"), {"2026-01": 30, "2026-02": 30}, "its last day")
        self.assertEqual(self._revenue("2026-02-15"), {"2026-01": 30})

    def test_a_renewal_goes_on_where_the_sale_ends(self):
        subscription = self._instance(self._on("2026-01-15")).subscription_ids.sudo()
        subscription.write({"state": "active", "fecha_inicio": "2026-01-15", "fecha_fin": "2026-02-14"})
        self._renewal(subscription).action_post()
        self.assertEqual(self._revenue(), {"2026-01": 30, "2026-02": 30})

    def test_two_terms_at_once_are_two_months(self):
        subscription = self._instance(self._on("2026-01-15")).subscription_ids.sudo()
        subscription.write({"state": "active", "fecha_inicio": "2026-01-15", "fecha_fin": "2026-02-14"})
        renewal = self._renewal(subscription)
        renewal.invoice_line_ids.quantity = 2
        renewal.action_post()
        self.assertEqual(self._revenue(), {"2026-01": 30, "2026-02": 30, "2026-03": 30})

    def test_a_quantity_of_billions_is_in_nobodys_way(self):
        subscription = self._instance(self._on("2026-01-15")).subscription_ids.sudo()
        subscription.write({"state": "active", "fecha_inicio": "2026-01-15", "fecha_fin": "2026-02-14"})
        renewal = self._renewal(subscription)
        renewal.invoice_line_ids.quantity = 2
        renewal.action_post()
        self.env.flush_all()
        # As in a posted copy of which a person says afterwards that it renews the subscription.
        self.env.cr.execute(
            "UPDATE account_move_line SET quantity = 5000000000 WHERE id IN %s", [renewal.invoice_line_ids._ids]
        )
        self.assertEqual(self._revenue(), {"2026-01": 30, "2026-02": 0.05, "2026-03": 0.05})

    def test_a_year_is_spread_over_its_months(self):
        self._on("2026-01-10", self._yearly())
        self.assertEqual(self._revenue(), self._every_month(30))

    def test_it_begins_when_the_instance_first_answered(self):
        instance = self._instance(self._on("2026-01-10"))
        instance.subscription_ids.sudo().fecha_inicio = "2026-01-20"
        self.assertEqual(self._revenue("2026-02-15"), {"2026-01": 30, "2026-02": 30})

    def test_a_cancelled_one_counts_until_its_paid_time_is_over(self):
        instance = self._instance(self._on("2026-01-10", self._yearly()))
        instance.subscription_ids.with_user(self.seller).action_cancelar()
        self.assertEqual(self._revenue(), self._every_month(30))
        self.assertNotIn("2027-01", self._revenue("2027-01-31"))

    # -- amounts -----------------------------------------------------------------------------------

    def test_units_and_discounts_are_as_invoiced(self):
        self._on("2026-01-01", self._line(quantity=3, discount=10))
        self.plan.list_price = 999
        self.assertEqual(self._revenue(), {"2026-01": 81})

    def test_another_currency_counts_at_the_rate_of_its_invoice(self):
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0), ("2026-06-01", 10.0)])
        self._on("2026-01-01", self._line(price_unit=60), currency_id=other.id)
        self.assertEqual(self._revenue(), {"2026-01": 30})

    def test_taxes_are_no_revenue(self):
        tax = self.company_data["default_tax_sale"]
        self._on("2026-01-01", self._line(tax_ids=[(6, 0, tax.ids)]))
        self.assertEqual(self._revenue(), {"2026-01": 30})

    def test_what_is_given_away_is_none(self):
        self._on("2026-01-01", self._line(discount=100))
        self.assertFalse(self.env["microsaas.revenue"].search([("company_id", "=", self.env.company.id)]))

    def test_only_posted_invoices_of_plans_count(self):
        self._on("2026-01-01", post=False)
        self._on("2026-01-01", self._line(self._product("A book")))
        cancelled = self._on("2026-01-01", pay=False)
        cancelled.button_draft()
        cancelled.button_cancel()
        self.assertEqual(self._revenue(), {})

    # -- money that goes back ----------------------------------------------------------------------

    def test_a_credit_note_lowers_the_months_of_what_it_credits(self):
        move = self._on("2026-01-10", self._yearly())
        credit = self._credit(move, post=False)
        credit.invoice_line_ids.price_unit = 120
        credit.action_post()
        self.assertEqual(self._revenue(), self._every_month(20))
        rest = self._credit(move, post=False)
        rest.invoice_line_ids.price_unit = 240
        rest.action_post()
        self.assertEqual(self._revenue(), {})

    def test_a_plan_whose_term_was_changed_since_is_credited_as_it_was_sold(self):
        line = self._yearly()
        move = self._on("2026-01-10", line)
        move.invoice_line_ids.product_id.product_tmpl_id.duracion_suscripcion = "monthly"
        self._credit(move)
        self.assertEqual(self._revenue(), {})

    def test_a_correction_takes_the_months_of_what_it_corrects(self):
        move = self._on("2026-01-10", self._yearly())
        wizard = self.env["account.move.reversal"].with_context(active_model="account.move", active_ids=move.ids)
        action = wizard.create({"journal_id": move.journal_id.id}).modify_moves()
        correction = self.env["account.move"].browse(action["res_id"])
        correction.invoice_line_ids.price_unit = 240
        correction.action_post()
        self.assertEqual(self._revenue(), self._every_month(20))
        self._credit(correction)
        self.assertEqual(self._revenue(), {}, "a credit of the correction")

    def test_a_credit_note_that_names_no_invoice_lowers_its_own_month(self):
        self._on("2026-01-01")
        self._on("2026-02-01", self._line(price_unit=10), move_type="out_refund", pay=False)
        self.assertEqual(self._revenue(), {"2026-01": 30, "2026-02": -10})

    def test_the_unpaid_counts_until_it_is_credited(self):
        move = self._on("2026-01-01", pay=False)
        self.assertEqual(self._revenue(), {"2026-01": 30})
        self._credit(move)
        self.assertEqual(self._revenue(), {})

    # -- who reads it ------------------------------------------------------------------------------

    def test_only_who_may_read_invoices_reads_it(self):
        self._on("2026-01-01")
        nobody = new_test_user(self.env(su=True), "hoster", groups="micro_saas.group_microsaas_user")
        with self.assertRaises(AccessError):
            self._revenue(user=nobody)
        stranger = self._stranger("account.group_account_invoice")
        self.assertEqual(self._revenue(user=stranger), {})

    def test_a_row_opens_its_invoice(self):
        move = self._on("2026-01-01")
        row = self.env["microsaas.revenue"].with_user(self.invoicer).search([("move_id", "=", move.id)])
        self.assertEqual((row.kind, row.amount, row.currency_id), ("sale", 30, self.env.company.currency_id))
        self.assertEqual(row.action_open()["res_id"], move.id)
