"""Attempts to charge a saved card for a renewal: sent once, and what is known of each."""

import requests

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
    microsaas_is_unanswered = fields.Boolean(
        "Not answered", readonly=True, copy=False, help="The provider may have taken the money: it was asked, and has not answered."
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
        """Note a silent provider: Odoo calls that an error, as if nothing had been charged."""
        try:
            return super()._send_api_request(*args, **kwargs)
        except ValidationError as error:
            if isinstance(error.__context__, (requests.exceptions.ConnectionError, requests.exceptions.Timeout)):
                self.microsaas_is_unanswered = True
            raise

    def _is_outcome_unknown(self):
        """Tell whether the provider may have charged it though nothing says so: interrupted, or not answered."""
        return self.state == "draft" or (self.state == "error" and self.microsaas_is_unanswered)

    def _day_of_attempt(self):
        """Return the day on which it was made, or came to nothing, in the company's time zone."""
        return self.invoice_ids[:1]._microsaas_day_of(self.last_state_change)

    def _reason_for_customer(self):
        """Return why it was in vain, as a sentence; what the provider said of it is plain text, whatever it was."""
        _ = self.env._
        said = html_to_inner_content(self.state_message or "")
        if self.state == "cancel":
            return _("The payment was cancelled at the payment provider.")
        if said:
            return _("The payment provider says: “%s”", said)
        return _("The payment provider declined it, and gives no reason.")
