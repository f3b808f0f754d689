"""The invoices that renew subscriptions: when they are made, which one waits for its payment, what becomes of a leaver's."""

import logging
from datetime import timedelta

from psycopg2.errors import SerializationFailure

from odoo import Command, api, fields, models
from odoo.exceptions import RedirectWarning, UserError
from odoo.tools import SQL, consteq, hmac, mute_logger

from .sidecar import in_payment_is_paid

_logger = logging.getLogger(__name__)

# Payment states of an invoice that the customer still has to pay.
UNPAID = ("not_paid", "partial", "blocked")
ENDED = ("cancelled", "removed")


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") in ENDED or vals.get("hidden_at") or vals.get("data_removed_at"):
            self.sudo()._drop_open_renewals()
        return result

    def action_renovar(self):
        """Open the renewal invoice: the one that waits for its payment, else a new one in draft.

        :return: an act_window of the invoice
        :raise UserError: cancelled, or without a plan or a customer to invoice
        """
        self.ensure_one()
        self._check_user()
        move = self._renewal_invoice(self.env._("%s pressed Renew.", self.env.user.name))
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": move.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    # -- one open invoice for each -------------------------------------------------------------

    def _open_renewal_invoice(self):
        """Return the renewal invoice that still waits for its payment, maybe none."""
        unsettled = UNPAID if in_payment_is_paid(self.env) else (*UNPAID, "in_payment")
        return self.sudo().renewal_line_ids.move_id.filtered(
            lambda move: move.move_type == "out_invoice"
            and (move.state == "draft" or (move.state == "posted" and move.payment_state in unsettled))
            and not move._microsaas_is_fully_reversed()
        ).sorted("id")[:1]

    def _renewal_invoice(self, why):
        """Return the open invoice of one subscription; make it, in draft, if there is none.

        :raise UserError: cancelled, data removed, or without a plan or a customer to invoice
        """
        self._serialize_renewals()
        return self._open_renewal_invoice() or self._create_renewal_invoice(why)

    def _serialize_renewals(self):
        """Let one transaction at a time make a renewal invoice of these subscriptions.

        Who lost the race would not see the winner's invoice in their snapshot. Touching the row makes them fail to
        serialize instead, and Odoo runs them again on a fresh snapshot.
        """
        self.flush_recordset()
        self.env.cr.execute(
            SQL("UPDATE microsaas_subscription SET write_date = write_date WHERE id IN %s", self._ids)
        )

    def _create_renewal_invoice(self, why):
        """Return one new draft that renews all of these subscriptions; they agree in `_renewal_key`."""
        for subscription in self:
            subscription._check_renewable()
        lang = self.partner_id.lang
        move = self.env["account.move"].sudo().with_company(self.company_id).with_context(lang=lang).create(
            {
                **self[0]._renewal_move_vals(),
                "invoice_origin": ", ".join(self.mapped("name")),
                "invoice_line_ids": [
                    Command.create(subscription._renewal_line_vals()) for subscription in self.sorted("id")
                ],
            }
        )
        move.invoice_line_ids._microsaas_write_period()
        for subscription in self.sudo():
            body = self.env._("Renewal invoice made, %(amount)s: %(why)s", amount=move.currency_id.format(move.amount_total), why=why)
            subscription.message_post(body=body)
        move.message_post(body=why)
        return move

    def _check_renewable(self):
        if self.state in ENDED:
            raise UserError(self.env._("Subscription %s is cancelled.", self.name))
        if self.data_removed_at:
            raise UserError(
                self.env._(
                    "The data of subscription %s were removed. The operator can restore them from the archive %s.",
                    self.name,
                    self.archive or "",
                )
            )
        if not (self.product_id and self.partner_id):
            raise UserError(
                self.env._("Subscription %s has no plan or no customer to invoice.", self.name)
            )

    def _can_be_renewed(self):
        has_ended = self.state in ENDED or self.data_removed_at
        return bool(self.product_id and self.partner_id) and not has_ended and not self._is_free()

    def _issue_renewal_invoice(self, why=""):
        """Return the posted renewal invoice that waits for its payment; issue it if there is none.

        :param why: a sentence for the chatter: who or what wants it
        :raise UserError: cancelled, data removed, or without a plan or a customer to invoice
        """
        self.ensure_one()
        move = self._renewal_invoice(why or self.env._("The renewal was asked for."))
        if move.state == "draft":
            move.action_post()
        return move

    # -- what the customer pays ----------------------------------------------------------------

    def _invoice_to_pay(self):
        """Return the posted invoice whose payment keeps the instance running, the oldest; maybe none.

        The first sale's own one when its payment was cancelled: nobody pays for one month by two invoices.
        """
        first = self.sudo().instancia_id.linea_factura_id
        moves = (first | first._microsaas_corrections() | self.sudo().renewal_line_ids).move_id
        return moves.filtered(
            lambda move: move.move_type == "out_invoice"
            and move.state == "posted"
            and move.payment_state in UNPAID
            and not move._microsaas_is_fully_reversed()
        ).sorted("id")[:1]

    def _pay_url(self):
        """Return where the customer pays; empty if there is nothing to pay, or nothing she is asked for.

        Without a posted invoice it is a page that says what a renewal costs; the invoice is made and posted there, when
        the customer wants it: a lapse alone makes nobody owe anything.
        """
        posted = self._invoice_to_pay() or self._open_renewal_invoice().filtered(
            lambda move: move.state == "posted"  # its money is on the way
        )
        if posted:
            return posted.get_base_url() + posted.get_portal_url()
        if self.data_removed_at or not self._can_be_paid():
            return ""
        return f"{self.get_base_url()}/my/renew/{self.id}/{self._renewal_token()}"

    def _renewal_token(self):
        """Return what opens this subscription's page to renew; it is worth no more than that."""
        return hmac(self.env(su=True), "microsaas-renew", self.ids)

    def _is_renewal_token(self, token):
        return consteq(self._renewal_token(), token)

    def _renewed_together(self):
        """Return this subscription and those that one invoice may renew with it: same customer, terms and last day."""
        others = self.sudo().search(
            [
                ("partner_id", "=", self.partner_id.id),
                ("company_id", "=", self.company_id.id),
                ("fecha_fin", "=", self.fecha_fin),
                ("id", "!=", self.id),
                ("state", "not in", ("draft", *ENDED)),
            ]
        ).filtered(
            lambda other: other._can_be_renewed()
            and not (other._open_renewal_invoice() or other._invoice_to_pay())
            and other._renewal_key() == self._renewal_key()
        )
        return self | others

    def _renewal_key(self):
        """Return what subscriptions agree in that one invoice renews."""
        plan = self.product_id.product_tmpl_id
        vals = self._renewal_move_vals() if self.product_id and self.partner_id else {"id": self.id}
        return (self.company_id, self.fecha_fin, plan.microsaas_renew_issue, tuple(sorted(vals.items())))

    def _renew_together(self, why):
        """Return the posted invoice of these subscriptions: the first one's open one, else one new one for all."""
        self._serialize_renewals()
        move = self[0]._open_renewal_invoice()
        if not move:
            move = self.filtered(lambda one: not one._open_renewal_invoice())._create_renewal_invoice(why)
        if move.state == "draft":
            move.action_post()
        return move

    # -- ahead of the end ----------------------------------------------------------------------

    @api.model
    def _cron_issue_renewals(self):
        """Make the renewal invoices that plans want some days ahead; one that fails holds up no other."""
        for group in self._due_for_renewal().grouped(lambda one: one._renewal_key()).values():
            try:
                # Somebody renews one of them in this moment: then it has its invoice already.
                with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                    group._renew_ahead()
            except SerializationFailure:
                _logger.info("Somebody else renews %s.", ", ".join(group.mapped("name")))
            except (UserError, RedirectWarning) as error:
                for subscription in group:
                    _logger.warning("No renewal invoice for %s: %s", subscription.name, error)
                    subscription._ask_people("invoiceFailed")

    def _due_for_renewal(self):
        """Return the subscriptions whose plans want an invoice by today; an archived plan goes on for who has it."""
        plans = self.env["product.template"].with_context(active_test=False)
        due = self.browse()
        for plan in plans.search([("microsaas_renew_days", ">", 0)]):
            candidates = self.search(
                [
                    ("product_id", "in", plan.product_variant_ids.ids),
                    ("state", "in", ("active", "expiring_soon", "paused")),
                    # The days are the company's; nowhere is it later than a day after UTC's.
                    ("fecha_fin", "<=", fields.Date.today() + timedelta(days=plan.microsaas_renew_days + 1)),
                ]
            )
            days = timedelta(days=plan.microsaas_renew_days)
            due |= candidates.filtered(
                lambda one, days=days: one.fecha_fin <= one.company_id._microsaas_today() + days
                and not one._is_free()
            )
        return due

    def _renew_ahead(self):
        self._serialize_renewals()
        todo = self.filtered(lambda one: not one._open_renewal_invoice())
        if not todo:
            return
        plan = todo[0].product_id
        why = self.env._("Plan %(plan)s renews %(days)s days ahead.", plan=plan.name, days=plan.microsaas_renew_days)
        move = todo._create_renewal_invoice(why)
        if plan.microsaas_renew_issue == "posted":
            move.action_post()

    # -- leavers -------------------------------------------------------------------------------

    def _drop_open_renewals(self):
        """Nobody is to owe for what has ended: take its drafts back; a posted invoice is an accountant's decision."""
        for subscription in self:
            for line in subscription.renewal_line_ids.filtered(lambda line: line.move_id.move_type == "out_invoice"):
                if line.parent_state == "draft":
                    line._microsaas_drop_renewal()
            if subscription._open_renewal_invoice():
                subscription._ask_people("leaverOwes")
