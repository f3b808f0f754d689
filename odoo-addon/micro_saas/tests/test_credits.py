from odoo import fields
from odoo.tests import tagged

from .test_money import MoneyCase


@tagged("post_install", "-at_install")
class TestCredits(MoneyCase):
    """Credit notes take back what they credit, and pay what they are deducted from."""

    def _settle_with(self, move, credit):
        lines = (move | credit).line_ids
        receivable = lines.filtered(lambda line: line.account_id.account_type == "asset_receivable")
        receivable.filtered(lambda line: not line.reconciled).reconcile()

    def _free_credit(self, *lines):
        """Return a posted credit note that names no invoice."""
        return self._invoice(*lines, move_type="out_refund", pay=False)

    def test_an_older_credit_pays_another_invoice(self):
        old = self._invoice(self._line(self._product("Consulting"), price_unit=30))
        credit = self._credit(old)
        move = self._invoice(pay=False)
        self._settle_with(move, credit)
        self.assertEqual(move.payment_state, "reversed", "as Odoo sees it")
        self.assertFalse(move._microsaas_refusal())
        unclaimed = self._sidecar().microsaas_unclaimed(1000)
        self.assertIn(move.id, unclaimed)
        read = self._sidecar().microsaas_invoice(move.id)
        self.assertEqual((read["payment_state"], read["reversed_ratio"]), ("paid", 0.0))
        self.assertTrue(self._claimed_ids([{"line_id": move.invoice_line_ids.id, "unit": 1}]))

    def test_its_own_credit_note_takes_it_back(self):
        move = self._invoice(pay=False)
        self._settle_with(move, self._credit(move))
        self.assertIn("refunded", move._microsaas_refusal())
        self.assertNotIn(move.id, self._sidecar().microsaas_unclaimed(1000))

    def test_a_credit_of_the_plan_that_names_no_invoice_is_asked_about(self):
        move = self._invoice(pay=False)
        credit = self._free_credit(self._line())
        self.assertIn("names no invoice", credit.activity_ids.note)
        self._settle_with(move, credit)
        self.assertTrue(move._microsaas_refusal())
        read = self._sidecar().microsaas_invoice(move.id)
        self.assertEqual((read["unlinked_credit"], read["payment_state"]), (credit.name, "reversed"))
        self.assertIn(move.id, self._sidecar().microsaas_unclaimed(1000))
        move.with_user(self.seller).action_microsaas_approve()
        self.assertFalse(move._microsaas_refusal())

    def test_goodwill_is_money(self):
        move = self._invoice(pay=False)
        credit = self._free_credit(self._line(self._product("Goodwill")))
        self.assertFalse(credit.activity_ids)
        self._settle_with(move, credit)
        self.assertFalse(move._microsaas_refusal())

    def test_a_credit_in_another_currency_counts_at_its_own_day(self):
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        credit = self._credit(self.move, post=False)
        credit.write({"currency_id": other.id, "invoice_date": fields.Date.today()})
        credit.invoice_line_ids.price_unit = 30  # 15 in the invoice's
        credit.action_post()
        self.assertEqual(self.move._microsaas_reversed_ratio(), 0.5)
        self.assertEqual(self.move.invoice_line_ids._microsaas_reversed_ratio(), 0.5)


@tagged("post_install", "-at_install", "-standard", "microsaas_payment")
class TestRefundsOfTheShop(MoneyCase):
    def test_a_refund_counts_by_what_its_payment_paid(self):
        """One payment paid 30 of one invoice and the last 10 of another; 20 of the 40 are sent back."""
        provider = self.env["payment.provider"].search([("code", "=", "demo")], limit=1)
        whole, rest = self._invoice(pay=False), self._invoice(pay=False)
        self._pay(rest, amount=20)
        moves = whole | rest
        wizard = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=moves.ids
        )
        payment = wizard.create({"group_payment": True})._create_payments()
        self.assertEqual((len(payment), payment.amount), (1, 40.0))
        paid = self.env["payment.transaction"].create(
            {
                "provider_id": provider.id,
                "payment_method_id": provider.payment_method_ids[:1].id,
                "currency_id": whole.currency_id.id,
                "partner_id": self.partner.id,
                "amount": 40,
                "reference": "both",
                "state": "done",
                "payment_id": payment.id,
                "invoice_ids": [(6, 0, moves.ids)],
            }
        )
        paid._create_child_transaction(20, is_refund=True)._set_done()
        self.assertAlmostEqual(whole._microsaas_reversed_ratio(), 0.5)
        self.assertAlmostEqual(rest._microsaas_reversed_ratio(), 5 / 30)
