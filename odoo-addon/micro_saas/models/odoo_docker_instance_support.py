"""The seller's people in an instance's own Odoo: only while its customer lets them in, and each time for all to see (ADR 21)."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .by_hand import MANAGER
from .door import door_domain
from .values import seconds_of

# How long the customer lets support in by one press.
HOURS = 24


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    support_until = fields.Datetime(
        "Support may log in until",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="So long the customer lets MicroSaaS managers log in to it as its administrator. They decide it on their page.",
    )
    admits_support = fields.Boolean("Support may log in", compute="_compute_admits_support", groups="base.group_user")

    # Time alone ends it, so it is not stored.
    @api.depends("support_until", "state", "desired_state")
    def _compute_admits_support(self):
        now = fields.Datetime.now()
        for instance in self:
            runs = instance.state == "running" and instance.desired_state == "running"
            instance.admits_support = bool(runs and instance.support_until and instance.support_until > now)

    def write(self, vals):
        result = super().write(vals)
        if vals.keys() & {"partner_id", "ordered_by_id"}:
            # Who administers it from now on has let nobody in.
            self._quiet().support_until = False
        return result

    # -- what its customer decides -----------------------------------------------------------------

    def _portal_support(self, user):
        """Return what whoever administers it reads of support, on the instance's page; `{}` for everybody else.

        Call it with sudo.

        :return: dict of `offer` (what the button says that lets support in) and `until` (when that ends, as the reader's clock
            has it; "" while nobody is let in)
        """
        self.ensure_one()
        is_asked = self._is_administered_by(user) and self.was_ready and self.desired_state != "removed"
        # Without a door nobody can log in by a link.
        if not (is_asked and door_domain(self.env)):
            return {}
        is_let_in = self.support_until and self.support_until > fields.Datetime.now()
        return {
            "offer": self.env._("Let support in for %s hours", HOURS),
            "until": self._portal_time(self.support_until) if is_let_in else "",
        }

    def _let_support_in(self, user, may_log_in):
        """Let the seller's people log in to it for a day, or no more. Call it with sudo.

        :param user: who decides it: its administrator, or the company's own login
        :raise UserError: somebody else decides it, or it was removed
        """
        self.ensure_one()
        if not self._is_administered_by(user):
            raise UserError(self.env._("Who may log in to it is decided by %s.", self._administrator().display_name))
        self._check_not_removed()
        self._quiet().support_until = may_log_in and fields.Datetime.now() + timedelta(hours=HOURS)
        self._note_for_customer("support_let_in" if may_log_in else "support_kept_out", user.name)
        office = self.with_context(lang=self.company_id.partner_id.lang).env
        if may_log_in:
            body = office._("%(user)s lets support log in for %(hours)s hours.", user=user.name, hours=HOURS)
        else:
            body = office._("%s lets support log in no more.", user.name)
        self._message_log(body=body, author_id=user.partner_id.id)

    # -- what support does -------------------------------------------------------------------------

    def action_log_in_for_support(self):
        """Open the instance's own Odoo, logged in as its administrator, for as long as its customer lets support in.

        :return: action that opens the one-time link
        :raise AccessError: who is no MicroSaaS manager, or may not write the instance
        :raise UserError: its customer does not let support in, it does not run, or its Odoo wants more than a password
        """
        self.ensure_one()
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only MicroSaaS managers log in to customers' Odoo."))
        self.check_access("write")
        instance = self.sudo()
        if not instance.admits_support:
            raise UserError(
                self.env._(
                    "“%s” does not run, or its customer does not let support in. They do so on its page in the portal, for"
                    " %s hours, and can take it back.",
                    self.name,
                    HOURS,
                )
            )
        user, login = self.env.user, instance._login()
        link = instance._login_link(login, ends_at=instance.support_until)
        instance._note_for_customer("support", user.name)
        office = instance.with_context(lang=instance.company_id.partner_id.lang).env
        instance._message_log(
            body=office._("%(user)s logs in for support, as “%(login)s”.", user=user.name, login=login),
            author_id=user.partner_id.id,
        )
        return {"type": "ir.actions.act_url", "url": link, "target": "new"}

    # -- what the sidecar reads --------------------------------------------------------------------

    def _desired(self):
        return {**super()._desired(), "support_until": seconds_of(self.support_until)}
