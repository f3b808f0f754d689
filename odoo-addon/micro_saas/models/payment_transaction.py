"""Attempts to charge a saved card for a renewal: sent once, and what is known of each."""

import requests
from urllib3.exceptions import NewConnectionError

from odoo import fields, models
from odoo.exceptions import ValidationError
from odoo.release import version_info
from odoo.tools.mail import html_to_inner_content

from .by_hand import ByHand


class PaymentTransaction(ByHand, models.Model):
    _inherit = "payment.transaction"

    microsaas_charge_id = fields.Many2one(
        "microsaas.charge", "Renewal by itself", readonly=True, copy=False, ondelete="set null", index="btree_not_null"
    )
    microsaas_outcome = fields.Selection(
        [
            ("answered", "The provider has answered"),
            ("unsent", "The provider was not reached: nothing was charged"),
            ("unknown", "Nobody knows whether it was charged"),
            ("not_charged", "A person has found that it was not charged"),
        ],
        "What is known of it",
        readonly=True,
        copy=False,
    )

    def _charge_with_saved_card(self):
        """Ask the provider for the money of a transaction that is committed, and have Odoo see to the payment."""
        self.ensure_one()
        if version_info[0] >= 19:
            self._charge_with_token()
        else:
            self._send_payment_request()
        self.env.ref("payment.cron_post_process_payment_tx")._trigger()

    def _send_api_request(self, *args, **kwargs):
        """Note whether the provider has answered: Odoo calls its silence an error, as if nothing had been charged."""
        if not self.microsaas_charge_id:
            return super()._send_api_request(*args, **kwargs)
        try:
            answer = super()._send_api_request(*args, **kwargs)
        except ValidationError as error:
            cause = error.__context__
            if _is_unsent(cause) and self.microsaas_outcome != "answered":
                self.microsaas_outcome = "unsent"
            elif _is_silence(cause):
                self.microsaas_outcome = "unknown"
            elif isinstance(cause, requests.exceptions.HTTPError):
                self.microsaas_outcome = "answered"  # it has refused
            raise
        self.microsaas_outcome = "answered"
        return answer

    def _validate_amount(self, payment_data):
        """Note that the provider speaks of another amount: Odoo calls that an error, and something may have been charged."""
        before = self.state
        super()._validate_amount(payment_data)
        if self.microsaas_charge_id and self.state == "error" and before != "error":
            self.microsaas_outcome = "unknown"

    def _has_no_answer(self):
        """Tell whether the provider was asked in vain: who is asked next would perhaps be no better off."""
        return self._is_outcome_unknown() or (self.state == "error" and self.microsaas_outcome == "unsent")

    def _is_outcome_unknown(self):
        """Tell whether the provider may have charged it though nothing says so: interrupted, or not answered.

        Whoever refuses names it. An error without that, of which we have seen no answer, may be the silence of a provider that is asked
        in a way of its own, as all are in Odoo 18.
        """
        is_unheard = not self.microsaas_outcome and not self.provider_reference
        return self.state == "draft" or (self.state == "error" and (self.microsaas_outcome == "unknown" or is_unheard))

    def _is_in_doubt(self):
        """Tell whether its outcome is unknown while its invoice may still be paid: paid or taken back, there is nothing to charge."""
        is_settled = self.invoice_ids and all(
            move._microsaas_is_paid() or move.state == "cancel" or move._microsaas_is_fully_reversed() for move in self.invoice_ids
        )
        return self._is_outcome_unknown() and not is_settled

    def _note_not_charged(self):
        """Note of these, whose outcome is unknown, that a person knows better; a late message of the provider counts all the same."""
        self.microsaas_outcome = "not_charged"
        self.filtered(lambda one: one.state == "draft")._set_error("")

    def _day_of_attempt(self):
        """Return the day on which it was made, or came to nothing, in the company's time zone."""
        return self.invoice_ids[:1]._microsaas_day_of(self.last_state_change)

    def _reason_for_customer(self):
        """Return why it was in vain, as a sentence; what the provider said of it is plain text, whatever it was."""
        _ = self.env._
        said = html_to_inner_content(self.state_message or "")
        if self.microsaas_outcome == "not_charged":
            return _("The payment was interrupted, and nothing was charged.")
        if self.microsaas_outcome == "unsent":
            return _("The payment provider could not be reached, and nothing was charged.")
        if self.state == "cancel":
            return _("The payment was cancelled at the payment provider.")
        if said:
            return _("The payment provider says: “%s”", said)
        return _("The payment provider declined it, and gives no reason.")


def _is_unsent(error):
    """Tell whether a request never left, for there was no connection; `error` is what `requests` raised, maybe None."""
    reason = getattr(error.args[0], "reason", None) if error and error.args else None
    return isinstance(error, requests.exceptions.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _is_silence(error):
    """Tell whether a request may have been obeyed though nothing says so: a connection that broke, a provider's own failure."""
    if isinstance(error, requests.exceptions.HTTPError):
        return error.response is not None and error.response.status_code >= 500
    return isinstance(error, (requests.exceptions.ConnectionError, requests.exceptions.Timeout))
