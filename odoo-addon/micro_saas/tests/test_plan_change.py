from datetime import timedelta
from unittest.mock import patch

from psycopg2 import IntegrityError
from psycopg2.errors import SerializationFailure

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import Form, freeze_time, tagged
from odoo.tools import SQL, mute_logger

from .test_renewals import RenewalCase

WHY = "A test wants it."
LOGGER = "odoo.addons.micro_saas.models.microsaas_plan_change"


class PlanChangeCase(RenewalCase):
    """A plan of 30 with a dearer one of 60 and a cheaper one of 12, all by the month and of one template."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan.taxes_id = False
        same = {"es_plan_microsaas": True, "taxes_id": False, "plantilla_id": cls.plan.plantilla_id.id}
        cls.bigger = cls._product("Bigger", list_price=60.0, microsaas_memory_mb=2048, microsaas_cpus=2, **same)
        cls.smaller = cls._product("Smaller", list_price=12.0, **same)
        cls.plan.microsaas_change_ids = (cls.bigger | cls.smaller).product_tmpl_id

    def setUp(self):
        super().setUp()
        # All is asked for on this day where nothing else is said; what is over is withdrawn by itself.
        self.enterContext(freeze_time("2026-04-20 12:00:00"))

    def _begun(self, begun="2026-04-10", until="2026-05-09", line=None, **vals):
        """Return a subscription that is paid for from one day to another."""
        subscription = self._sold(*([line] if line else []), **vals)
        subscription.write({"state": "active", "fecha_inicio": begun, "fecha_fin": until})
        self._commit()
        return subscription

    def _counted(self, subscription, *periods):
        """Count periods, as the sidecar does: `[(line, last day before, last day after, days)]`, the first sale first."""
        for line, before, after, days in periods:
            is_first = line == subscription.instancia_id.linea_factura_id
            period = {"before": before, "after": after, "days": days, "taken": 0, "taken_back_on": "", "missing_since": ""}
            subscription._count({"line_id": line.id, "is_first": is_first, **period})

    def _renewed(self, subscription, price):
        """Return the line of a paid renewal at a price of its own."""
        move = self._renewal(subscription)
        move.invoice_line_ids.write({"price_unit": price, "discount": 0})
        move.action_post()
        if price:
            self._pay(move)
        return move.invoice_line_ids

    def _commit(self):
        self.env.flush_all()
        self.env.cr.precommit.run()

    def _change(self, subscription, product, day="2026-04-20", pay=False, **options):
        with freeze_time(f"{day} 12:00:00"):
            change = subscription._change_plan(product, WHY, **options)
            if pay:
                change.move_id.action_post()
                self._pay(change.move_id)
                self._commit()
        return change

    def _lines(self, change):
        return [(line.product_id, line.quantity, line.price_unit) for line in change.move_id.invoice_line_ids]


@tagged("post_install", "-at_install")
class TestPlanChangePrice(PlanChangeCase):
    """What another plan costs for the days that are paid already: to the day, and to the cent."""

    def _assert_costs(self, subscription, day, new, old, product=None):
        change = self._change(subscription, product or self.bigger, day)
        self.assertEqual(
            self._lines(change), [(product or self.bigger, 1, new), (subscription.product_id, 1, -old)]
        )
        self.assertEqual(change.move_id.amount_total, round(new - old, 2))
        return change.move_id

    def test_each_month_has_its_own_days(self):
        for begun, until, day, new, old in (
            ("2026-04-10", "2026-05-09", "2026-04-20", 40.00, 20.00),  # 20 of 30
            ("2026-01-10", "2026-02-09", "2026-01-20", 40.65, 20.32),  # 21 of 31
            ("2026-01-31", "2026-02-27", "2026-02-10", 38.57, 19.29),  # 18 of 28
            ("2026-01-31", "2026-03-30", "2026-03-21", 19.35, 9.68),  # 10 of 31: its day of the month is the 31st again
            ("2028-01-31", "2028-02-28", "2028-02-10", 39.31, 19.66),  # 19 of 29: a leap year
            ("2026-04-10", "2026-05-09", "2026-04-10", 60.00, 30.00),  # the first day: all of it
            ("2026-01-10", "2026-02-09", "2026-02-09", 1.94, 0.97),  # the last day: one
        ):
            with self.subTest(until=until, day=day):
                self._assert_costs(self._begun(begun, until), day, new, old)

    def test_what_was_renewed_ahead_is_whole_terms(self):
        # 5 of 31 days, and the whole of the next period.
        self._assert_costs(self._begun("2026-01-10", "2026-03-09"), "2026-02-05", 69.68, 34.84)

    def test_the_clock_is_the_companys(self):
        self.env.company.sudo().partner_id.tz = "Pacific/Auckland"
        subscription = self._begun()
        with freeze_time("2026-04-19 12:30:00"):  # already the 20th there
            self.assertEqual(subscription._quote(self.bigger)["amount"], 20.0)

    def test_what_was_paid_is_net_of_the_discount(self):
        subscription = self._begun(line=self._line(discount=20))
        self._assert_costs(subscription, "2026-04-20", 40.00, 16.00)

    def test_each_day_is_worth_what_was_paid_for_it(self):
        for discount, renewed_at, old in (
            (100, 30, 30.00),  # 20 of 30 days for nothing, then a term
            (50, 30, 40.00),  # 20 of 30 days at 15
            (0, 12, 32.00),  # the price has fallen
            (0, 0, 20.00),  # a term given away
        ):
            with self.subTest(discount=discount, renewed_at=renewed_at):
                subscription = self._begun(until="2026-06-09", line=self._line(discount=discount))
                first, renewal = subscription.instancia_id.linea_factura_id, self._renewed(subscription, renewed_at)
                counted = [(first, "", "2026-05-09", 30), (renewal, "2026-05-09", "2026-06-09", 31)]
                self._counted(subscription, *counted)
                self._assert_costs(subscription, "2026-04-20", 100.00, old)

    def test_given_days_are_worth_what_a_change_has_paid_for_them(self):
        subscription = self._begun(until="2026-05-19")
        self._counted(subscription, (subscription.instancia_id.linea_factura_id, "", "2026-05-09", 20))
        self._change(subscription, self.bigger, pay=True)
        self.assertAlmostEqual(subscription._present_line_vals()["price_unit"], 60)

    def test_days_that_nobody_has_paid_for_are_worth_nothing(self):
        subscription = self._begun(until="2026-05-19")  # ten days more, by hand
        self._counted(subscription, (subscription.instancia_id.linea_factura_id, "", "2026-05-09", 30))
        self.assertAlmostEqual(subscription._present_line_vals()["price_unit"], 30)
        subscription.fecha_fin = "2026-06-19"
        self.assertAlmostEqual(subscription._present_line_vals()["price_unit"], 30 * 30 / 31, msg="not more than was paid")

    def test_what_was_taken_back_is_worth_nothing(self):
        subscription = self._begun(line=self._line(discount=100))
        first, renewal = subscription.instancia_id.linea_factura_id, self._renewed(subscription, 30)
        self._counted(subscription, (first, "", "2026-05-09", 30), (renewal, "2026-05-09", "2026-06-09", 31))
        period = subscription.periodo_ids.filtered(lambda one: one.linea_factura_id == renewal)
        period.write({"fecha_retirada": "2026-04-19", "dias_retirados": 31})
        self.assertEqual([line for line, _since, _until in subscription._days_left()], [first])
        self.assertEqual(subscription._present_line_vals()["price_unit"], 0)

    def test_who_tried_it_for_nothing_pays_the_days_in_full(self):
        change = self._change(self._begun(line=self._line(discount=100)), self.bigger)
        self.assertEqual(self._lines(change), [(self.bigger, 1, 40.0)])

    def test_taxes_on_top(self):
        tax = self.company_data["default_tax_sale"]  # 15 %
        self.bigger.taxes_id = tax
        subscription = self._begun(line=self._line(tax_ids=[Command.set(tax.ids)]), fiscal_position_id=False)
        with freeze_time("2026-04-20 12:00:00"):
            self.assertEqual(subscription._quote(self.bigger)["amount"], 23.0)
            self.assertEqual(subscription._quote(self.bigger)["next_amount"], 69.0)
        move = self._change(subscription, self.bigger, pay=True).move_id
        self.assertEqual((move.amount_untaxed, move.amount_tax, move.amount_total), (20.0, 3.0, 23.0))
        self.assertEqual(self._renewal(subscription).amount_total, 69.0)

    def test_taxes_in_the_price(self):
        tax = self.company_data["default_tax_sale"].copy({"name": "21 % in the price", "amount": 21.0})
        tax.price_include_override = "tax_included"
        self.bigger.taxes_id = tax
        subscription = self._begun(line=self._line(tax_ids=[Command.set(tax.ids)]), fiscal_position_id=False)
        move = self._change(subscription, self.bigger).move_id
        self.assertEqual((move.amount_total, move.amount_untaxed), (20.0, 16.53))

    def test_the_currency_of_the_sale(self):
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        subscription = self._begun(line=self._line(price_unit=70), currency_id=other.id)
        change = self._change(subscription, self.bigger)
        self.assertEqual(self._lines(change), [(self.bigger, 1, 80.0), (self.plan, 1, -46.67)])
        self.assertEqual((change.move_id.currency_id, change.price, change.currency_id), (other, 120.0, other))

    def test_the_customers_pricelist(self):
        pricelist = self.env["product.pricelist"].sudo().create(
            {
                "name": "Friends",
                "item_ids": [
                    Command.create({"applied_on": "3_global", "compute_price": "percentage", "percent_price": 50})
                ],
            }
        )
        self.env.ref("base.group_user").sudo().implied_ids += self.env.ref("product.group_product_pricelist")
        self.partner.property_product_pricelist = pricelist
        subscription = self._begun()
        self.bigger.list_price = 180
        self._assert_costs(subscription, "2026-04-20", 60.00, 20.00)

    def test_a_longer_term_is_counted_in_its_own_days(self):
        yearly = self._product(
            "Yearly", list_price=730.0, es_plan_microsaas=True, taxes_id=False, duracion_suscripcion="annual",
            plantilla_id=self.plan.plantilla_id.id,
        )  # 2 a day, where the plan is 1 a day
        self._assert_costs(self._begun(), "2026-04-20", 40.00, 20.00, yearly)

    def test_a_second_change_deducts_what_the_first_has_made_it_worth(self):
        subscription = self._begun()
        self._change(subscription, self.bigger, "2026-04-20", pay=True)
        self.bigger.list_price = 999
        biggest = self._product(
            "Biggest", list_price=90.0, es_plan_microsaas=True, taxes_id=False, plantilla_id=self.plan.plantilla_id.id
        )
        change = self._change(subscription, biggest, "2026-04-30")
        self.assertEqual(self._lines(change), [(biggest, 1, 30.0), (self.bigger, 1, -20.0)])

    def test_the_lines_say_which_plans_and_which_days(self):
        move = self._change(self._begun(), self.bigger).move_id
        new, old = move.invoice_line_ids
        self.assertEqual(
            new.name, "Bigger instead of Odoo hosting, for 20 days\nService from 04/20/2026 to 05/09/2026"
        )
        self.assertIn("paid already and not used for 20 days", old.name)
        for line in (new, old):
            self.assertEqual(str(line.microsaas_service_start), "2026-04-20")
            self.assertEqual(str(line.microsaas_service_end), "2026-05-09")


@tagged("post_install", "-at_install")
class TestPlanChange(PlanChangeCase):
    """A dearer plan comes when it is paid, a cheaper one when what is paid is over: never twice, never half."""

    def _desired(self, subscription):
        return self._sidecar().microsaas_desired(subscription.instancia_id.ids)[0]

    def test_a_dearer_plan_comes_with_its_payment(self):
        subscription = self._begun()
        revision, end = subscription.instancia_id.revision, subscription.fecha_fin
        change = self._change(subscription, self.bigger)
        self.assertEqual((change.state, subscription.product_id, change.move_id.state), ("waiting", self.plan, "draft"))
        change.move_id.action_post()
        self._commit()
        self.assertEqual(subscription.product_id, self.plan, "nothing is paid yet")
        self._pay(change.move_id, amount=5)
        self._commit()
        self.assertEqual(subscription.product_id, self.plan, "a part is not all")
        self._pay(change.move_id)
        self._commit()
        self.assertEqual((change.state, subscription.product_id), ("done", self.bigger))
        self.assertEqual(subscription.fecha_fin, end, "no day is added")
        desired = self._desired(subscription)
        self.assertEqual((desired["memory_mb"], desired["cpus"]), (2048, 2))
        self.assertGreater(subscription.instancia_id.revision, revision, "the sidecar is to look")
        self.assertEqual(len(desired["subscription"]["periods"]), 1, "it prolongs nothing")

    def test_its_invoice_sells_no_instance(self):
        change = self._change(self._begun(), self.bigger, pay=True)
        sidecar = self._sidecar()
        self.assertNotIn(change.move_id.id, sidecar.microsaas_unclaimed(100))
        self.assertEqual(sidecar.microsaas_invoice(change.move_id.id)["lines"], [])

    def test_renewals_are_at_the_price_that_was_shown(self):
        subscription = self._begun()
        with freeze_time("2026-04-20 12:00:00"):
            quote = subscription._quote(self.bigger)
        self._change(subscription, self.bigger, pay=True)
        self.bigger.list_price = 99
        move = self._renewal(subscription)
        self.assertEqual(move.invoice_line_ids.product_id, self.bigger)
        self.assertEqual(move.amount_total, quote["next_amount"])
        move.button_cancel()
        self.bigger.microsaas_renew_price = "list"
        self.assertEqual(self._renewal(subscription).amount_total, 99)

    def test_a_renewal_in_draft_is_made_anew(self):
        subscription = self._begun()
        draft = self._renewal(subscription)
        self._change(subscription, self.bigger, pay=True)
        self.assertEqual(draft.state, "cancel")
        self.assertEqual(self._renewal(subscription).amount_total, 60)

    def test_revenue_counts_it_for_the_days_that_are_left(self):
        subscription = self._begun()
        self._change(subscription, self.bigger, pay=True)
        months = [fields.Date.to_date(f"2026-0{month}-01") for month in (3, 4, 5)]
        revenue = self.env["microsaas.revenue"].sudo()._of_months(subscription.company_id, months)
        self.assertEqual([round(amount) for amount in revenue.values()], [0, 60, 0])

    def test_asked_for_twice_it_is_one_invoice(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        self.assertEqual(self._change(subscription, self.bigger), change)
        with self.assertRaisesRegex(UserError, "withdraw the change first"):
            self._change(subscription, self.smaller)
        with self.assertRaises(IntegrityError), mute_logger("odoo.sql_db"), self.cr.savepoint():
            change.copy({"state": "scheduled"})

    def test_the_same_price_changes_at_once(self):
        subscription = self._begun()
        self.smaller.list_price = 30
        change = self._change(subscription, self.smaller)
        self.assertEqual((change.state, subscription.product_id, change.move_id.ids), ("done", self.smaller, []))

    def test_a_cheaper_plan_waits_for_the_end_of_what_is_paid(self):
        subscription = self._begun()
        draft = self._renewal(subscription)
        change = self._change(subscription, self.smaller)
        self.assertEqual((change.state, str(change.day), change.move_id.ids), ("scheduled", "2026-05-10", []))
        self.assertEqual(draft.state, "cancel")
        renewal = self._renewal(subscription)
        self.assertEqual(renewal.amount_total, 12, "the next period is the new plan's")
        for day, product in (("2026-05-09", self.plan), ("2026-05-10", self.smaller)):
            with freeze_time(f"{day} 12:00:00"):
                change._cron_review()
            self.assertEqual(subscription.product_id, product)
        self.assertEqual((change.state, renewal.state), ("done", "draft"))

    def test_a_cheaper_plan_at_once_is_a_credit_note_in_draft(self):
        subscription = self._begun()
        change = self._change(subscription, self.smaller, is_cheaper_at_once=True)
        credit = change.move_id
        self.assertEqual((change.state, subscription.product_id), ("done", self.smaller))
        self.assertEqual((credit.move_type, credit.state, credit.amount_total), ("out_refund", "draft", 12.0))
        self.assertEqual(credit.reversed_entry_id, subscription.factura_id)
        credit.action_post()
        self._commit()
        money = self._desired(subscription)["subscription"]["periods"][0]["money"]
        self.assertEqual(money["reversed_ratio"], 0.0, "it takes no day away")

    def test_a_dearer_plan_takes_the_place_of_a_cheaper_one_to_come(self):
        subscription = self._begun()
        cheaper = self._change(subscription, self.smaller)
        self._change(subscription, self.bigger, pay=True)
        self.assertEqual((cheaper.state, subscription.product_id), ("withdrawn", self.bigger))

    def test_withdrawn_nobody_owes_its_invoice(self):
        subscription = self._begun()
        draft = self._change(subscription, self.bigger)
        subscription.with_user(self.seller).action_withdraw_change()
        self.assertEqual((draft.state, draft.move_id.state), ("withdrawn", "cancel"))
        posted = self._change(subscription, self.bigger)
        posted.move_id.action_post()
        invoice = posted.move_id
        subscription.action_withdraw_change()
        self.assertEqual((posted.state, invoice.payment_state, invoice.amount_residual), ("withdrawn", "reversed", 0))
        self.assertEqual(subscription.product_id, self.plan)

    def test_what_else_is_on_a_draft_stays(self):
        change = self._change(self._begun(), self.bigger)
        move = change.move_id
        move.invoice_line_ids = [self._line(self._product("Training"), price_unit=80)]
        change.action_withdraw()
        self.assertEqual((change.state, move.state, move.amount_total), ("withdrawn", "draft", 80))

    def test_what_is_being_paid_is_not_withdrawn(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.action_post()
        self._pay(change.move_id, amount=5)
        with self.assertRaisesRegex(UserError, "is being paid"):
            change.action_withdraw()
        subscription.action_cancelar()
        self.assertIn("unpaid", str(subscription.activity_ids.mapped("summary")))

    def _transaction(self, move):
        """Return what a payment provider has of a customer who is about to pay an invoice."""
        return self.env["payment.transaction"].sudo().create(
            {
                "provider_id": self.env["payment.provider"].sudo().search([], limit=1).id,
                "payment_method_id": self.env["payment.method"].sudo().with_context(active_test=False).search([], limit=1).id,
                "currency_id": move.currency_id.id,
                "partner_id": self.partner.id,
                "amount": move.amount_total,
                "reference": f"of {move.name}",
                "invoice_ids": [Command.set(move.ids)],
            }
        )

    def _at(self, record, moment):
        """Have a record made at a moment."""
        self.env.cr.execute(SQL("UPDATE %s SET create_date = %s WHERE id = %s", SQL.identifier(record._table), moment, record.id))
        record.invalidate_recordset()

    def test_who_is_on_the_providers_page_may_still_pay(self):
        change = self._change(self._begun(), self.bigger)
        change.move_id.action_post()
        transaction = self._transaction(change.move_id)
        self._at(transaction, "2026-04-20 11:10:00")
        with self.assertRaisesRegex(UserError, "is being paid"):
            change.action_withdraw()
        self._at(transaction, "2026-04-20 10:50:00")
        change.action_withdraw()
        self.assertEqual(change.state, "withdrawn")

    def test_money_for_what_was_withdrawn_is_asked_about_once(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.action_post()
        transaction = self._transaction(change.move_id)
        self._at(transaction, "2026-04-20 10:50:00")
        change.action_withdraw()
        transaction.state = "done"
        journal = self.company_data["default_journal_bank"]
        vals = {"partner_id": self.partner.id, "amount": transaction.amount, "journal_id": journal.id}
        self.env["account.payment"].create({**vals, "payment_transaction_id": transaction.id}).action_post()
        self._commit()
        self.assertEqual((change.state, subscription.product_id), ("late", self.plan))
        self.assertIn("cannot be made any more", str(subscription.activity_ids.mapped("summary")))
        subscription.activity_ids.unlink()
        change._review()
        self.assertFalse(subscription.activity_ids)

    def _broken(self, error):
        """Have plans not be given, for a moment."""
        return patch.object(self.env.registry["microsaas.subscription"], "_take_plan", side_effect=error)

    def test_a_change_that_is_refused_holds_up_no_payment(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        move = change.move_id
        move.action_post()
        with self._broken(UserError("The books are closed.")), self.assertLogs(LOGGER, "WARNING") as logs:
            self._pay(move)
            self._commit()
        self.assertIn("The books are closed.", logs.output[0])
        self.assertEqual((move.amount_residual, change.state, subscription.product_id), (0, "waiting", self.plan))
        change._cron_review()
        self.assertEqual((change.state, subscription.product_id), ("done", self.bigger))

    def test_a_change_that_fails_holds_up_no_other(self):
        first, second = (self._change(self._begun(), self.smaller) for _number in range(2))
        (first | second).day = "2026-04-20"
        with self._broken([ZeroDivisionError, None]), self.assertLogs(LOGGER, "ERROR"):
            first._cron_review()
        self.assertEqual((first.state, second.state), ("scheduled", "done"))
        with self._broken(SerializationFailure), self.assertRaises(SerializationFailure):
            first._cron_review()

    def test_a_renewal_waits_for_the_customers_choice(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.action_post()
        renewal = self._renewal(subscription)
        with freeze_time("2026-05-01 12:00:00"):
            with self.assertRaisesRegex(UserError, "then renew"), self.cr.savepoint():
                renewal.action_post()
        with freeze_time("2026-05-10 12:00:00"):
            renewal.action_post()
        self.assertEqual(change.state, "withdrawn", "its period is over: it is in nobody's way")

    def test_an_open_renewal_comes_first(self):
        subscription = self._begun()
        subscription._issue_renewal_invoice()
        with self.assertRaisesRegex(UserError, "for the next period is still to be paid"):
            self._change(subscription, self.bigger)

    def test_posted_renewals_made_ahead_wait_for_it(self):
        subscription = self._active(self._begun())
        subscription.fecha_inicio = subscription.fecha_fin - timedelta(days=10)
        self.plan.write({"microsaas_renew_days": 10, "microsaas_renew_issue": "posted"})
        change = subscription._change_plan(self.bigger, WHY)
        change.move_id.action_post()
        subscription._cron_issue_renewals()
        self.assertEqual(subscription.renewal_line_ids.move_id.state, "draft")

    def test_unpaid_until_the_end_it_is_withdrawn(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.action_post()
        with freeze_time("2026-05-09 12:00:00"):
            change._cron_review()
        self.assertEqual(change.state, "waiting")
        with freeze_time("2026-05-10 12:00:00"):
            change._cron_review()
        self.assertEqual(change.state, "withdrawn")

    def test_an_invoice_that_is_cancelled_withdraws_it(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.button_cancel()
        change._cron_review()
        self.assertEqual(change.state, "withdrawn")

    def test_credited_in_full_the_plan_before_is_back(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger, pay=True)
        with freeze_time("2026-04-25 12:00:00"):
            self._credit(change.line_ids.move_id)
            self._commit()
        self.assertEqual((change.state, subscription.product_id), ("undone", self.plan))
        self.assertEqual(self._renewal(subscription).amount_total, 30)
        self.assertIn("plan before is back", str(subscription.activity_ids.mapped("summary")))

    def test_money_that_is_missing_is_reconsidered(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger, pay=True)
        payment = change.move_id.reconciled_payment_ids
        with freeze_time("2026-04-25 12:00:00"):
            change.move_id.line_ids.remove_move_reconcile()
            self._commit()
            self.assertEqual((change.state, subscription.product_id), ("done", self.bigger), "for a day nothing happens")
        with freeze_time("2026-04-26 13:00:00"):
            change._cron_review()
            self.assertEqual((change.state, subscription.product_id), ("undone", self.plan))
            lines = (payment.move_id | change.move_id).line_ids
            lines.filtered(lambda line: line.account_id.account_type == "asset_receivable").reconcile()
            self._commit()
        self.assertEqual((change.state, subscription.product_id), ("done", self.bigger), "paid again, it is there again")

    def test_as_the_plan_says_about_refunds(self):
        for policy, asked in (("warn", True), ("ignore", False)):
            self.bigger.microsaas_refund = policy
            subscription = self._begun()
            change = self._change(subscription, self.bigger, pay=True)
            with freeze_time("2026-04-25 12:00:00"):
                self._credit(change.line_ids.move_id)
                self._commit()
            self.assertEqual(subscription.product_id, self.bigger)
            self.assertEqual("new plan stays" in str(subscription.activity_ids.mapped("summary")), asked)

    def test_credited_when_its_days_are_over_it_changes_nothing(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger, pay=True)
        subscription.fecha_fin = "2026-06-09"
        with freeze_time("2026-05-20 12:00:00"):
            self._credit(change.line_ids.move_id)
            self._commit()
        self.assertEqual(subscription.product_id, self.bigger)

    def test_paid_after_the_end_a_person_is_asked(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        change.move_id.action_post()
        subscription.sudo()._write({"state": "cancelled"})
        subscription.invalidate_recordset()
        self._pay(change.move_id)
        self._commit()
        self.assertEqual((change.state, subscription.product_id), ("late", self.plan))
        self.assertIn("cannot be made any more", str(subscription.activity_ids.mapped("summary")))

    def test_a_corrected_invoice_makes_the_same_change(self):
        subscription = self._begun()
        change = self._change(subscription, self.bigger)
        first = change.move_id
        first.action_post()
        wizard = self.env["account.move.reversal"].with_context(active_model="account.move", active_ids=first.ids)
        action = wizard.create({"journal_id": first.journal_id.id}).modify_moves()
        correction = self.env["account.move"].browse(action["res_id"])
        correction.action_post()
        self._pay(correction)
        self._commit()
        self.assertEqual((change.state, subscription.product_id), ("done", self.bigger))

    def test_a_copy_of_its_invoice_is_nothing_of_the_kind(self):
        change = self._change(self._begun(), self.bigger, pay=True)
        copy = change.move_id.copy()
        self.assertFalse(copy.invoice_line_ids.microsaas_change_id | copy.invoice_line_ids.suscripcion_id.change_ids)

    def test_what_cannot_be_changed_says_why(self):
        for vals, sentence in (
            ({"state": "cancelled"}, "undo the cancellation"),
            ({"state": "removed"}, "has ended"),
            ({"suspended_at": "2026-04-15 10:00:00", "state": "expired"}, "is suspended"),
            ({"fecha_fin": "2026-04-19"}, "is over"),
            ({"fecha_fin": False}, "no paid period"),
        ):
            subscription = self._begun()
            subscription.write(vals)
            with self.subTest(sentence), self.assertRaisesRegex(UserError, sentence):
                self._change(subscription, self.bigger)

    def test_plans_that_will_not_do_say_why(self):
        subscription = self._begun()
        other = self.env["docker.compose.template"].sudo().create({"name": "Own", "code": "own"})
        book, archived = self._product("A book"), self.bigger.copy()
        archived.product_tmpl_id.active = False
        for product, vals, sentence in (
            (self.plan, {}, "already"),
            (book, {}, "is no plan"),
            (archived, {}, "is no plan"),
            (self.smaller, {"plantilla_id": other.id}, "another template"),
        ):
            product.product_tmpl_id.sudo().write(vals)
            with self.subTest(sentence), self.assertRaisesRegex(UserError, sentence):
                self._change(subscription, product)
        url = "https://github.com/OCA/web.git"
        self.env["odoo.docker.repository"].sudo().create({"plan_id": self.bigger.product_tmpl_id.id, "url": url})
        with self.assertRaisesRegex(UserError, url):
            self._change(subscription, self.bigger)
        self.env["odoo.docker.repository"].sudo().create({"instance_id": subscription.instancia_id.id, "url": url})
        self.assertTrue(self._change(subscription, self.bigger))

    def test_modules_come_with_an_update_that_a_person_presses(self):
        asked = "press Update at night"
        self.bigger.microsaas_modules = "account, sale"
        subscription = self._begun()
        self._change(subscription, self.bigger, pay=True)
        self.assertNotIn(asked, str(subscription.activity_ids.mapped("summary")), "it has them all")
        self.bigger.microsaas_modules = "account, sale, website"
        for given in (False, "account,sale"):
            subscription = self._begun()
            instance = subscription.instancia_id.sudo()
            instance._quiet().given_modules = given
            self._change(subscription, self.bigger, pay=True)
            self.assertIn(asked, str(subscription.activity_ids.mapped("summary")))
            self.assertEqual((instance.given_modules, instance.is_update_available), ("account,sale", True))
            self.assertEqual(self._desired(subscription)["modules"], ["account", "sale", "website"])

    def test_cancelled_it_comes_no_more(self):
        subscription = self._begun()
        change = self._change(subscription, self.smaller)
        subscription.action_cancelar()
        self.assertEqual(change.state, "withdrawn")

    def test_a_plan_that_costs_nothing_goes_on_by_itself(self):
        subscription = self._begun()
        self.smaller.list_price = 0
        change = self._change(subscription, self.smaller)
        self.plan.microsaas_renew_days = 30
        with freeze_time("2026-05-01 12:00:00"):
            subscription._cron_issue_renewals()
        self.assertFalse(subscription.renewal_line_ids, "nothing is invoiced ahead")
        with freeze_time("2026-05-10 12:00:00"):
            change._cron_review()
        self.assertEqual(self._desired(subscription)["subscription"]["terms"]["free"], "continue")

    def test_the_seller_sees_what_it_costs_before(self):
        subscription = self._begun().with_user(self.seller)
        with freeze_time("2026-04-20 12:00:00"):
            action = subscription.instancia_id.action_change_plan()
            form = Form(self.env[action["res_model"]].with_user(self.seller).with_context(**action["context"]))
            form.product_id = self.smaller
            self.assertEqual((form.amount, form.next_amount, form.is_cheaper), (0.0, 12.0, True))
            self.assertIn("05/09/2026", form.outcome)
            form.is_at_once = True
            self.assertEqual(form.amount, -12.0)
            form.is_at_once = False
            form.product_id = self.bigger
            self.assertEqual((form.amount, form.next_amount), (20.0, 60.0))
            self.assertFalse(form.obstacle)
            action = form.save().action_confirm()
        self.assertEqual(self.env["account.move"].browse(action["res_id"]).amount_total, 20.0)
        self.assertIn("Bigger", subscription.open_change_text)

    def test_who_may_not_sell_changes_no_plan(self):
        subscription = self._begun()
        for user in (self.invoicer, self.employee, self._stranger()):
            with self.assertRaises(AccessError):
                subscription.with_user(user).action_change_plan()
            with self.assertRaises(AccessError):
                wizard = self.env["microsaas.change.plan"].with_user(user).create({"subscription_id": subscription.id})
                wizard.product_id = self.bigger
                wizard.action_confirm()

    def test_nobody_acts_on_a_subscription_of_another_company(self):
        subscription = self._begun()
        change = self._change(subscription, self.smaller)
        stranger = self._stranger()
        theirs = subscription.with_user(stranger)
        for act in (theirs.action_cancelar, theirs.action_reanudar, theirs.action_withdraw_change, change.with_user(stranger).action_withdraw):
            self.env.invalidate_all()
            with self.subTest(act.__name__), self.assertRaises(AccessError):
                act()
        self.assertEqual((subscription.state, change.state), ("active", "scheduled"))

    def test_a_subscription_has_the_plan_that_its_instance_shows(self):
        subscription = self._begun()
        instance = subscription.instancia_id
        self.assertEqual(instance.plan_id, self.plan.product_tmpl_id)
        subscription.product_id = self.bigger
        self.assertEqual(instance.plan_id, self.bigger.product_tmpl_id)
        found = self.env["odoo.docker.instance"].search([("plan_id", "=", self.bigger.product_tmpl_id.id)])
        self.assertEqual(found, instance)
        self.assertEqual(fields.Date.to_string(subscription.fecha_fin), "2026-05-09")
