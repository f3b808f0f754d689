"""What the customer reads of a renewal before they ask for it: its price and its term. Nothing is written for it."""

from odoo import models

# Of a subscription that is in one of these, a renewal is what the customer should do next.
URGENT = ("expiring_soon", "expired")


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def _portal_renewal_offer(self, user):
        """Return whether there is something to renew; `{}` for who may not, and where there is nothing to pay.

        Call it with sudo. It works out no price: pages ask for it each second.

        :return: dict of `is_owed` (a posted invoice waits for its payment), `is_urgent` (it is about to stop, or has stopped)
        """
        self.ensure_one()
        subscription = self.subscription_ids[:1]
        may_renew = self.desired_state != "removed" and self._may_act(user)
        if not may_renew or subscription.state == "draft":
            return {}
        owed, draft = subscription._invoice_to_pay(), subscription._open_renewal_invoice()
        is_being_paid = draft.state == "posted" and not owed
        if is_being_paid or not (owed or subscription._can_be_renewed()):
            return {}
        is_urgent = bool(owed) or subscription.state in URGENT or bool(subscription.suspended_at)
        is_urgent = is_urgent and not subscription._is_charge_ahead()
        return {"is_owed": bool(owed), "is_urgent": is_urgent}

    def _portal_renewal(self, user):
        """Return what a renewal costs a customer; `{}` where `_portal_renewal_offer` is. Call it with sudo.

        :return: dict of what that has, `title` (what it is, in the reader's language), `amount` (with taxes) and `currency`
        """
        offer = self._portal_renewal_offer(user)
        if not offer:
            return {}
        subscription = self.subscription_ids[:1]
        owed, draft = subscription._invoice_to_pay(), subscription._open_renewal_invoice()
        if owed:
            amount, currency = owed.amount_residual, owed.currency_id
        elif draft:
            lines = draft.invoice_line_ids.filtered(lambda line: line.suscripcion_id == subscription)
            amount, currency = sum(lines.mapped("price_total")), draft.currency_id
        else:
            amount, currency = subscription._renewal_amount(), subscription._renewal_currency()
        _, term = self.env._, subscription.product_id.product_tmpl_id._microsaas_term_label()
        title = _("Invoiced, and not paid yet:") if owed else _("Renewal for %s, taxes included:", term)
        return {**offer, "title": title, "amount": amount, "currency": currency}
