from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _microsaas_ordered_by(self):
        """The invoice may go to the bookkeeping; whoever bought is the administrator."""
        return self.sale_line_ids.order_id[:1].partner_id or super()._microsaas_ordered_by()
