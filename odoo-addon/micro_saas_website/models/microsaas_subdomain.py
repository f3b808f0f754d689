from odoo import api, models


class MicrosaasSubdomain(models.Model):
    """A name that a cart or an order has reserved goes to the instance that is sold by it, and to no other."""

    _inherit = "microsaas.subdomain"

    @api.model
    def _is_taken(self, name, instance):
        if super()._is_taken(name, instance):
            return True
        row = self._reservation(name)
        return bool(instance and row) and row._counts() and not self._is_sold_by(row, instance)

    @api.model
    def _take(self, instance, name):
        is_taken = super()._take(instance, name)
        row = self._reservation(name)
        if is_taken and row and self._is_sold_by(row, instance):
            row.is_given = True
        return is_taken

    @api.model
    def _reservation(self, name):
        return self.env["microsaas.instance.name"].sudo().search([("name", "=", name), ("reserved", "=", True)])

    @api.model
    def _is_sold_by(self, row, instance):
        """Tell whether a reservation is of the order line that an instance is sold by."""
        return row.order_line_id in instance.sudo().linea_factura_id.sale_line_ids
