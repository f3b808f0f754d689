"""Invoice lines that renew a subscription: how many terms, and which days they pay for."""

import math

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date


class AccountMove(models.Model):
    _inherit = "account.move"

    def _post(self, soft=True):
        """A renewal pays for whole terms, and names the days that it pays for once it is posted."""
        for line in self.invoice_line_ids.filtered("suscripcion_id"):
            if line.move_id.move_type == "out_invoice":
                line._microsaas_check_terms()
                line._microsaas_write_period()
        return super()._post(soft)


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    microsaas_service_start = fields.Date("Service from", readonly=True, copy=False)
    microsaas_service_end = fields.Date("Service until", readonly=True, copy=False)

    def _microsaas_terms(self):
        """Return how many terms of its plan a renewal line pays for."""
        return max(math.floor(self.quantity), 0)

    def _microsaas_check_terms(self):
        if self.quantity != self._microsaas_terms() or not self.quantity:
            raise UserError(
                self.env._(
                    "“%(line)s” renews subscription %(subscription)s: its quantity is the number of terms, so it must"
                    " be 1, 2, 3 …, not %(quantity)s. For less, lower the price instead.",
                    line=(self.name or "").partition("\n")[0],
                    subscription=self.suscripcion_id.name,
                    quantity=self.quantity,
                )
            )

    def _microsaas_write_period(self):
        """Write the days of service on renewal lines, also as text, in place of those written before."""
        for line in self.filtered("suscripcion_id"):
            before = line._microsaas_period_text()
            name = (line.name or "").removesuffix(before).rstrip("\n") if before else line.name or ""
            first, last = line.suscripcion_id.sudo()._next_period(line._microsaas_terms() or 1)
            vals = {"microsaas_service_start": first, "microsaas_service_end": last}
            if "deferred_start_date" in line._fields:  # Odoo's own deferred revenue
                vals |= {"deferred_start_date": first, "deferred_end_date": last}
            line.sudo().write(vals)  # not by hand: whoever posts the invoice may not choose the days
            line.name = f"{name}\n{line._microsaas_period_text()}"

    def _microsaas_period_text(self):
        if not self.microsaas_service_start:
            return ""
        lang = self.move_id.partner_id.lang
        first, last = (
            format_date(self.env, day, lang_code=lang)
            for day in (self.microsaas_service_start, self.microsaas_service_end)
        )
        return self.with_context(lang=lang).env._("Service from %(first)s to %(last)s", first=first, last=last)

    def _microsaas_drop_renewal(self):
        """Take a renewal out of its draft, because the subscription has ended; cancel the draft if nothing is left."""
        move, name = self.move_id, self.suscripcion_id.name
        body = self.env._("Subscription %s has ended: it is not renewed here any more.", name)
        if move.invoice_line_ids.filtered(lambda line: line.display_type == "product") - self:
            self.unlink()
        else:
            move.button_cancel()
        move.message_post(body=body)
