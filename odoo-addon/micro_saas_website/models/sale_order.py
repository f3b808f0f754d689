from odoo import api, fields, models
from odoo.exceptions import ValidationError

from odoo.addons.micro_saas.models.by_hand import BY_HAND, ByHand

BY_HAND["sale.order"] = {}
# What the last attempt to pay says of an order that is not confirmed.
PAYMENT_STEPS = {"pending": "pending", "authorized": "authorized", "cancel": "abandoned", "error": "refused"}


class SaleOrder(ByHand, models.Model):
    """An order of instances: their names from the cart to the invoice, and how far it is on its way to them."""

    _inherit = "sale.order"

    microsaas_missing = fields.Char(
        "What an instance waits for", compute="_compute_microsaas_missing", compute_sudo=True
    )

    @api.depends_context("lang")
    @api.depends(
        "state", "order_line.product_id.microsaas_provision", "order_line.product_uom_qty", "transaction_ids.state",
        "invoice_ids.state", "invoice_ids.payment_state", "invoice_ids.instancia_ids.state", "invoice_ids.instancia_ids.reason",
    )
    def _compute_microsaas_missing(self):
        for order in self:
            order.microsaas_missing = order._microsaas_office_sentences().get(order._microsaas_step(), "")

    # -- actions -----------------------------------------------------------------------------------

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

    # -- what it sells -----------------------------------------------------------------------------

    def _microsaas_lines(self):
        """Return the lines that sell instances."""
        return self.order_line.filtered(lambda line: line._microsaas_units())

    def _microsaas_is_being_paid(self):
        """Tell whether money for this order is on its way or here."""
        return any(tx.state in ("pending", "authorized", "done") for tx in self.sudo().transaction_ids)

    def _needs_customer_address(self):
        """The invoice of a plan wants the customer's address, though nothing is shipped."""
        return super()._needs_customer_address() or bool(self._microsaas_lines())

    # -- the names of its instances ----------------------------------------------------------------

    def _microsaas_default_wish(self):
        """Return the text that instances are named after when nobody chose a name."""
        partner = self.partner_id.commercial_partner_id
        is_nobody = self.website_id and partner == self.website_id.user_id.partner_id
        return "" if is_nobody else partner.name or ""

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

    # -- what comes next, in the office's words and in the customer's ------------------------------

    def _microsaas_step(self):
        """Return what comes next: a word of `_microsaas_office_sentences`, `preparing` or `done`; "" for other orders."""
        lines = self._microsaas_lines()
        if not lines:
            return ""
        if self.state == "cancel":
            return "cancelled"
        if self.state in ("draft", "sent"):
            last = self.transaction_ids.sorted("id")[-1:]
            return PAYMENT_STEPS.get(last.state, "open")
        moves = self.invoice_ids.filtered(lambda move: move.move_type == "out_invoice" and move.state != "cancel")
        if not moves:
            return "no_invoice"
        if "draft" in moves.mapped("state"):
            return "draft_invoice"
        if not all(move._microsaas_is_paid() for move in moves):
            return "unpaid"
        instances = moves.with_context(active_test=False).instancia_ids
        if len(instances) < sum(line._microsaas_units() for line in lines):
            return "by_hand" if "manual" in lines.product_id.mapped("microsaas_provision") else "coming"
        if any(instance._waits_for_room() for instance in instances if not instance.was_ready):
            return "no_room"
        return "preparing" if instances.filtered(lambda one: one.state == "draft") else "done"

    def _microsaas_office_sentences(self):
        """Return what must still happen before the instances exist, by step: the next thing that the office does."""
        _ = self.env._
        return {
            "cancelled": _("The order is cancelled: no instance is created."),
            "open": _("The order is not confirmed and not paid yet."),
            "pending": _("The payment is pending. The instance is created once the money has arrived."),
            "authorized": _("The payment is authorised but not captured yet."),
            "abandoned": _("The payment was abandoned. The customer may pay the order again."),
            "refused": _("The payment was refused. The customer may pay the order again."),
            "no_invoice": _("There is no invoice yet. Create it and register its payment."),
            "draft_invoice": _("The invoice is still a draft. Confirm it and register its payment."),
            "unpaid": _("The invoice is not paid yet."),
            "by_hand": _("Everything is paid. Open the invoice and press Create instance."),
            "coming": _("Everything is paid. The instance is about to be created."),
            "no_room": _("Everything is paid. The server has no room for the instance: it starts by itself as soon as there is."),
        }

    def _microsaas_customer_sentence(self):
        """Return the same for the customer, who reads what they may do, not what the office does."""
        _ = self.env._
        after_payment = _("Your Odoo is created once your payment has arrived.")
        being_prepared = _("Your Odoo is being prepared. It takes a few seconds.")
        return {
            "cancelled": _("This order is cancelled."),
            "open": _("Your Odoo is created once this order is accepted and paid."),
            "pending": _("The payment is pending. Your Odoo is created once the money has arrived."),
            "authorized": after_payment,
            "abandoned": _("The payment was abandoned. Pay the order to get your Odoo."),
            "refused": _("The payment was refused. Try again or choose another way to pay."),
            "no_invoice": after_payment,
            "draft_invoice": after_payment,
            "unpaid": after_payment,
            "by_hand": _("Your payment has arrived. We set your Odoo up by hand and tell you."),
            "coming": being_prepared,
            "no_room": _("Your payment has arrived. There is no room on our server right now: your Odoo starts by itself as soon as there is."),
            "preparing": being_prepared,
            "done": _("Your Odoo is on your own page."),
        }.get(self._microsaas_step(), "")
