"""Renewing by itself with a saved card: whose choice it is, what is announced, what stands in its way."""

import logging
from datetime import timedelta

from odoo import SUPERUSER_ID, api, fields, models
from odoo.exceptions import RedirectWarning, UserError
from odoo.tools import format_amount
from odoo.tools.misc import format_date

from .alerts import person_for, raise_activity
from .microsaas_charge import CHARGE_ACTIVITY, DAYS_BEFORE_END
from .microsaas_subscription import ENDED

_logger = logging.getLogger(__name__)


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    renew_token_id = fields.Many2one(
        "payment.token",
        "Card that renews it",
        readonly=True,
        copy=False,
        ondelete="set null",
        index="btree_not_null",
        groups="base.group_user",
        help="The customer has chosen it on their page. Empty: it does not renew by itself.",
    )
    card_name = fields.Char("Renews by itself with", compute="_compute_card_name", compute_sudo=True)
    charge_ids = fields.One2many("microsaas.charge", "subscription_id", "Charges", groups="base.group_user")

    @api.depends("renew_token_id.payment_details")
    def _compute_card_name(self):
        for subscription in self:
            subscription.card_name = subscription.renew_token_id.display_name

    def write(self, vals):
        result = super().write(vals)
        if vals.get("state") in ENDED or vals.get("hidden_at") or vals.get("data_removed_at"):
            # Who undoes a cancellation has not thereby allowed anybody to charge their card.
            self.sudo()._forget_card(self.env._("the subscription has ended."))
        return result

    # -- the choice --------------------------------------------------------------------------------

    def action_forget_card(self):
        """Renew by itself no more, for a customer who asks for it.

        :return: True
        """
        self._check_user()
        self.sudo()._forget_card(self.env._("%s switched it off.", self.env.user.name))
        return True

    def _forget_card(self, why):
        for subscription in self.filtered("renew_token_id"):
            card, subscription.renew_token_id = subscription.card_name, False
            subscription._note_charge(
                self.env._("It does not renew by itself with the card %(card)s any more: %(why)s", card=card, why=why)
            )
            subscription._ask_to_pay_instead()

    def _ask_to_pay_instead(self):
        """Have the customer asked to pay, as others are, who were told that their card would be charged for the next period."""
        charge, period = self._charge(), fields.Date.to_string(self.fecha_fin)
        is_told = charge.state in ("announced", "stopped") and not charge._is_blocked()
        if not is_told or self._has_ended() or self.suspended_at:
            return
        # What has not been said, the sidecar has said when it looks again.
        self.notice_ids.filtered(lambda one: one.kind == "expiring" and one.period == period).sudo().unlink()
        charge.state = "over"
        self.instancia_id._make_due()
        self.instancia_id._nudge()

    def _choose_card(self, token, person):
        """Renew by itself with a saved card from now on; what falls due soon is announced at once.

        :param token: one of `_cards_of` that person
        :param person: `res.partner`, who wants it
        :raise UserError: it cannot renew by itself
        """
        self.ensure_one()
        self._serialize_renewals()
        if token == self.renew_token_id:
            return
        if not self._can_have_card():
            raise UserError(self.env._("This subscription cannot renew by itself."))
        self.renew_token_id = token
        # What one draft renews together with others is charged to nobody's card.
        for line in self.renewal_line_ids.filtered(lambda one: one.parent_state == "draft"):
            if line.move_id._microsaas_products() - line:
                line._microsaas_leave_draft(self.env._("Subscription %s renews by itself, on an invoice of its own.", self.name))
        self._note_charge(
            self.env._("%(person)s has it renew by itself with the card %(card)s.", person=person.name, card=token.display_name)
        )
        if self._is_in_notice():
            self._announce_charge()

    def _cards_of(self, person):
        """Return the saved cards that a person may choose: their own, and those of their company itself, as Odoo has it.

        :param person: `res.partner` of the portal's user
        """
        if person.commercial_partner_id != self.partner_id.commercial_partner_id:
            return self.env["payment.token"]
        owners = person | person.commercial_partner_id
        tokens = self.env["payment.token"].sudo().search([("partner_id", "in", owners.ids)])
        if not tokens:
            return tokens
        amount, currency = self._renewal_to_charge()
        return tokens.filtered(lambda token: not self._problem_of(token, amount, currency))

    def _can_have_card(self):
        """Tell whether it is renewed by payments, and goes on: no trial, nothing free, nothing that has ended."""
        goes_on = self.state in ("active", "expiring_soon", "paused") and self.fecha_fin and not self.suspended_at
        return bool(goes_on) and self._can_be_renewed() and not self._will_be_free() and self.instancia_id.desired_state != "removed"

    def _has_ended(self):
        return bool(self.state in ENDED or self.hidden_at or self.data_removed_at)

    # -- what stands in its way --------------------------------------------------------------------

    def _card_problem(self, amount, currency):
        """Return why the chosen card cannot be charged so much, as a sentence; "" where it can."""
        return self._problem_of(self.renew_token_id, amount, currency)

    def _problem_of(self, token, amount, currency):
        _ = self.env._
        token = token.sudo()
        if not token.active:
            return _("The card %s is not saved here any more.", token.display_name)
        if token.partner_id.commercial_partner_id != self.partner_id.commercial_partner_id:
            return _("The card %s is another customer’s.", token.display_name)
        # As this server, whoever looks: visitors are not offered what is not published, and cards saved there are charged all the same.
        providers = token.provider_id.with_user(SUPERUSER_ID)._get_compatible_providers(
            self.company_id.id, self.partner_id.id, amount, currency_id=currency.id, force_tokenization=True
        )
        # Where a person captures each payment, the renewal would wait for them.
        if token.provider_id not in providers or token.provider_id.capture_manually:
            return _("The card %s cannot be charged here any more.", token.display_name)
        return ""

    def _charge_obstacle(self):
        """Return why the renewal is not charged now, whatever the card, as a sentence; "" where it may be."""
        _ = self.env._
        if self.state == "paused" or self.instancia_id.desired_state != "running":
            return _("We have stopped this Odoo, so its renewal is not charged.")
        if not self._can_have_card():
            return _("This subscription cannot renew by itself.")
        if self._waiting_changes():
            return _("A change of plan waits for its payment: pay it or withdraw it first.")
        if any(one._is_in_doubt() for one in self.sudo().charge_ids.transaction_ids):
            return _("We do not know yet whether an earlier charge was made.")
        move = self._posted_invoice() or self._open_renewal_invoice()
        return self._invoice_obstacle(move) if move else ""

    def _invoice_obstacle(self, move):
        """Return why a renewal invoice is not charged to a card, as a sentence; "" where it may be.

        :param move: one `account.move`, in draft or posted
        """
        _, lines = self.env._, move._microsaas_products()
        if len(lines) != 1 or lines not in self.sudo().renewal_line_ids or lines.quantity != 1:
            return _("Invoice %s is not for this renewal alone.", move.display_name)
        is_ours = move.commercial_partner_id == self.partner_id.commercial_partner_id and move.company_id == self.company_id
        if not is_ours:
            return _("Invoice %s is not made out to the customer of this Odoo.", move.display_name)
        if move.payment_state == "blocked":
            return _("The payment of invoice %s is on hold.", move.display_name)
        return ""

    def _is_renewal_being_paid(self):
        """Tell whether money for the next period has come, or may be on its way, by whatever means.

        What is paid in part only is not waited for: the rest of it is announced, and charged.
        """
        moves = self.sudo().renewal_line_ids.move_id | self._posted_invoice()
        open_moves = moves.filtered(lambda move: move.move_type == "out_invoice" and move._microsaas_is_open())
        return self._has_uncounted_payment() or any(move._microsaas_has_money_on_its_way() for move in open_moves)

    # -- announcing --------------------------------------------------------------------------------

    def _renewal_to_charge(self):
        """Return `(amount, currency)` of what a renewal costs now, with taxes; nothing is written."""
        move = self._posted_invoice()
        if move:
            return move.amount_residual, move.currency_id
        draft = self._open_renewal_invoice()
        if draft:
            return draft.amount_total, draft.currency_id
        return self._renewal_amount(), self._renewal_currency()

    def _charge_day(self):
        """Return the day from which the next renewal is charged, at the earliest tomorrow: nobody is charged before they were told."""
        today = self.company_id._microsaas_today()
        return max(self.fecha_fin - timedelta(days=DAYS_BEFORE_END), today + timedelta(days=1))

    def _is_in_notice(self):
        """Tell whether the days of notice before the last paid day have begun."""
        terms = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)
        return self.fecha_fin <= self.company_id._microsaas_today() + timedelta(days=terms["notice"])

    @api.model
    def _without_charge(self):
        """Return those in their notice with a card and no charge, as where something stood in its way when the notice began."""
        cards = self.search([("renew_token_id", "!=", False), ("fecha_fin", "!=", False)])
        return cards.filtered(lambda one: one._is_in_notice() and not one._charge())

    def _announce_charge(self):
        """Tell the customer that, when and how much their card is charged. Return whether they were told. Call it with sudo.

        Where nothing can be charged, or they cannot be told, nothing is: then they are asked to pay as others are.
        """
        self.ensure_one()
        if not (self.renew_token_id and self._can_have_card()) or self._charge_obstacle():
            return False
        amount, currency = self._renewal_to_charge()
        day = self._charge_day()
        is_chargeable = currency.compare_amounts(amount, 0.0) > 0 and day <= self.fecha_fin + timedelta(days=self._days_of_grace())
        if not is_chargeable or self._card_problem(amount, currency) or not self.partner_id.email:
            return False
        charge = self._charge()
        if charge.state == "paid" or charge._is_blocked():
            return False
        # What is announced is what a draft says: a price that follows a rate would be another one on the day.
        if not self._invoice_or_ask(self._renewal_invoice):
            return False
        amount, currency = self._renewal_to_charge()
        vals = {"day": day, "amount": amount, "currency_id": currency.id, "state": "announced"}
        if charge:
            charge.write(vals)
        else:
            charge = charge.create({**vals, "subscription_id": self.id, "last_day": self.fecha_fin})
        told = f"{self.fecha_fin} {day} {currency.name} {amount:.2f} {self.renew_token_id.id}"
        notice = self.env["microsaas.notice"].sudo()._tell(self, "chargeAhead", told)
        is_told = notice.mail_id if notice else charge.announcement_id
        if not is_told:
            notice.unlink()
            charge.state = "over"
            return False
        charge.announcement_id = notice or charge.announcement_id
        self._note_charge(self.env._("The customer is told: %s", self._charge_sentence()))
        return True

    def _charge(self):
        """Return the charge of the renewal that is next, maybe none."""
        return self.sudo().charge_ids.filtered(lambda one: one.last_day == self.fecha_fin)[:1]

    def _charge_sentence(self):
        """Return what is charged next, and when, for the customer; "" where nothing is."""
        charge, _ = self._charge(), self.env._
        if not (charge or self._can_have_card()):
            return ""
        day = charge._next_day() if charge.state == "announced" else False
        amount, currency = (charge.amount, charge.currency_id) if charge else self._renewal_to_charge()
        words = {"amount": format_amount(self.env, amount, currency), "card": self.card_name}
        if charge.state in ("announced", "stopped") and charge._is_blocked():
            return self._begun_sentence(charge)
        if charge.state == "stopped" or (charge.state == "announced" and not day):
            if charge._attempts_with_this_card():
                return _("The card %(card)s could not be charged. Pay by yourself, or choose another card.", **words)
            return _("The card %(card)s is not charged for this renewal. Pay by yourself, or choose another card.", **words)
        if charge and charge.state != "announced":
            return ""
        obstacle = self._charge_obstacle()
        if obstacle:
            return obstacle
        if charge:
            day = format_date(self.env, max(day, self.company_id._microsaas_today()))
            return _("%(amount)s are charged to the card %(card)s on %(day)s.", **words, day=day)
        if not self.partner_id.email:
            return _("Without an e-mail address we cannot tell you before, so the card %(card)s is not charged.", **words)
        if self._charge_day() > self.fecha_fin + timedelta(days=self._days_of_grace()):
            return _("The card %(card)s is not charged for this renewal. Pay by yourself, or choose another card.", **words)
        return _(
            "%(amount)s are charged to the card %(card)s about %(day)s. We write to you before.",
            **words,
            day=format_date(self.env, self._charge_day()),
        )

    def _begun_sentence(self, charge):
        """Return what the customer reads of an attempt that may have taken the money."""
        attempt, _ = charge._blocking_attempts()[-1], self.env._
        words = {"amount": format_amount(self.env, attempt.amount, attempt.currency_id), "card": attempt.token_id.display_name}
        if charge.is_in_doubt:
            # Who is asked to pay would perhaps pay twice.
            return _("We have no answer about a payment of %(amount)s with the card %(card)s: write to us before you pay.", **words)
        return _("A payment of %(amount)s with the card %(card)s is being processed. You need not do anything.", **words)

    def _is_charge_ahead(self):
        """Tell whether the next renewal is about to be charged, and nothing has gone wrong with it yet."""
        charge = self._charge()
        return charge.state == "announced" and not charge.transaction_ids

    # -- people ------------------------------------------------------------------------------------

    @api.model
    def _doubt_charges(self):
        """Switch off each card that may have been charged since the copy that this database was restored from. Call it with sudo."""
        cards = self.search([("renew_token_id", "!=", False), ("fecha_fin", "!=", False)])
        for subscription in cards.filtered(lambda one: one._is_in_notice()):
            subscription._ask_about_charge(
                self.env._("Look at the payment provider: was its card charged since the copy of the database?"),
                self.env._("The database was restored or copied. Register the payment if there is one; else the customer pays by hand."),
            )
            subscription._forget_card(self.env._("the database was restored or copied."))

    def _ask_about_charge(self, summary, note):
        raise_activity(self, CHARGE_ACTIVITY, person_for(self.env, self.factura_id.invoice_user_id), summary, note)

    def _note_charge(self, body):
        self._message_log(body=body, author_id=self.env.user.partner_id.id)

    # -- invoices ----------------------------------------------------------------------------------

    def _invoice_or_ask(self, make):
        """Return the renewal invoice that is made; none where it cannot be made, which a person is asked about.

        :param make: a function of the reason, a sentence for the chatter, that returns the invoice
        """
        try:
            with self.env.cr.savepoint():
                return make(self.env._("it renews by itself with the card %s.", self.card_name))
        except (UserError, RedirectWarning) as error:
            _logger.warning("No renewal invoice for %s: %s", self.name, error)
            self._ask_people("invoiceFailed")
            return self.env["account.move"]

    def _renewal_key(self):
        """What a card pays for is on an invoice of its own."""
        return (*super()._renewal_key(), self.id if self.sudo().renew_token_id else 0)
