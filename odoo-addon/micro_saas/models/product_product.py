from odoo import models

from .product_template import MONTHS


class ProductProduct(models.Model):
    _inherit = "product.product"

    def _microsaas_months(self):
        """Return the months of one unit of this plan; 0 for no product."""
        return MONTHS[self.duracion_suscripcion or "monthly"] if self else 0
