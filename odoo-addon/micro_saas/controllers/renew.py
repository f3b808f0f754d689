from odoo import SUPERUSER_ID
from odoo.exceptions import UserError
from odoo.http import Controller, request, route

from .language import in_language_of


class RenewalPage(Controller):
    """Where the link of a mail and the portal's *Renew* lead: what a renewal costs, and the button that makes the invoice.

    Opening it writes nothing: mail scanners follow every link.
    """

    @route(
        "/my/renew/<int:subscription_id>/<string:token>",
        type="http", auth="public", website=True, sitemap=False, methods=["GET"],
    )
    def renewal(self, subscription_id, token):
        """Show what a renewal costs, or the posted invoice that is to be paid already, or is being paid."""
        subscription = self._subscription(subscription_id, token)
        posted = subscription._posted_invoice()
        return request.redirect(posted.get_portal_url()) if posted else self._render(subscription, token)

    @route(
        "/my/renew/<int:subscription_id>/<string:token>",
        type="http", auth="public", website=True, sitemap=False, methods=["POST"],
    )
    def renew(self, subscription_id, token, **chosen):
        """Post the renewal invoice, of this subscription and of what else was ticked, and go where it is paid."""
        subscription = self._subscription(subscription_id, token)
        ticked = subscription._renewed_together().filtered(lambda one: f"with_{one.id}" in chosen)
        try:
            move = (subscription | ticked)._renew_together(self._why(subscription))
        except UserError as error:
            return self._render(subscription, token, str(error))
        return request.redirect(move.get_portal_url())

    def _why(self, subscription):
        if request.env.user._is_public():
            return request.env._("%s renewed by the link of the mail.", subscription.partner_id.display_name)
        return request.env._("%s renewed in the portal.", request.env.user.name)

    def _subscription(self, subscription_id, token):
        # Not as the visitor: with the link of a mail nobody is logged in.
        subscriptions = request.env["microsaas.subscription"].with_user(SUPERUSER_ID)
        subscription = subscriptions.browse(subscription_id).exists()
        if not subscription or not subscription._is_renewal_token(token):
            raise request.not_found()
        in_language_of(subscription.partner_id)
        return subscription.with_context(lang=request.env.lang or subscription.partner_id.lang)

    def _render(self, subscription, token, problem=""):
        draft = subscription._open_renewal_invoice()
        values = {
            "page_name": "renewal",
            "subscription": subscription,
            "rows": self._rows(subscription, draft),
            "currency": draft.currency_id or subscription._renewal_currency(),
            "token": token,
            "problem": problem,
        }
        response = request.render("micro_saas.portal_renewal", values)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _rows(self, subscription, draft):
        """Return a dict of `subscription`, `amount` and `period` for each line of the invoice to be, its own first."""
        if not subscription._can_be_renewed():
            return []
        if draft:
            return [
                {
                    "subscription": line.suscripcion_id,
                    "amount": line.price_total,
                    "period": line.suscripcion_id._next_period(line._microsaas_terms() or 1),
                    "fixed": True,
                }
                for line in draft.invoice_line_ids.filtered("suscripcion_id")
            ]
        return [
            {
                "subscription": one,
                "amount": one._renewal_amount(),
                "period": one._next_period(),
                "fixed": one == subscription,
            }
            for one in subscription._renewed_together()
        ]
