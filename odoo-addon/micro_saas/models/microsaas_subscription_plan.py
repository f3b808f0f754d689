"""Changing the plan of a subscription: to which, what it costs now and later, asking for it."""

from datetime import timedelta
from fractions import Fraction

from dateutil.relativedelta import relativedelta

from odoo import Command, api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date

from .microsaas_plan_change import OPEN


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    change_ids = fields.One2many("microsaas.plan.change", "subscription_id", "Plan changes")
    open_change_id = fields.Many2one("microsaas.plan.change", "Plan change to come", compute="_compute_open_change")
    open_change_text = fields.Char("What is to come", compute="_compute_open_change")

    @api.depends("change_ids.state", "change_ids.day")
    @api.depends_context("lang")
    def _compute_open_change(self):
        for subscription in self:
            change = subscription.sudo().change_ids.filtered(lambda one: one.state in OPEN)[:1]
            subscription.open_change_id = change
            subscription.open_change_text = change._sentence() if change else False

    # -- actions -----------------------------------------------------------------------------------

    def action_change_plan(self):
        """Open the form that says what another plan costs.

        :return: an act_window
        :raise UserError: it has ended, is suspended, has no paid period, or another change, invoice or payment comes first
        """
        self.ensure_one()
        self._check_user()
        obstacle = self.sudo()._state_obstacle()
        if obstacle:
            raise UserError(obstacle)
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Change plan"),
            "res_model": "microsaas.change.plan",
            "view_mode": "form",
            "target": "new",
            "context": {"default_subscription_id": self.id},
        }

    def action_withdraw_change(self):
        """Withdraw the change of plan that is still to come.

        :return: True
        :raise UserError: there is none, or as `microsaas.plan.change.action_withdraw`
        """
        for subscription in self:
            if not subscription.open_change_id:
                raise UserError(self.env._("Subscription %s has no change of plan to come.", subscription.name))
            subscription.open_change_id.action_withdraw()
        return True

    # -- whether, and to which ---------------------------------------------------------------------

    def _state_obstacle(self):
        """Return why the plan cannot be changed now, whichever it should be, as a sentence; "" if it can."""
        _, name = self.env._, self.name
        if self.state == "cancelled":
            return _("Subscription %s is cancelled: undo the cancellation first.", name)
        if self.state == "removed" or self.data_removed_at or self.instancia_id.desired_state == "removed":
            return _("Subscription %s has ended.", name)
        if self.suspended_at:
            return _("Subscription %s is suspended: renew it first.", name)
        if not (self.product_id and self.partner_id and self.fecha_inicio and self.fecha_fin):
            return _("Subscription %s has no paid period yet, so there is nothing to change.", name)
        if self.fecha_fin < self.company_id._microsaas_today():
            return _("The paid time of subscription %s is over: renew it first.", name)
        if self._waiting_changes():
            return _("%s Pay it or withdraw the change first.", self.open_change_id._sentence())
        renewal = self._open_renewal_invoice()
        if renewal.state == "posted":
            return _(
                "Invoice %s for the next period is still to be paid, at the price of the present plan. Pay it first, or have"
                " it credited.",
                renewal.name,
            )
        if self._has_uncounted_payment():
            return _("A payment of subscription %s is being counted: try again in a minute.", name)
        return ""

    def _has_uncounted_payment(self):
        """Tell whether days are paid that the last paid day does not have yet: until then no change has its right price."""
        instance = self.instancia_id
        # One that has fewer units may leave this one out: nothing of it is counted.
        corrections = instance.linea_factura_id._microsaas_corrections().filtered(
            lambda line: line._microsaas_units() >= instance.unidad
        )
        return any(
            line.display_type == "product"
            and line.move_id.move_type == "out_invoice"
            and line.move_id._microsaas_is_paid()
            and line._microsaas_reversed_ratio() < 1.0
            for line in (self.renewal_line_ids | corrections) - self.periodo_ids.linea_factura_id
        )

    def _plan_obstacle(self, product):
        """Return why this subscription cannot change to a plan, as a sentence; "" if it can."""
        _, plan, instance = self.env._, product.product_tmpl_id, self.instancia_id
        if not (product.active and plan.active and plan.es_plan_microsaas) or plan.company_id - self.company_id:
            return _("“%s” is no plan that is sold here.", product.name)
        if product == self.product_id:
            return _("It has plan %s already.", product.name)
        if plan.plantilla_id != instance.template_id:
            return _("Plan %s is made from another template, which an Odoo that runs cannot change to.", product.name)
        present = {(row.url, row.branch or "") for row in instance.repository_ids}
        absent = [row.url for row in plan.microsaas_repository_ids if (row.url, row.branch or "") not in present]
        if absent:
            return _(
                "Plan %(plan)s has repositories that this Odoo lacks: %(urls)s. Add them to the instance first.",
                plan=product.name,
                urls=", ".join(absent),
            )
        return ""

    def _plans_for_customer(self):
        """Return the plans that the customer may change to by themselves: those that the present plan names, and that will do."""
        offered = self.product_id.product_tmpl_id.microsaas_change_ids.product_variant_ids
        return offered.filtered(lambda product: not self._plan_obstacle(product))

    # -- what it costs -----------------------------------------------------------------------------

    def _terms_left(self, months, since):
        """Return how many terms of so many months the days from `since` to the last paid one are, as a Fraction.

        A term has its own number of days: what is left of February counts in 28ths. What was renewed ahead is whole terms.
        """
        until = self.fecha_fin + timedelta(days=1)
        anchor, passed = self._anchor(until)
        terms = Fraction(0)
        while until > since:
            passed -= months
            begun = anchor + relativedelta(months=passed)
            terms += Fraction((until - max(begun, since)).days, (until - begun).days)
            until = begun
        return terms

    def _agreed_change(self):
        """Return the change of plan whose price the customer agreed to; none where the plan is the one first sold."""
        change = self.sudo().change_ids.filtered(lambda one: one.state == "done")[:1]
        return change.filtered(lambda one: one.new_product_id == self.product_id)

    def _days_left(self):
        """Return `[(line, since, until)]`: which invoice line has paid for the days from `since` on and before `until`.

        Together they are the days from today to the last paid one, the last of them first. Days beside the counted periods,
        as those that a manager gives, have no line; where nothing was ever counted, all are those of the first sale.
        """
        since, until = self.company_id._microsaas_today(), self.fecha_fin + timedelta(days=1)
        periods = self.periodo_ids.filtered(lambda one: one.fecha_fin_nueva and one._days_in_effect() > 0)
        if not periods:
            return [(self._last_invoiced_line(), since, until)]
        left = []
        # Counted back from the end: where something in between was taken back, the days after it have moved.
        for period in periods.sorted(lambda one: (one.fecha_fin_nueva, one.id), reverse=True):
            begun = max(since, until - timedelta(days=period._days_in_effect()))
            if begun < until:
                left.append((period.linea_factura_id, begun, until))
            until = begun
        return [*left, (self.env["account.move.line"], since, until)] if until > since else left

    def _worth(self, line, since, until):
        """Return what was paid for days, net of discounts, in the currency of renewals; a change of plan has paid the difference.

        :param line: what paid for them before any change of plan, maybe none
        :param until: the day after the last of them
        """
        currency, today = self._renewal_currency(), self.company_id._microsaas_today()
        change = self.env["microsaas.plan.change"] if line.product_id == self.product_id else self._agreed_change()
        if change:
            price, paid_in, months = change.price, change.currency_id, self.product_id._microsaas_months()
        else:
            price = line.price_unit * (1 - (line.discount or 0.0) / 100) if line.price_subtotal > 0 else 0.0
            paid_in, months = line.currency_id, self._months(line)
        if not price:
            return 0.0
        price *= float(self._terms_left(months, since) - self._terms_left(months, until))
        return paid_in._convert(price, currency, self.company_id, today, round=False)

    def _present_line_vals(self):
        """Return what was paid for the days that are left, as values of an invoice line, with the taxes of the last of them."""
        vals = {"product_id": self.product_id.id, "price_unit": sum(self._worth(*days) for days in self._days_left())}
        line = self._last_invoiced_line()
        if line.product_id != self.product_id and self._agreed_change():
            return vals
        return {
            **vals,
            "tax_ids": [Command.set(line.tax_ids.filtered("active").ids)],
            "analytic_distribution": line.analytic_distribution,
        }

    def _quote(self, product):
        """Return what a change to a plan would cost today; nothing is written.

        :return: dict of `amount`, with taxes, for the days that are paid already (below zero: so much less);
            `next_amount`, with taxes, of each term from then on; `price`, of a term as the plan has it; `currency`;
            `first` and `last` of those days; `lines`, the values of both invoice lines
        """
        currency = self._renewal_currency()
        full = self._unsaved_lines([self._price_of_today_vals(product)])
        lines = self._change_lines(product, full.price_unit)
        return {
            "amount": currency.round(sum(self._unsaved_lines(lines).mapped("price_total"))),
            "next_amount": full.price_total,
            "price": full.price_unit,
            "currency": currency,
            "first": self.company_id._microsaas_today(),
            "last": self.fecha_fin,
            "lines": lines,
        }

    def _change_lines(self, product, price):
        """Return the values of the invoice lines of a change to a plan today: for the days that are left, it and the present one.

        :param price: of a term of the plan, in the currency of renewals, without taxes
        :return: list of dicts; where the present plan costs nothing it has no line
        """
        _, words = self.with_context(lang=self.partner_id.lang).env._, self._change_words(product)
        title = _("%(new)s instead of %(old)s, for %(days)s days\nService from %(first)s to %(last)s", **words)
        currency, today = self._renewal_currency(), self.company_id._microsaas_today()
        amount = currency.round(price * float(self._terms_left(product._microsaas_months(), today)))
        lines = [self._change_line(amount, title, {"product_id": product.id, "sequence": 10})]
        present = self._present_line_vals()
        if present["price_unit"]:
            title = _("%(old)s, paid already and not used for %(days)s days\nService from %(first)s to %(last)s", **words)
            lines.append(self._change_line(-currency.round(present["price_unit"]), title, {**present, "sequence": 11}))
        return lines

    def _change_line(self, amount, title, vals):
        return {"quantity": 1, "suscripcion_id": self.id, **vals, "price_unit": amount, "name": title}

    def _change_words(self, product):
        """Return what the titles of the lines of a change to a plan name, in the customer's language."""
        lang = self.partner_id.lang
        first, last = self.company_id._microsaas_today(), self.fecha_fin
        return {
            "new": product.with_context(lang=lang).display_name,
            "old": self.product_id.with_context(lang=lang).display_name,
            "days": (last - first).days + 1,
            "first": format_date(self.env, first, lang_code=lang),
            "last": format_date(self.env, last, lang_code=lang),
        }

    def _unsaved_lines(self, lines):
        """Return invoice lines of these values, with prices and taxes as on an invoice to this customer; nothing is written."""
        move = self.env["account.move"].with_company(self.company_id).new(
            {**self._renewal_move_vals(), "invoice_line_ids": [Command.create(vals) for vals in lines]}
        )
        return move.invoice_line_ids

    # -- asking for it -----------------------------------------------------------------------------

    def _change_plan(self, product, why, *, is_cheaper_at_once=False):
        """Ask for another plan; asked for twice, it is one change.

        A dearer plan gets an invoice in draft, and is given when that is paid. A cheaper one is given on the day after the
        last paid one. What costs the same is given at once.

        :param product: a variant of a plan
        :param why: a sentence for the chatter: who wants it
        :param is_cheaper_at_once: give a cheaper plan at once too, with a credit note in draft
        :return: the change
        :raise UserError: a sentence saying why it cannot be
        """
        self.ensure_one()
        self._serialize_renewals()
        present = self.open_change_id
        if present.new_product_id == product and not (present.state == "scheduled" and is_cheaper_at_once):
            return present
        obstacle = self._state_obstacle() or self._plan_obstacle(product)
        if obstacle:
            raise UserError(obstacle)
        if present:
            present._withdraw(self.env._("another one was asked for."))
        quote = self._quote(product)
        currency = quote["currency"]
        sign = currency.compare_amounts(quote["amount"], 0.0)
        is_later = sign < 0 and not is_cheaper_at_once
        changes = self.env["microsaas.plan.change"].sudo()
        changes.flush_model(["state"])  # before the next one is there, the index must know that no other is to come
        change = changes.create(
            {
                "subscription_id": self.id,
                "old_product_id": self.product_id.id,
                "new_product_id": product.id,
                "state": "scheduled" if is_later else "waiting",
                "day": self.fecha_fin + timedelta(days=1) if is_later else False,
                "price": quote["price"],
                "currency_id": currency.id,
            }
        )
        change._note(why)
        if is_later:
            self._drop_renewal_drafts()
        elif sign:
            self._create_change_invoice(change, quote, is_credit=sign < 0)
        if not is_later and sign <= 0:
            change._make()
        else:
            change._note(change._sentence())
        return change

    def _create_change_invoice(self, change, quote, is_credit):
        """Make the draft of a change: an invoice, or a credit note of the invoice that paid for what is given up."""
        vals, sign = self._renewal_move_vals(), -1 if is_credit else 1
        if is_credit:
            sold = self._last_invoiced_line().move_id
            vals |= {"move_type": "out_refund", "invoice_payment_term_id": False}
            if sold.currency_id.id == vals["currency_id"]:
                vals["reversed_entry_id"] = sold.id
        lines = [
            Command.create({**line, "price_unit": sign * line["price_unit"], "microsaas_change_id": change.id})
            for line in quote["lines"]
        ]
        lang = self.partner_id.lang
        move = self.env["account.move"].sudo().with_company(self.company_id).with_context(lang=lang).create(
            {**vals, "invoice_origin": self.name, "invoice_line_ids": lines}
        )
        move.invoice_line_ids._microsaas_write_days(quote["first"], quote["last"])

    def _take_plan(self, product):
        """Have another plan from now on; renewals that were made in draft are of the one before, so they are made anew.

        Modules that the new one has more come with the next update, which stops the instance: a person chooses when.
        """
        subscription, instance = self.sudo(), self.sudo().instancia_id
        if not instance.given_modules:
            # Not noted yet, as of an instance from before that was noted: it was given those of the plan that is left.
            given = subscription.product_id.product_tmpl_id._microsaas_module_list()
            instance._quiet().given_modules = instance._given_modules_as_stored(given)
        subscription.product_id = product
        subscription._drop_renewal_drafts()
        # Its limits are others now.
        instance._nudge()
        if instance._has_more_modules():
            subscription._ask_people("changeWantsUpdate")

    def _drop_renewal_drafts(self):
        """Take renewals by another plan than the next period's out of their drafts."""
        why = self.env._("Subscription %s changes its plan: its renewal is made anew.", self.name)
        for line in self.renewal_line_ids.filtered(lambda one: one.parent_state == "draft"):
            if line.move_id.move_type == "out_invoice" and line.product_id != self._plan_to_renew():
                line._microsaas_leave_draft(why)

    # -- beside renewals ---------------------------------------------------------------------------

    def _waiting_changes(self):
        """Return the changes to dearer plans that wait for their payment."""
        return self.sudo().open_change_id.filtered(lambda one: one.state == "waiting")

    def _scheduled_change(self):
        return self.sudo().open_change_id.filtered(lambda one: one.state == "scheduled")

    def _plan_to_renew(self):
        """Return the plan of the next period."""
        return self._scheduled_change().new_product_id.sudo(self.env.su) or self.product_id

    def _price_agreed_by_change(self):
        """Return what a term of the next period's plan costs by a change of plan, in the currency of renewals; None without one."""
        change = self._scheduled_change() or self._agreed_change()
        if not change or change.new_product_id.microsaas_renew_price == "list":
            return None
        today = self.company_id._microsaas_today()
        return change.currency_id._convert(change.price, self._renewal_currency(), self.company_id, today)

    def _will_be_free(self):
        """Tell whether the plan that comes with the next period costs nothing: then nothing is renewed ahead."""
        plan = self._plan_to_renew()
        return plan != self.product_id and not plan.lst_price and not self.open_change_id.price

    def _make_way_for_renewal(self):
        """Withdraw a dearer plan that nobody has paid for, before a renewal at the present price is issued.

        :raise UserError: the customer has its invoice: only they know which of the two they want
        """
        for subscription in self.sudo():
            change = subscription._waiting_changes()
            if not change:
                continue
            is_over = not subscription.fecha_fin or subscription.fecha_fin < subscription.company_id._microsaas_today()
            if change._is_being_paid() or (change._invoice_to_pay() and not is_over):
                raise UserError(
                    self.env._(
                        "%s Pay that invoice or withdraw the change first, then renew.", change._sentence()
                    )
                )
            change._withdraw(self.env._("the subscription is renewed as it is."))

    def _drop_open_renewals(self):
        super()._drop_open_renewals()
        for change in self.open_change_id:
            if change.sudo()._is_being_paid():
                change.subscription_id._ask_people("leaverOwes")
            elif change.state == "waiting" or not change.sudo()._renewals_at_its_price():
                # A cheaper plan whose days are invoiced already comes with these days, or cancelling would be a way around it.
                change.sudo()._withdraw(self.env._("the subscription has ended."))
