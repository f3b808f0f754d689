from odoo import models


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _renewal_pricelist(self):
        """The prices of today are those of the pricelist that it was bought from."""
        order = self.instancia_id.linea_factura_id.sale_line_ids.order_id[:1]
        return order.pricelist_id or super()._renewal_pricelist()
