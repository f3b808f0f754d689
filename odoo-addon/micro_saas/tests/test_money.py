from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .common import MicroSaasCommon


class MoneyCase(MicroSaasCommon):
    """A paid invoice with its instance, which the sidecar has looked at."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.move = cls._invoice()
        cls.instance = cls._instance(cls.move)
        cls._look(cls.instance)

    def _settle(self):
        """Nothing is due: the sidecar has looked."""
        self._look(self.instance)

    @classmethod
    def _look(cls, instance):
        cls._commit()
        later = fields.Datetime.now() + timedelta(days=1)
        instance._quiet().next_review = later

    @classmethod
    def _commit(cls):
        cls.env.flush_all()
        cls.env.cr.precommit.run()

    def _assert_money(self, payment_state, state="posted", ratio=0.0, due=True, line=None):
        self._commit()
        if due is not None:  # else Odoo computes what it likes, and no money has come or gone
            is_due = self.instance.next_review <= fields.Datetime.now()
            self.assertEqual(is_due, due, "whether the instance is due")
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        money = {
            period["line_id"]: period["money"] for period in desired["subscription"]["periods"]
        }[(line or self.move.invoice_line_ids).id]
        expected = {"move_type": "out_invoice", "state": state, "payment_state": payment_state}
        self.assertEqual(money, {**expected, "reversed_ratio": ratio})

    def _unreconcile(self, move):
        move.line_ids.remove_move_reconcile()


@tagged("post_install", "-at_install")
class TestMoney(MoneyCase):
    """Money comes and goes back in every way Odoo knows; the sidecar must see it, and be told in the same transaction."""

    def test_paid(self):
        self._assert_money("paid", due=False)

    def test_unreconciled_and_reconciled_again(self):
        payment = self.move.reconciled_payment_ids
        self._unreconcile(self.move)
        self._assert_money("not_paid")
        self._settle()
        lines = (payment.move_id | self.move).line_ids
        lines.filtered(lambda line: line.account_id.account_type == "asset_receivable").reconcile()
        self._assert_money("paid")

    def test_what_the_sidecar_saw_before_postpones_no_payment(self):
        seen = self.instance.revision
        self.move.reconciled_payment_ids.action_cancel()
        self._commit()
        later = fields.Datetime.to_string(fields.Datetime.now() + timedelta(days=1))
        report = {"id": self.instance.id, "revision": seen, "next_review": later}
        self._sidecar().microsaas_report([report])
        self._assert_money("not_paid")

    def test_payment_cancelled(self):
        self.move.reconciled_payment_ids.action_cancel()
        self._assert_money("not_paid")

    def test_part_of_the_payment(self):
        self._unreconcile(self.move)
        self.move.reconciled_payment_ids.action_draft()
        self._settle()
        self._pay(self.move, amount=10)
        self._assert_money("partial")

    def test_credit_note_on_a_paid_invoice(self):
        self._credit(self.move)
        self._assert_money("paid", ratio=1.0)

    def test_credit_note_in_draft_is_none(self):
        self._credit(self.move, post=False)
        self._assert_money("paid", due=None)

    def test_credit_note_of_a_part(self):
        move = self._invoice(self._line(quantity=4), self._line(self._product("A book")))
        self.instance = self._instance(move)
        self._settle()
        credit = self._credit(move, post=False)
        credit.invoice_line_ids[1].unlink()
        credit.invoice_line_ids.quantity = 3
        credit.action_post()
        self._assert_money("paid", ratio=0.75, line=move.invoice_line_ids[0])

    def test_reset_to_draft_and_posted_again(self):
        self.move.button_draft()
        self._assert_money("paid", state="draft")
        self._settle()
        self.move.action_post()
        self._assert_money("paid")

    def test_cancelled(self):
        self.move.button_draft()
        self.move.button_cancel()
        self._assert_money("not_paid", state="cancel")

    def _modify(self, move):
        """Reverse an invoice and return the draft that corrects it."""
        wizard = self.env["account.move.reversal"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        action = wizard.create({"journal_id": move.journal_id.id}).modify_moves()
        return self.env["account.move"].browse(action["res_id"])

    def test_reversed_and_modified(self):
        correction = self._modify(self.move)
        self._assert_money("reversed", ratio=1.0)
        self._settle()
        correction.action_post()
        self._pay(correction)
        line = correction.invoice_line_ids
        self._assert_money("paid", line=line)
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        first, second = desired["subscription"]["periods"]
        self.assertEqual((first["is_first"], second["is_first"]), (True, False))
        self.assertEqual(second["replaces"], self.move.invoice_line_ids.id)
        self.assertEqual(second["sold"], {"unit": 1, "quantity": 1.0, "removed": []})

    def test_a_correction_is_no_new_sale(self):
        correction = self._modify(self.move)
        correction.invoice_line_ids.quantity = 2
        correction.action_post()
        self._pay(correction)
        [line] = self._sidecar().microsaas_invoice(correction.id)["lines"]
        self.assertEqual((line["claimed"], line["quantity"]), ([1], 2))
        self.assertEqual(self._instance(correction).unidad, 2, "only the unit that is new")

    def test_a_corrected_renewal_renews_the_same(self):
        renewal = self._renewal()
        correction = self._modify(renewal)
        self.assertEqual(correction.invoice_line_ids.suscripcion_id, self.instance.subscription_ids)
        self.assertEqual(correction.invoice_line_ids.microsaas_origen_id, renewal.invoice_line_ids)

    def test_a_copied_renewal_renews_again(self):
        copy = self._renewal().copy()
        self.assertEqual(copy.invoice_line_ids.suscripcion_id, self.instance.subscription_ids)
        self.assertFalse(copy.invoice_line_ids.microsaas_origen_id)

    def _renewal(self):
        move = self.instance.subscription_ids._issue_renewal_invoice()
        self._pay(move)
        return move

    def test_a_renewal_is_due_and_no_sale(self):
        renewal = self._renewal()
        self._assert_money("paid", line=renewal.invoice_line_ids)
        invoice = self._sidecar().microsaas_invoice(renewal.id)
        self.assertEqual((invoice["lines"], invoice["instance_ids"]), ([], self.instance.ids))
        self._settle()
        self._credit(renewal)
        self._assert_money("paid", ratio=1.0, line=renewal.invoice_line_ids)

    def test_a_credit_note_leads_to_its_instances(self):
        credit = self._credit(self.move)
        invoices = self._sidecar()
        self.assertEqual(invoices.microsaas_invoice(credit.id)["instance_ids"], self.instance.ids)

    def test_a_line_that_a_person_ties_to_a_subscription(self):
        move = self._invoice()
        self._settle()
        move.invoice_line_ids.suscripcion_id = self.instance.subscription_ids
        self._assert_money("paid", line=move.invoice_line_ids)

    def test_payment_reset_to_draft(self):
        """Odoo itself goes on saying that the invoice is paid."""
        self.move.reconciled_payment_ids.action_draft()
        self._assert_money("paid", due=None)

    def _by_hand(self, move):
        """Return an instance whose subscription a line of this unpaid invoice renews: it is read, paid or not."""
        move.invoice_line_ids.suscripcion_id = self.instance.subscription_ids
        self._settle()
        return move.invoice_line_ids

    def test_posted_and_paid_in_two_parts(self):
        move = self._invoice(post=False)
        line = self._by_hand(move)
        move.action_post()
        self._assert_money("not_paid", line=line)
        self._settle()
        self._pay(move, amount=10)
        self._assert_money("partial", line=line)
        self._settle()
        self._pay(move)
        self._assert_money("paid", line=line)

    def test_credit_note_on_an_unpaid_invoice(self):
        move = self._invoice(pay=False)
        line = self._by_hand(move)
        self._credit(move)
        lines = (move | move.reversal_move_ids).line_ids
        receivable = lines.filtered(lambda it: it.account_id.account_type == "asset_receivable")
        receivable.filtered(lambda it: not it.reconciled).reconcile()
        self._assert_money("reversed", ratio=1.0, line=line)

    def test_blocked_and_unblocked(self):
        move = self._invoice(pay=False)
        line = self._by_hand(move)
        move.action_toggle_block_payment()
        self._assert_money("blocked", due=None, line=line)
        self._settle()
        move.action_toggle_block_payment()
        self._assert_money("not_paid", due=None, line=line)

    def test_free_of_charge(self):
        move = self._invoice(self._line(price_unit=0))
        self.instance = self._instance(move)
        self._settle()
        self._assert_money("paid", due=False, line=move.invoice_line_ids)


@tagged("post_install", "-at_install", "-standard", "microsaas_payment")
class TestMoneyOfTheShop(MoneyCase):
    """The same through a payment provider: asked for by its tag, where `payment_demo` is installed."""

    def test_sent_back_by_the_payment_provider(self):
        provider = self.env["payment.provider"].search([("code", "=", "demo")], limit=1)
        journal = self.company_data["default_journal_bank"]
        provider.write({"state": "test", "journal_id": journal.id})
        values = {
            "provider_id": provider.id,
            "payment_method_id": provider.payment_method_ids[:1].id,
            "currency_id": self.move.currency_id.id,
            "partner_id": self.partner.id,
            "amount": self.move.amount_total,
            "reference": "shop",
            "state": "done",
            "invoice_ids": [(6, 0, self.move.ids)],
        }
        paid = self.env["payment.transaction"].create(values)
        refund = paid._create_child_transaction(self.move.amount_total, is_refund=True)
        refund._set_done()
        refund._post_process()
        self._assert_money("paid", ratio=1.0)
