"""Renewals that are charged to a saved card: announced, charged, tried again, given up. Money is asked for once.

A charge is reviewed, as a change of plan is (ADR 20): what is due follows from its invoice and its transactions, so whatever is missed or
happens twice, the next review puts right. A transaction is a committed row before the provider hears of it: a process that
is killed in between leaves a row whose outcome nobody knows, and that blocks every other one (ADR 22).
"""

import logging
from datetime import timedelta

from psycopg2.errors import SerializationFailure

from odoo import Command, api, fields, models
from odoo.exceptions import RedirectWarning, UserError
from odoo.release import version_info
from odoo.tools import format_amount, mute_logger
from odoo.tools.misc import format_date

from .alerts import close_activities
from .by_hand import ByHand

_logger = logging.getLogger(__name__)

UNIQUE = "UNIQUE(subscription_id, last_day)"
UNIQUE_MESSAGE = "This renewal is announced already."
CHARGE_ACTIVITY = "micro_saas.mail_activity_type_charge"
# So many days before the last paid day the card is charged: with the usual days of grace, each retry comes before the suspension.
DAYS_BEFORE_END = 3
# So many days after the first attempt in vain there is another one.
RETRIES = (1, 3, 5)
# For so long the provider's own message may still say what became of a transaction that was interrupted.
INTERRUPTED_AFTER = timedelta(hours=1)
MAX_REASON = 200


class MicrosaasCharge(ByHand, models.Model):
    """One renewal that the customer was told is charged to their card: on which day, how much, what became of it."""

    _name = "microsaas.charge"
    _description = "Charge of a saved card"
    _order = "id desc"
    _rec_name = "subscription_id"

    subscription_id = fields.Many2one("microsaas.subscription", required=True, ondelete="cascade", index=True)
    last_day = fields.Date("Paid until, before", required=True)
    day = fields.Date("Charged from", required=True)
    amount = fields.Monetary("Announced amount", required=True)
    currency_id = fields.Many2one("res.currency", required=True)
    announcement_id = fields.Many2one("microsaas.notice", "Announced by", ondelete="set null")
    move_id = fields.Many2one("account.move", "Invoice", ondelete="set null", index="btree_not_null")
    transaction_ids = fields.One2many("payment.transaction", "microsaas_charge_id", "Attempts")
    state = fields.Selection(
        [("announced", "Announced"), ("stopped", "Given up"), ("paid", "Paid"), ("over", "Closed")],
        default="announced",
        required=True,
        index=True,
        help="Given up: the customer pays by themselves. Closed: there is nothing to charge any more.",
    )

    if version_info[0] >= 19:
        _charge_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("charge_uniq", UNIQUE, UNIQUE_MESSAGE)]

    # -- the job -----------------------------------------------------------------------------------

    @api.model
    def _cron_charge(self, keep=None):
        """Charge what is due, and see to what became of earlier attempts; one that fails holds up no other.

        A database that no sidecar works for charges nothing: it may be a copy, or older than what was charged.

        :param keep: how what is known is kept before a provider is asked, and after; by default a commit
        """
        if not self.env["microsaas.sidecar"]._one()._is_heard_of():
            return
        keep = keep or self.env.cr.commit
        for charge in self.search([("state", "in", ("announced", "stopped"))], order="id"):
            keep()  # each begins with what others have written until now
            attempt = charge._apart(charge._review)
            keep()
            if attempt:
                charge._apart(attempt._charge_with_saved_card)
                keep()
                charge._apart(charge._review_attempts)
                keep()

    def _apart(self, act):
        """Do something of which nothing stays where it fails. Return what it returns; None where it failed."""
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return act()
        except SerializationFailure:
            _logger.info("Somebody else renews %s.", self.subscription_id.name)
        except Exception:
            _logger.exception("The renewal of %s is not charged.", self.subscription_id.name)
        return None

    # -- what facts ask for ------------------------------------------------------------------------

    def _review(self):
        """Do what the facts ask for. Return the transaction to be sent once it is committed; None where nothing is charged now."""
        self.ensure_one()
        subscription = self.subscription_id
        subscription._serialize_renewals()
        if self._settle() or not self._review_attempts() or subscription._is_renewal_being_paid():
            return None
        if self.state != "announced":
            return None
        if subscription._card_problem(self.amount, self.currency_id):
            self._give_up(lambda charge: charge.subscription_id._card_problem(charge.amount, charge.currency_id))
            return None
        day = self._next_day()
        if not day:
            self._give_up(lambda charge: charge.env._("There is no day left on which it could be charged."))
            return None
        if subscription.company_id._microsaas_today() < day or self.announcement_id.has_failed:
            return None
        if subscription._charge_obstacle():
            self._tell_failure(f"{self.last_day} obstacle", lambda charge: charge.subscription_id._charge_obstacle())
            return None
        return self._attempt()

    def _settle(self):
        """Close it where it is paid, or where there is nothing to charge any more. Return whether it is closed."""
        if self.move_id and self.move_id._microsaas_is_paid():
            self._close("paid", self.env._("Invoice %s is paid.", self.move_id.name))
        elif self._is_pointless():
            self._close("over", self.env._("Nothing of this renewal is charged to the card any more."))
        elif self.state == "announced" and (self.subscription_id.suspended_at or not self.subscription_id.renew_token_id):
            self.state = "over"
        return self.state in ("paid", "over")

    def _is_pointless(self):
        """Tell whether its renewal waits for no money any more."""
        subscription, move = self.subscription_id, self.move_id
        is_taken_back = move and (move.state == "cancel" or move._microsaas_is_fully_reversed())
        return subscription.fecha_fin != self.last_day or subscription._has_ended() or bool(is_taken_back)

    def _close(self, state, why):
        self.state = state
        self.subscription_id._note_charge(why)
        close_activities(self.subscription_id, CHARGE_ACTIVITY, why)

    def _review_attempts(self):
        """See to what became of the attempts. Return whether another one may follow, as far as they are concerned."""
        if self.state == "announced" and self._interrupted_attempts():
            self.state = "stopped"
            self.subscription_id._ask_about_charge(
                self.env._("Look at the payment provider: nobody knows whether a card was charged"),
                self.env._(
                    "Transaction %s was interrupted or not answered. The card is not charged again for this renewal: register"
                    " the payment if there is one.",
                    self._interrupted_attempts()[0].reference,
                ),
            )
        if self._is_blocked():
            return False
        last = self._attempts_with_this_card()[-1:]
        if not last or self.state != "announced":
            return True
        why = f"attempt {last.id}", lambda charge: charge.env["payment.transaction"].browse(last.id)._reason_for_customer()
        if not self._next_day():
            self._give_up(why[1], why[0])
            return False
        self._tell_failure(*why)
        return True

    def _is_blocked(self):
        """Tell whether an attempt has taken the money, is about to, or may have: then there is no other one."""
        return any(
            one.state in ("pending", "authorized", "done") or one._is_outcome_unknown() for one in self.transaction_ids
        )

    def _interrupted_attempts(self):
        """Return the attempts whose outcome the provider's own messages have not told in time either."""
        since = fields.Datetime.now() - INTERRUPTED_AFTER
        return self.transaction_ids.filtered(lambda one: one._is_outcome_unknown() and one.last_state_change < since)

    def _attempts_with_this_card(self):
        token = self.subscription_id.renew_token_id
        return self.transaction_ids.filtered(lambda one: one.token_id == token).sorted("id")

    def _next_day(self):
        """Return the day from which the next attempt with this card is due; False where none is left before it is suspended."""
        attempts = self._attempts_with_this_card()
        if len(attempts) > len(RETRIES):
            return False
        day = self.day
        if attempts:
            first, last = (attempts[index]._day_of_attempt() for index in (0, -1))
            # After a time without this job, what was missed comes one a day.
            day = max(day, first + timedelta(days=RETRIES[len(attempts) - 1]), last + timedelta(days=1))
        return day if max(day, self.subscription_id.company_id._microsaas_today()) <= self._last_chance() else False

    def _last_chance(self):
        """Return the last day before it is suspended."""
        return self.last_day + timedelta(days=self.subscription_id._days_of_grace())

    # -- charging ----------------------------------------------------------------------------------

    def _attempt(self):
        """Return a new transaction of exactly what was announced; where it costs something else, announce that, and return None."""
        subscription = self.subscription_id
        if self._announces(*subscription._renewal_to_charge()):
            move = self._invoice()
            if not move:
                return None
            if self._announces(move.amount_residual, move.currency_id):
                return self._transaction(move)
        if not subscription._announce_charge():
            self._give_up(lambda charge: charge.env._("It costs something else than we have told you."))
        return None

    def _announces(self, amount, currency):
        """Tell whether the customer was told of exactly this amount."""
        return currency == self.currency_id and not currency.compare_amounts(amount, self.amount)

    def _invoice(self):
        """Return the renewal's posted invoice; none where it cannot be made, which a person is asked about."""
        subscription = self.subscription_id
        try:
            with self.env.cr.savepoint():
                self.move_id = subscription._issue_renewal_invoice(
                    self.env._("it renews by itself with the card %s.", subscription.card_name)
                )
        except (UserError, RedirectWarning) as error:
            _logger.warning("No renewal invoice for %s: %s", subscription.name, error)
            subscription._ask_people("invoiceFailed")
            return self.move_id.browse()
        return self.move_id

    def _transaction(self, move):
        token = self.subscription_id.renew_token_id
        self.subscription_id._note_charge(
            self.env._(
                "The card %(card)s is charged for invoice %(invoice)s: %(amount)s.",
                card=token.display_name,
                invoice=move.name,
                amount=format_amount(self.env, move.amount_residual, move.currency_id),
            )
        )
        return self.env["payment.transaction"].create(
            {
                "provider_id": token.provider_id.id,
                "payment_method_id": token.payment_method_id.id,
                "token_id": token.id,
                "operation": "offline",
                "amount": move.amount_residual,
                "currency_id": move.currency_id.id,
                "partner_id": move.partner_id.id,
                "invoice_ids": [Command.set(move.ids)],
                "microsaas_charge_id": self.id,
            }
        )

    # -- telling -----------------------------------------------------------------------------------

    def _tell_failure(self, period, why):
        """Tell the customer, once, that their card was not charged, why, and when it is tried again.

        :param period: tells two failures apart
        :param why: a function of this record that returns the reason as a sentence, in the language of the record's environment
        """
        subscription = self.subscription_id
        day = self._next_day() if self.state == "announced" else False
        if day:  # what stands in its way today is looked at again tomorrow
            day = max(day, subscription.company_id._microsaas_today() + timedelta(days=1))
            day = day if day <= self._last_chance() else False
        theirs = why(self.with_context(lang=subscription.partner_id.lang))[:MAX_REASON]
        notices = self.env["microsaas.notice"].with_context(microsaas_reason=theirs, microsaas_day=day)
        if notices._tell(subscription, "chargeFailed", period):
            after = self.env._("It is not tried again.")
            if day:
                after = self.env._("It is tried again on %s.", format_date(self.env, day))
            reason = why(self)[:MAX_REASON]
            subscription._note_charge(self.env._("The card was not charged. %(reason)s %(after)s", reason=reason, after=after))

    def _give_up(self, why, period=""):
        """Try it no more: the customer is told to pay by themselves, the seller is asked to look.

        :param why: as of `_tell_failure`
        """
        self.state = "stopped"
        self._tell_failure(period or f"{self.last_day} card {self.subscription_id.renew_token_id.id}", why)
        self.subscription_id._ask_about_charge(
            self.env._("A card could not be charged for a renewal, and is not tried again"), why(self)[:MAX_REASON]
        )
