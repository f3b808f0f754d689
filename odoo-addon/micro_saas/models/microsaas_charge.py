"""Renewals that are charged to a saved card: announced, charged, tried again, given up. Money is asked for once.

A charge is reviewed, as a change of plan is (ADR 20): what is due follows from its invoice and its transactions, so whatever is missed or
happens twice, the next review puts right. A transaction is a committed row before the provider hears of it: a process that
is killed in between leaves a row whose outcome nobody knows, and that blocks every other one (ADR 22).
"""

import logging
from datetime import timedelta
from functools import partial
from time import monotonic

from psycopg2.errors import SerializationFailure

from odoo import Command, api, fields, models
from odoo.exceptions import UserError
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
# After so many seconds a run leaves the rest to the next one: Odoo kills jobs that last, perhaps while a provider is being asked.
RUN_SECONDS = 60
# What was reviewed so lately comes last: the next run goes on where one was left.
LATELY = timedelta(minutes=30)
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
    reviewed_at = fields.Datetime("Reviewed", readonly=True)
    is_in_doubt = fields.Boolean("Nobody knows whether it was charged", compute="_compute_is_in_doubt", compute_sudo=True)

    if version_info[0] >= 19:
        _charge_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("charge_uniq", UNIQUE, UNIQUE_MESSAGE)]

    @api.depends("transaction_ids.state", "transaction_ids.microsaas_outcome")
    def _compute_is_in_doubt(self):
        for charge in self:
            charge.is_in_doubt = bool(charge._interrupted_attempts())

    def action_not_charged(self):
        """Say that the provider has not charged what nobody knew of: from now on it may be charged again.

        :return: True
        :raise UserError: nothing is in doubt, or the provider may still tell it
        """
        self.ensure_one()
        self.subscription_id._check_user()
        charge = self.sudo()
        charge.subscription_id._serialize_renewals()
        attempts = charge._interrupted_attempts()
        if not attempts:
            raise UserError(self.env._("There is no charge here that nobody knows of. Within its first hour the provider may still tell."))
        attempts._note_not_charged()
        if charge.state == "stopped":
            charge.state = "announced"
        why = self.env._("%s has found at the payment provider that the card was not charged.", self.env.user.name)
        charge.subscription_id._note_charge(why)
        close_activities(charge.subscription_id, CHARGE_ACTIVITY, why)
        return True

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
        begun, silent = monotonic(), self.env["payment.provider"]
        has_charged = False
        for one in self._in_turn():
            keep()  # each begins with what others have written until now
            if one._name != self._name:
                self._apart(one, one._announce_charge)
            elif attempt := one._review_apart(silent, keep):
                has_charged = True
                if attempt._has_no_answer():
                    silent |= attempt.provider_id
            keep()
            if monotonic() - begun >= RUN_SECONDS:
                # Without any of the two the next run would do no more than this one.
                if has_charged or self._open()._not_reviewed_lately():
                    self.env.ref("micro_saas.cron_charge")._trigger()
                    keep()
                return

    def _in_turn(self):
        """Yield what a run looks at: charges, then subscriptions that wait to be announced, then charges that were reviewed lately.

        Of charges what is due comes first: where a run does not come to its end, it is the later ones that wait.
        """
        charges = self._open()
        waiting = charges._not_reviewed_lately()
        yield from waiting
        yield from self.env["microsaas.subscription"]._without_charge()
        yield from charges - waiting

    @api.model
    def _open(self):
        return self.search([("state", "in", ("announced", "stopped"))], order="state, day, id")

    def _not_reviewed_lately(self):
        since = fields.Datetime.now() - LATELY
        return self.filtered(lambda charge: not charge.reviewed_at or charge.reviewed_at < since)

    def _review_apart(self, silent, keep):
        """Review it, and charge what is due. Return the `payment.transaction` that was sent; none where nothing is charged now.

        :param silent: as for `_review`
        :param keep: as for `_cron_charge`
        """
        subscription = self.subscription_id
        # Whether or not the review fails: else what fails would always come first.
        self._apart(subscription, partial(self.write, {"reviewed_at": fields.Datetime.now()}))
        attempt = self._apart(subscription, partial(self._review, silent))
        if attempt:
            keep()
            self._apart(subscription, attempt._charge_with_saved_card, is_asking=True)
            keep()
            self._apart(subscription, self._review_attempts)
        return attempt

    def _apart(self, subscription, act, *, is_asking=False):
        """Do something of which nothing stays where it fails. Return what it returns; None where it failed.

        :param is_asking: a provider is asked: then no failure is only somebody else's doing
        """
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                return act()
        except Exception as error:
            if isinstance(error, SerializationFailure) and not is_asking:
                _logger.info("Somebody else writes subscription %s: its renewal is looked at again.", subscription.name)
            else:
                _logger.exception("The renewal of %s is not charged.", subscription.name)
        return None

    # -- what facts ask for ------------------------------------------------------------------------

    def _review(self, silent):
        """Do what the facts ask for. Return the transaction to be sent once it is committed; None where nothing is charged now.

        :param silent: `payment.provider`, those that have not answered in this run: they are not asked again in it
        """
        self.ensure_one()
        self.subscription_id._serialize_renewals()
        if self._settle():
            return None
        attempt = self._next_attempt(silent)
        if not attempt:
            self._warn_in_time()
        return attempt

    def _next_attempt(self, silent):
        subscription = self.subscription_id
        if not self._review_attempts() or subscription._is_renewal_being_paid() or self.state != "announced":
            return None
        if subscription._card_problem(self.amount, self.currency_id):
            self._give_up(lambda charge: charge.subscription_id._card_problem(charge.amount, charge.currency_id))
            return None
        day = self._next_day()
        if not day:
            self._give_up(lambda charge: charge.env._("There is no day left on which it could be charged."))
            return None
        is_due = subscription.company_id._microsaas_today() >= day and not self.announcement_id._has_not_left()
        if not is_due or subscription.renew_token_id.provider_id in silent:
            return None
        if subscription._charge_obstacle():
            self._tell_obstacle(lambda charge: charge.subscription_id._charge_obstacle())
            return None
        return self._attempt()

    def _settle(self):
        """Close it where it is paid, or where there is nothing to charge any more. Return whether it is closed."""
        if self.move_id and self.move_id._microsaas_is_paid():
            self._close("paid", self.env._("Invoice %s is paid.", self.move_id.name))
        elif any(one._is_in_doubt() for one in self.transaction_ids):
            return False  # also when the last paid day has moved: somebody has to know first
        elif self._is_pointless():
            if self == self.subscription_id._charge():
                # Its invoice was taken back, and the renewal is due all the same.
                self.subscription_id._ask_to_pay_instead()
            self._close("over", self.env._("Nothing of this renewal is charged to the card any more."))
        elif self.state == "announced" and self.subscription_id.suspended_at:
            self.state = "over"
        elif self.state == "announced" and not self.subscription_id.renew_token_id:
            self.subscription_id._ask_to_pay_instead()
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
        unknown = self.transaction_ids.filtered(lambda one: one._is_outcome_unknown())
        if state == "paid" or not unknown:
            close_activities(self.subscription_id, CHARGE_ACTIVITY, why)
        else:
            self._ask_whether_charged(unknown[0])

    def _review_attempts(self):
        """See to what became of the attempts. Return whether another one may follow, as far as they are concerned."""
        if self.state == "announced" and self._interrupted_attempts():
            self.state = "stopped"
            self._ask_whether_charged(self._interrupted_attempts()[0])
        if self._is_blocked():
            return False
        last = self._attempts_with_this_card()[-1:]
        if last and self.state == "stopped" and not self._is_told(last):
            self.state = "announced"  # the provider has told at last what nobody knew
        if not last or self.state != "announced":
            return True
        why = f"attempt {last.id}", lambda charge: charge.env["payment.transaction"].browse(last.id)._reason_for_customer()
        if not self._next_day():
            self._give_up(why[1], why[0])
            return False
        self._tell_failure(*why)
        return True

    def _is_told(self, attempt):
        """Tell whether the customer was told that this attempt was in vain."""
        failed = self.subscription_id.notice_ids.filtered(lambda one: one.kind == "chargeFailed")
        return f"attempt {attempt.id}" in failed.mapped("period")

    def _ask_whether_charged(self, attempt):
        self.subscription_id._ask_about_charge(
            self.env._("Look at the payment provider: nobody knows whether a card was charged"),
            self.env._(
                "Transaction %s was interrupted or not answered. No card is charged for this renewal until that is known: register"
                " the payment if there is one; else press “It was not charged” on the subscription, under Charges.",
                attempt.reference,
            ),
        )

    def _is_blocked(self):
        """Tell whether an attempt has taken the money, is about to, or may have: then there is no other one."""
        return bool(self._blocking_attempts())

    def _blocking_attempts(self):
        return self.transaction_ids.filtered(
            lambda one: one.state in ("pending", "authorized", "done") or one._is_outcome_unknown()
        ).sorted("id")

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

    def _warn_in_time(self):
        """On the day before the last one, tell customer and seller what the renewal waits for still: nothing just stops."""
        subscription, last = self.subscription_id, self._last_chance()
        is_late = last - timedelta(days=1) <= subscription.company_id._microsaas_today() <= last
        waits_for = is_late and subscription.fecha_fin == self.last_day and self._what_it_waits_for()
        if not waits_for:
            return
        theirs = self.with_context(lang=subscription.partner_id.lang)._what_it_waits_for()
        notices = self.env["microsaas.notice"].with_context(microsaas_reason=theirs[:MAX_REASON], microsaas_day=last)
        if notices._tell(subscription, "chargeWaits", fields.Date.to_string(self.last_day)):
            subscription._ask_about_charge(
                self.env._("A renewal by card is not paid yet, and its Odoo is about to stop"), waits_for[:MAX_REASON]
            )

    def _what_it_waits_for(self):
        """Return what it waits for, as a sentence; "" where it is charged on its day, or was given up, which is told then."""
        subscription, _ = self.subscription_id, self.env._
        if subscription._has_uncounted_payment():
            return ""  # paid: the sidecar is about to count it
        if self._is_blocked() or subscription._is_renewal_being_paid():
            return _("A payment was begun, and has not arrived yet.")
        if self.state != "announced":
            return ""
        if self.announcement_id._has_not_left():
            return _("Our mail about the charge has not left.")
        obstacle, day = subscription._charge_obstacle(), self._next_day()
        if obstacle or not day or day > subscription.company_id._microsaas_today():
            return obstacle
        return _("It could not be charged on its day; we are looking into it.")

    # -- charging ----------------------------------------------------------------------------------

    def _attempt(self):
        """Return a new transaction of exactly what was announced; where it costs something else, announce that, and return None."""
        subscription = self.subscription_id
        if self._announces(*subscription._renewal_to_charge()):
            move = subscription._invoice_or_ask(subscription._issue_renewal_invoice)
            if not move:
                return None
            self.move_id = move
            if subscription._invoice_obstacle(move):
                self._tell_obstacle(lambda charge: charge.subscription_id._invoice_obstacle(charge.move_id))
                return None
            if self._announces(move.amount_residual, move.currency_id):
                return self._transaction(move)
        if not subscription._announce_charge():
            self._give_up(lambda charge: charge.env._("It costs something else than we have told you."))
        return None

    def _announces(self, amount, currency):
        """Tell whether the customer was told of exactly this amount."""
        return currency == self.currency_id and not currency.compare_amounts(amount, self.amount)

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

    def _note_announced(self):
        """The mails that announce these have left now: nobody is charged on the day on which they were told."""
        for charge in self.filtered(lambda one: one.state == "announced"):
            charge.day = max(charge.day, charge.subscription_id.company_id._microsaas_today() + timedelta(days=1))

    def _tell_obstacle(self, why):
        """Tell the customer, once, what keeps their card from being charged today.

        :param why: as of `_tell_failure`
        """
        self._tell_failure(f"{self.last_day} obstacle", why)

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
