from odoo import api, fields, models
from odoo.addons.base.models.res_partner import _tz_get

from .settings import RECONSIDER_HOURS, TERMS, check_terms, default_days

# What the subscriptions of a company depend on.
POLICY = {"microsaas_tz", "microsaas_reconsider_hours", *(f"microsaas_{name}_days" for name in TERMS)}


class ResCompany(models.Model):
    """How a company counts the days of its subscriptions, where a plan has no days of its own."""

    _inherit = "res.company"

    microsaas_tz = fields.Selection(
        _tz_get,
        "Time zone of subscriptions",
        help="In which their days begin and end. Empty: the company's contact's, else the administrator's.",
    )
    microsaas_notice_days = fields.Integer(
        "Notice before the end", default=lambda self: default_days(self.env, "notice")
    )
    microsaas_grace_days = fields.Integer(
        "Grace after the end", default=lambda self: default_days(self.env, "grace")
    )
    microsaas_retention_days = fields.Integer(
        "Data kept", default=lambda self: default_days(self.env, "retention")
    )
    microsaas_final_notice_days = fields.Integer(
        "Final notice", default=lambda self: default_days(self.env, "final_notice")
    )
    microsaas_reconsider_hours = fields.Integer("Reconsideration (hours)", default=RECONSIDER_HOURS)

    @api.constrains("microsaas_reconsider_hours", *(f"microsaas_{name}_days" for name in TERMS))
    def _check_microsaas_terms(self):
        for company in self:
            check_terms(self.env, company._microsaas_terms())

    def write(self, vals):
        before = [company._microsaas_policy() for company in self]
        result = super().write(vals)
        if POLICY & vals.keys() and before != [company._microsaas_policy() for company in self]:
            self.env["odoo.docker.instance"]._review_all([("company_id", "in", self.ids)])
        return result

    def _microsaas_policy(self):
        return {**self._microsaas_terms(), "tz": self._microsaas_tz()}

    def _microsaas_terms(self):
        """Return the days, and the hours of reconsideration, that apply to plans without any of their own."""
        days = {name: self[f"microsaas_{name}_days"] for name in TERMS}
        return {**days, "reconsider": self.microsaas_reconsider_hours}

    def _microsaas_tz(self):
        """Return the time zone in which the days of this company's subscriptions begin and end."""
        admin = self.env.ref("base.user_admin", raise_if_not_found=False)
        return self.microsaas_tz or self.partner_id.tz or (admin and admin.sudo().tz) or "UTC"

    def _microsaas_today(self):
        """Return the day that it is now for this company's subscriptions."""
        return fields.Date.context_today(self.with_context(tz=self._microsaas_tz()))
