"""The plan of an instance, as its seller and its customer change it."""

from odoo import SUPERUSER_ID, models
from odoo.exceptions import UserError
from odoo.tools import format_amount
from odoo.tools.misc import format_date


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def action_change_plan(self):
        """Open the form that says what another plan costs.

        :return: an act_window
        :raise UserError: there is no subscription; or as `microsaas.subscription.action_change_plan`
        """
        self.ensure_one()
        if not self.subscription_ids:
            raise UserError(self.env._("“%s” has no subscription whose plan could be changed.", self.name))
        return self.subscription_ids[:1].action_change_plan()

    def _portal_invoices(self):
        """Return the invoices of changes of plan too."""
        changes = self.subscription_ids.change_ids.line_ids.move_id
        asked = changes.filtered(lambda move: move.state == "posted" and move.move_type == "out_invoice")
        return (super()._portal_invoices() | asked).sorted("id", reverse=True)

    def _portal_plan(self):
        """Return what the customer may do about their plan.

        :return: dict of `change`, the one that is to come; `to_pay`, its invoice; `may_change`, `may_cancel`,
            `may_undo_cancellation`
        """
        self.ensure_one()
        subscription = self.sudo().subscription_ids[:1]
        change = subscription.open_change_id
        is_lasting = bool(subscription) and self.desired_state != "removed" and not subscription.data_removed_at
        return {
            "change": change,
            "to_pay": change._invoice_to_pay(),
            "may_change": is_lasting
            and change.state != "waiting"
            and not subscription._state_obstacle()
            and bool(subscription._plans_for_customer()),
            "may_cancel": is_lasting and subscription._can_be_cancelled_by_customer(),
            "may_undo_cancellation": is_lasting and subscription._can_undo_cancellation(),
        }

    def _plan_quotes(self):
        """Return what each plan that the customer may change to costs, the dearest last.

        :return: list of dicts: as `_quote`, `product`, `sign` (1: to be paid now, -1: cheaper), `now`, `later` and `update` (of
            modules that come with an update, maybe empty), sentences
        """
        subscription, quotes = self._subscription_for_customer(), []
        for product in subscription._plans_for_customer():
            quote = subscription._quote(product)
            sign = quote["currency"].compare_amounts(quote["amount"], 0.0)
            quotes.append({**quote, "product": product, "sign": sign, **self._plan_sentences(product, quote, sign)})
        return sorted(quotes, key=lambda quote: quote["price"])

    def _plan_sentences(self, product, quote, sign):
        _ = self.env._
        first, last = (format_date(self.env, quote[name]) for name in ("first", "last"))
        amount, later = (format_amount(self.env, quote[name], quote["currency"]) for name in ("amount", "next_amount"))
        term = dict(product._fields["duracion_suscripcion"]._description_selection(self.env))[product.duracion_suscripcion or "monthly"]
        now = {
            1: _(
                "%(amount)s now, taxes included, for the days from %(first)s to %(last)s: what you have paid for your present"
                " plan in these days is deducted. It begins as soon as this is paid.",
                amount=amount,
                first=first,
                last=last,
            ),
            0: _("Nothing now. It begins at once."),
            -1: _("Nothing now. It begins after %s: until then you keep what you have paid for.", last),
        }[sign]
        missing = self._modules_that_come(product)
        update = missing and _("Installed some time later, with an update that we make: %s.", missing)
        after = _("From the next period on %(amount)s for %(term)s, taxes included.", amount=later, term=term)
        return {"now": now, "later": after, "update": update}

    def _modules_that_come(self, product):
        """Return the names, as people know them, of a plan's modules that this instance was not given; "" for none."""
        given = self._given_module_list() or self.plan_id._microsaas_module_list()
        missing = [name for name in product.product_tmpl_id._microsaas_module_list() if name not in given]
        modules = self.env["ir.module.module"].sudo().search([("name", "in", missing)])
        titles = {module.name: module.shortdesc for module in modules}
        return ", ".join(titles.get(name) or name for name in missing)

    def _change_plan_by_customer(self, user, product_id, shown_amount):
        """Change the plan for the customer. Call it with sudo.

        :param user: of the portal
        :param shown_amount: what they have read that it costs, as text: another amount is shown again first
        :return: the change; its invoice, where there is one, is posted
        :raise UserError: a sentence saying why it cannot be
        """
        subscription = self._subscription_for_customer()
        product = subscription._plans_for_customer().filtered(lambda one: one.id == product_id)
        if not product:
            raise UserError(self.env._("This plan cannot be chosen any more."))
        present = subscription.open_change_id
        if present.new_product_id == product:
            # A draft is its seller's work: they post it when it is ready.
            if present._invoices().filtered(lambda move: move.state == "draft"):
                raise UserError(self.env._("We are preparing the invoice of this change: you can pay it here once it is ready."))
            return present
        obstacle = subscription._state_obstacle()
        if obstacle:
            raise UserError(obstacle)
        if str(subscription._quote(product)["amount"]) != shown_amount:
            raise UserError(self.env._("What it costs has changed meanwhile: look at it again."))
        change = subscription._change_plan(product, self.env._("%s changes the plan in the portal.", user.name))
        for move in change._invoices():
            move.action_post()
        return change

    def _withdraw_change_by_customer(self, user):
        """Withdraw the change of plan that is to come. Call it with sudo.

        :raise UserError: its money is on the way, a renewal is invoiced at its price, or its invoice has other lines too
        """
        change = self._subscription_for_customer().open_change_id
        shared = change._shared_invoice()
        if shared:
            raise UserError(self.env._("Invoice %s has more than this change: write to us to withdraw it.", shared.name))
        if change:
            change._withdraw(self.env._("%s withdrew it.", user.name))

    def _cancel_by_customer(self, user):
        """Cancel the subscription for the customer, by the end of what is paid. Call it with sudo.

        :raise UserError: it has ended already, or has no paid period
        """
        subscription = self._subscription_for_customer()
        if not subscription._can_be_cancelled_by_customer():
            raise UserError(self.env._("This subscription cannot be cancelled any more, or is cancelled already."))
        subscription._message_log(body=self.env._("%s cancels it in the portal.", user.name))
        subscription.action_cancelar()

    def _cancel_sentences(self):
        """Return what happens when the customer cancels, in the order of time."""
        _, subscription = self.env._, self.subscription_ids[:1]
        last, kept = (format_date(self.env, day) for day in (subscription.fecha_fin, subscription._data_kept_after_end()))
        return [
            _("It works until %s, the last paid day. Nothing is paid back, and nothing more is invoiced.", last),
            _("Until then you can undo this."),
            _("Then it stops. Its data are kept until %s; before they are removed we write to you once more.", kept),
            _("If you want your data, download them before the last paid day."),
        ]

    def _open_renewal_sentence(self):
        """Return what becomes of a renewal that is invoiced already when the customer cancels; False without one."""
        move = self.subscription_ids[:1]._open_renewal_invoice()
        return move.state == "posted" and self.env._(
            "Invoice %s for the next period is still open. Cancelling does not undo it: we are told, and look after it."
            " If its payment is on the way, its days count.",
            move.name,
        )

    def _undo_cancellation_by_customer(self, user):
        """Undo a cancellation for the customer, until the last paid day is over. Call it with sudo.

        :raise UserError: it is not cancelled, or has ended
        """
        subscription = self._subscription_for_customer()
        subscription.action_reanudar()
        subscription._message_log(body=self.env._("%s undoes the cancellation in the portal.", user.name))

    def _subscription_for_customer(self):
        # Not as the customer: who makes an invoice is its salesperson by default, and follows it.
        return self.subscription_ids[:1].with_user(SUPERUSER_ID)
