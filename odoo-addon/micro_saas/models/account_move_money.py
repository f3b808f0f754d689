"""What became of the money: which payments have stayed, and whose subscriptions they are about."""

from odoo import models
from odoo.tools import SQL

from .nudge import nudge


class AccountMove(models.Model):
    _inherit = "account.move"

    def _microsaas_money(self):
        """Return what decides whether this invoice is paid, as the sidecar reads it; False for no invoice."""
        return bool(self) and {
            "move_type": self.move_type,
            "state": self.state,
            "payment_state": self._microsaas_payment_state(),
            "reversed_ratio": self._microsaas_reversed_ratio(),
        }

    def _microsaas_payment_state(self):
        """Return Odoo's payment state, but for what another invoice's credit has settled: that is paid.

        Odoo says `reversed` whenever credit notes alone have settled an invoice, whichever invoice they credit.
        """
        if self.payment_state == "reversed" and not self._microsaas_is_fully_reversed():
            return "paid"
        return self.payment_state or "not_paid"

    def _microsaas_reversed_ratio(self):
        """Return how much of this invoice was credited or sent back, from 0.0 to 1.0."""
        credits = self.reversal_move_ids.filtered(lambda move: move.state == "posted")
        if not self.microsaas_approved:
            credits |= self._microsaas_unlinked_credits()
        if self.payment_state == "reversed" and self._microsaas_settling_credits() <= credits:
            return 1.0  # whatever the rates of two currencies make of it
        # A credit note and the money sent back for it are one thing, so the larger of the two counts.
        gone = max(
            sum(self._microsaas_in_its_currency(credit.amount_total, credit) for credit in credits),
            self._microsaas_sent_back(),
        )
        if not self.amount_total:
            return 0.0
        is_all = self.currency_id.compare_amounts(gone, self.amount_total) >= 0
        return 1.0 if is_all else gone / self.amount_total

    def _microsaas_in_its_currency(self, amount, other):
        """Return an amount of another document in this invoice's currency, at that document's date."""
        day = other.date if other._name == self._name else other.create_date.date()
        return other.currency_id._convert(amount, self.currency_id, self.company_id, day)

    def _microsaas_unlinked_credits(self):
        """Return the credit notes of the same plan that settle this invoice and do not say which invoice they credit.

        They may take this very sale back, or pay it with an older credit: only a person knows.
        """
        return self._microsaas_settling_credits().filtered(
            lambda move: not move.reversed_entry_id and move._microsaas_plans() & self._microsaas_plans()
        )

    def _microsaas_settling_credits(self):
        if self.payment_state != "reversed":
            return self.browse()
        return self._get_reconciled_amls().move_id.filtered(lambda move: move.move_type == "out_refund")

    def _microsaas_plans(self):
        return self.invoice_line_ids.product_id.product_tmpl_id.filtered("es_plan_microsaas")

    def _microsaas_sent_back(self):
        """Return what payment providers have refunded: that leaves the invoice paid, without a credit note."""
        if "transaction_ids" not in self._fields:  # account_payment is not installed
            return 0.0
        gone = 0.0
        for paid in self.sudo().transaction_ids:
            refunds = paid.child_transaction_ids.filtered(
                lambda transaction: transaction.operation == "refund" and transaction.state == "done"
            )
            share = self._microsaas_share_of(paid) if refunds else 0.0
            gone -= sum(share * self._microsaas_in_its_currency(refund.amount, refund) for refund in refunds)
        return gone

    def _microsaas_share_of(self, transaction):
        """Return which part of a payment transaction has paid this invoice, from 0.0 to 1.0."""
        moves = transaction.invoice_ids
        paid = {move: move._microsaas_paid_by(transaction.payment_id) for move in moves}
        if not any(paid.values()):  # not reconciled any more, or not yet
            paid = {move: move.amount_total for move in moves}
        total = sum(paid.values())
        return paid.get(self, 0.0) / total if total else 0.0

    def _microsaas_paid_by(self, payment):
        """Return how much of this invoice a payment has paid, in the company's currency."""
        partials = payment.move_id.line_ids.matched_debit_ids
        return sum(partials.filtered(lambda one: one.debit_move_id.move_id == self).mapped("amount"))

    def _post(self, soft=True):
        """A credit note of a plan that names no invoice leaves the instance as it is: a person has to look."""
        posted = super()._post(soft)
        for credit in posted.filtered(lambda move: move.move_type == "out_refund" and not move.reversed_entry_id):
            plans = credit._microsaas_plans()
            instances = self.env["odoo.docker.instance"].sudo().search(
                [
                    ("partner_id", "child_of", credit.commercial_partner_id.ids),
                    ("plan_id", "in", plans.ids),
                ]
            ) if plans else ()
            if instances:
                credit._microsaas_ask_about_unlinked(instances)
        return posted

    def _microsaas_ask_about_unlinked(self, instances):
        note = self.env._(
            "This credit note names no invoice, so it takes no paid time away from %(instances)s. If it should, credit"
            " the invoice itself: open it and press Credit Note.",
            instances=", ".join(instances.mapped("name")),
        )
        person = self.invoice_user_id or self.env.ref("base.user_admin")
        self.activity_schedule("micro_saas.mail_activity_type_hold", note=note, user_id=person.id)

    def _microsaas_touch(self, move_ids):
        """Note that something has happened to the money of invoices.

        Their instances become due in this very transaction, so that no payment is ever missed; the nudge after it
        is only for speed. May be called inside a flush.
        """
        nudge(self.env, self._name, move_ids)
        precommit = self.env.cr.precommit
        if "microsaas.touched" not in precommit.data:
            precommit.data["microsaas.touched"] = set()
            precommit.add(self.env["account.move"].sudo()._microsaas_make_due)
        precommit.data["microsaas.touched"].update(move_ids)

    def _microsaas_make_due(self):
        move_ids = self.env.cr.precommit.data.pop("microsaas.touched", ())
        instance_ids = self.browse(move_ids)._microsaas_paid_instance_ids()
        self.env["odoo.docker.instance"].browse(instance_ids)._make_due()

    def _microsaas_paid_instance_ids(self):
        """Return the ids of the instances whose subscriptions these invoices pay for, or credit notes take from."""
        rows = self.env.execute_query(
            SQL(
                """WITH RECURSIVE line AS (
                       SELECT id, suscripcion_id, microsaas_origen_id
                         FROM account_move_line
                        WHERE move_id = ANY(%(ids)s)
                        UNION
                       SELECT origin.id, origin.suscripcion_id, origin.microsaas_origen_id
                         FROM account_move_line origin
                         JOIN line ON line.microsaas_origen_id = origin.id)
                   SELECT instance.id
                     FROM line JOIN odoo_docker_instance instance ON instance.linea_factura_id = line.id
                    UNION
                   SELECT subscription.instancia_id
                     FROM line JOIN microsaas_subscription subscription ON subscription.id = line.suscripcion_id
                    WHERE subscription.instancia_id IS NOT NULL
                    UNION
                   SELECT id FROM odoo_docker_instance WHERE factura_id = ANY(%(ids)s)""",
                ids=[*self.ids, *self.exists().reversed_entry_id.ids],
            )
        )
        return [instance_id for (instance_id,) in rows]


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def write(self, vals):
        result = super().write(vals)
        if "suscripcion_id" in vals:
            self.move_id._microsaas_touch(self.move_id.ids)
        return result

    def _copy_data_extend_business_fields(self, values):
        """A credit note, or what corrects a reversed invoice, remembers the lines it comes from."""
        super()._copy_data_extend_business_fields(values)
        values["microsaas_origen_id"] = self.id

    def _microsaas_corrections(self):
        """Return the lines that sell the units of these anew, after their invoice was reversed."""
        corrections = self.microsaas_copia_ids.filtered(
            lambda line: line.move_id.move_type == "out_invoice" and not line.suscripcion_id
        )
        return corrections | corrections._microsaas_corrections() if corrections else corrections

    def _microsaas_money(self):
        """Return what decides whether this line is paid, as the sidecar reads it."""
        return {**self.move_id._microsaas_money(), "reversed_ratio": self._microsaas_reversed_ratio()}

    def _microsaas_reversed_ratio(self):
        """Return how much of this line was credited or sent back, from 0.0 to 1.0."""
        of_the_move = self.move_id._microsaas_reversed_ratio()
        credits = self.microsaas_copia_ids.filtered(
            lambda line: line.move_id.move_type == "out_refund" and line.parent_state == "posted"
        )
        if of_the_move >= 1.0 or not self.price_subtotal:
            return of_the_move
        gone = sum(
            self.move_id._microsaas_in_its_currency(line.price_subtotal, line.move_id) for line in credits
        )
        return min(gone / self.price_subtotal, 1.0)
