"""How far an order is on its way to instances, and what is said of it: to the office, and to the customer."""

from odoo import api, fields, models

# What the last attempt to pay says of an order that is not confirmed.
PAYMENT_STEPS = {"pending": "pending", "authorized": "authorized", "cancel": "abandoned", "error": "refused"}


class SaleOrder(models.Model):
    _inherit = "sale.order"

    microsaas_missing = fields.Char(
        "What an instance waits for", compute="_compute_microsaas_missing", compute_sudo=True
    )

    @api.depends_context("lang")
    @api.depends(
        "state", "order_line.product_id.microsaas_provision", "order_line.product_uom_qty", "transaction_ids.state",
        "invoice_ids.state", "invoice_ids.payment_state", "invoice_ids.instancia_ids",
    )
    def _compute_microsaas_missing(self):
        for order in self:
            order.microsaas_missing = order._microsaas_office_sentences().get(order._microsaas_step(), "")

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
        if any(move._microsaas_payment_state() not in move._microsaas_paid_states() for move in moves):
            return "unpaid"
        instances = moves.with_context(active_test=False).instancia_ids
        if len(instances) < sum(line._microsaas_units() for line in lines):
            return "by_hand" if "manual" in lines.product_id.mapped("microsaas_provision") else "coming"
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
        }

    def _microsaas_customer_sentence(self):
        """Return the same for the customer, who reads what she may do, not what the office does."""
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
            "preparing": being_prepared,
            "done": _("Your Odoo is on your own page."),
        }.get(self._microsaas_step(), "")
