from odoo import fields, models
from odoo.exceptions import ValidationError


class SaleOrder(models.Model):
    _inherit = "sale.order"

    def _microsaas_lines(self):
        """Return the lines that sell instances."""
        return self.order_line.filtered(lambda line: line._microsaas_units())

    def _microsaas_is_being_paid(self):
        """Tell whether money for this order is on its way or here."""
        return any(tx.state in ("pending", "authorized", "done") for tx in self.sudo().transaction_ids)

    def _microsaas_default_wish(self):
        """Return the text that instances are named after when nobody chose a name."""
        partner = self.partner_id.commercial_partner_id
        is_nobody = self.website_id and partner == self.website_id.user_id.partner_id
        return "" if is_nobody else partner.name or ""

    # -- the way to an instance ----------------------------------------------------------------

    def _microsaas_lost_names(self):
        """Try once more for names that could not be had; return the rows that stay mere wishes."""
        names = self.env["microsaas.instance.name"].sudo()
        for line in self._microsaas_lines():
            units = line._microsaas_units()
            for row in line.sudo().microsaas_name_ids:
                if row.unit > units:  # the customer took some out of the cart again
                    row.unlink()
                elif not row.reserved:
                    names._choose(line, row.unit, row.name)
        return self.order_line.sudo().microsaas_name_ids.filtered(lambda row: not row.reserved)

    def _needs_customer_address(self):
        """The invoice of a plan wants the customer's address, though nothing is shipped."""
        return super()._needs_customer_address() or bool(self._microsaas_lines())

    def _check_cart_is_ready_to_be_paid(self):
        """Before money moves, every chosen name is this order's.

        :raise ValidationError: a name that somebody else has meanwhile, with a free one near it
        """
        for row in self._microsaas_lost_names():
            raise ValidationError(
                self.env._(
                    "The name “%(name)s” cannot be used any more. Go back to the cart and choose another, for"
                    " example “%(free)s”.",
                    name=row.name,
                    free=row._suggestion(row.name, row.order_line_id, row.unit),
                )
            )
        # From here on the cart is in use: its names count as chosen just now.
        self.order_line.sudo().microsaas_name_ids.chosen_at = fields.Datetime.now()
        return super()._check_cart_is_ready_to_be_paid()

    def action_quotation_sent(self):
        """A shop order that waits for a transfer is accepted and signed in the portal, as a quotation is."""
        result = super().action_quotation_sent()
        for order in self.filtered(lambda order: order.website_id and order._microsaas_lines()):
            order.require_signature = order.company_id.portal_confirmation_sign
        return result

    def action_confirm(self):
        result = super().action_confirm()
        self._microsaas_lines()._microsaas_name_units()
        return result


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _renewal_pricelist(self):
        """The prices of today are those of the pricelist that it was bought from."""
        order = self.instancia_id.linea_factura_id.sale_line_ids.order_id[:1]
        return order.pricelist_id or super()._renewal_pricelist()
