from odoo import models


class AccountPayment(models.Model):
    _inherit = "account.payment"

    def action_post(self):
        """A provider's refund, and its payment of what nobody owes any more, change nothing on the invoice: look at it."""
        result = super().action_post()
        transactions = self.sudo().payment_transaction_id
        refunds = transactions.filtered(lambda tx: tx.operation == "refund")
        moves = (transactions | refunds.source_transaction_id).invoice_ids
        moves._microsaas_touch(moves.ids)
        return result
