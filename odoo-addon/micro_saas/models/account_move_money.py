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
            "payment_state": self.payment_state or "not_paid",
            "reversed_ratio": self._microsaas_reversed_ratio(),
        }

    def _microsaas_reversed_ratio(self):
        """Return how much of this invoice was credited or sent back, from 0.0 to 1.0."""
        if self.payment_state == "reversed":
            return 1.0
        credits = self.reversal_move_ids.filtered(lambda move: move.state == "posted")
        # A credit note and the money sent back for it are one thing, so the larger of the two counts.
        gone = max(sum(credits.mapped("amount_total")), self._microsaas_sent_back())
        return min(gone / self.amount_total, 1.0) if self.amount_total else 0.0

    def _microsaas_sent_back(self):
        """Return what payment providers have refunded: that leaves the invoice paid, without a credit note."""
        if "transaction_ids" not in self._fields:  # account_payment is not installed
            return 0.0
        refunds = self.sudo().transaction_ids.child_transaction_ids.filtered(
            lambda transaction: transaction.operation == "refund" and transaction.state == "done"
        )
        return -sum(refunds.mapped("amount"))

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
        return min(sum(credits.mapped("price_subtotal")) / self.price_subtotal, 1.0)
