"""What the mails to customers say of a subscription: who writes, what there is to pay, until when data are kept."""

from odoo import models
from odoo.tools import format_amount, formataddr


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _mail_from(self):
        """Return who writes to the customer: the company, by an address that its mail server may use.

        A mail without a sender never leaves.
        """
        company = self.company_id.sudo()
        address = company.email_formatted or company.default_from_email
        if not address:
            address = self.env["ir.mail_server"].sudo()._get_default_from_address()
        return address or self.env.user.email_formatted or formataddr((company.name, "noreply@localhost"))

    def _mail_reply_to(self):
        """Return where the customer's answer goes: to whoever sold it, else to the company."""
        return self._mail_contact() or self._mail_from()

    def _mail_contact(self):
        """Return the address that customers write to; empty if the company has none."""
        company = self.company_id.sudo()
        return company.email or company.catchall_email or ""

    def _portal_url(self):
        """Return the customer's own page about the instance."""
        return f"{self.get_base_url()}/my/instances/{self.instancia_id.id}"

    def _amount_to_pay(self):
        """Return what the customer would pay behind `_pay_url`, with its currency; empty if there is nothing to pay."""
        move = self._invoice_to_pay()
        if move:
            return format_amount(self.env, move.amount_residual, move.currency_id)
        if not self._pay_url():
            return ""
        draft = self._open_renewal_invoice()
        if draft:
            return format_amount(self.env, draft.amount_total, draft.currency_id)
        return format_amount(self.env, self._renewal_amount(), self._renewal_currency())
