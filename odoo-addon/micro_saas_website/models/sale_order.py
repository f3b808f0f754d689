from odoo import api, fields, models
from odoo.exceptions import ValidationError


class SaleOrder(models.Model):
    _inherit = "sale.order"

    microsaas_missing = fields.Char(
        "What an instance waits for", compute="_compute_microsaas_missing", compute_sudo=True
    )

    @api.depends_context("lang")
    @api.depends(
        "state", "order_line.product_id", "order_line.product_uom_qty", "transaction_ids.state",
        "invoice_ids.state", "invoice_ids.payment_state", "invoice_ids.instancia_ids",
    )
    def _compute_microsaas_missing(self):
        for order in self:
            order.microsaas_missing = order._microsaas_missing_sentence()

    def _microsaas_missing_sentence(self):
        """Return what must still happen before the instances sold here exist; empty if nothing, or none is sold."""
        _ = self.env._
        lines = self._microsaas_lines()
        if not lines:
            return ""
        if self.state == "cancel":
            return _("The order is cancelled: no instance is created.")
        last = self.transaction_ids.sorted("id")[-1:]
        if self.state in ("draft", "sent"):
            return {
                "pending": _("The payment is pending. The instance is created once the money has arrived."),
                "authorized": _("The payment is authorised but not captured yet."),
                "cancel": _("The payment was abandoned. Pay the order to get the instance."),
                "error": _("The payment was refused. Try again or choose another way to pay."),
            }.get(last.state, _("The order is not confirmed and not paid yet."))
        moves = self.invoice_ids.filtered(lambda move: move.move_type == "out_invoice" and move.state != "cancel")
        if not moves:
            return _("There is no invoice yet. Create it and register its payment.")
        if "draft" in moves.mapped("state"):
            return _("The invoice is still a draft. Confirm it and register its payment.")
        if any(move.payment_state not in ("paid", "in_payment") for move in moves):
            return _("The invoice is not paid yet.")
        instances = moves.with_context(active_test=False).instancia_ids
        if len(instances) >= sum(line._microsaas_units() for line in lines):
            return ""
        if "manual" in lines.product_id.mapped("microsaas_provision"):
            return _("Everything is paid. Open the invoice and press Create instance.")
        return _("Everything is paid. The instance is about to be created.")

    def _microsaas_lines(self):
        return self.order_line.filtered(lambda line: line._microsaas_units())

    def _microsaas_instances(self):
        """Return the instances that this order's invoices brought about."""
        return self.invoice_ids.instancia_ids

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
