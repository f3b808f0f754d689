from odoo import models


class AccountPayment(models.Model):
    _inherit = "account.payment"

    def action_post(self):
        """A provider's refund changes nothing on the invoice that was paid: look at that invoice."""
        result = super().action_post()
        if "payment_transaction_id" in self._fields:  # account_payment is installed
            refunds = self.sudo().payment_transaction_id.filtered(lambda tx: tx.operation == "refund")
            moves = refunds.source_transaction_id.invoice_ids
            moves._microsaas_touch(moves.ids)
        return result
