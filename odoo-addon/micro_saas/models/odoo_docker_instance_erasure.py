"""Erasing all that is kept of an instance: what is left of its data, its backups and the key of those."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date

from .by_hand import MANAGER
from .microsaas_job import OPEN


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    erased_at = fields.Datetime(
        "Erased at",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="Since then neither its data nor any backup of them is kept.",
    )
    may_be_erased = fields.Boolean(
        "May be erased", compute="_compute_may_be_erased", compute_sudo=True, groups="base.group_user"
    )

    @api.depends(
        *("was_ready", "erased_at", "desired_state", "job_ids.state", "staging_of_id"),
        *("subscription_ids.data_removed_at", "subscription_ids.fecha_fin"),
    )
    def _compute_may_be_erased(self):
        for instance in self:
            is_open = any(job.state in OPEN for job in instance.job_ids)
            instance.may_be_erased = instance._is_over() and not instance._paid_until() and not is_open

    def _is_over(self):
        """Tell whether this instance has run, was removed, and something of it may still be kept."""
        has_run = self.was_ready and not self.staging_of_id and not self.erased_at
        is_gone = any(self.sudo().subscription_ids.mapped("data_removed_at"))
        return has_run and (is_gone or self.desired_state == "removed")

    def _paid_until(self):
        """Return the day until which somebody has paid for the data; False where nobody has."""
        paid = self.sudo().subscription_ids.filtered(
            lambda sub: sub.fecha_fin and sub.fecha_fin >= sub.company_id._microsaas_today()
        )
        return max(paid.mapped("fecha_fin"), default=False)

    # -- a person asks -----------------------------------------------------------------------------

    def action_erase(self):
        """Ask a manager whether all that is kept of this instance is to be erased.

        :return: the action of the question's form
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: not removed, paid for, erased before, or another job is open
        """
        self.ensure_one()
        self._check_may_be_erased()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Erase all data"),
            "res_model": "microsaas.erase.confirm",
            "view_mode": "form",
            "target": "new",
            "context": {"default_instance_id": self.id},
        }

    def _erase(self):
        """Ask the sidecar to erase all that is kept; refused as `action_erase` is."""
        self._check_may_be_erased()
        return self._ask_for_job("erase")

    def _check_may_be_erased(self):
        if not (self.env.su or self.env.user.has_group(MANAGER)):
            raise AccessError(self.env._("Only a MicroSaaS manager erases an instance's data."))
        self._check_not_erased()
        if not self._is_over():
            raise UserError(self.env._("“%s” has data of its own. Remove it first.", self.name))
        paid_until = self._paid_until()
        if paid_until:
            raise UserError(
                self.env._(
                    "The data of “%(instance)s” are paid for until %(day)s. Cancel the subscription, and erase them after that.",
                    instance=self.name,
                    day=format_date(self.env, paid_until),
                )
            )
        self.env["microsaas.job"].sudo()._check_none_open(self)

    def _end_at_once(self):
        """Let what is left of the data be removed now, without a last backup: all of them are to be erased."""
        now = fields.Datetime.now()
        for subscription in self.sudo().subscription_ids:
            stages = ("final_notice_at", "archived_at", "data_removed_at")
            subscription.write({name: subscription[name] or now for name in stages})
        self.sudo().write({"without_archive": True})
        # It holds the same data.
        copy = self.sudo().staging_id
        if copy:
            copy.action_remove()

    def _note_erased(self):
        """Note that nothing is kept any more; see `microsaas.job`."""
        self.write({"erased_at": fields.Datetime.now()})
        self.subscription_ids.write({"archive": False})

    # -- what a button refuses ---------------------------------------------------------------------

    def _check_not_erased(self):
        for instance in self:
            if instance.sudo().erased_at:
                raise UserError(self.env._("“%s” was erased: nothing of its data is kept.", instance.name))

    def _check_has_data(self):
        self._check_not_erased()
        return super()._check_has_data()

    def _restore(self, template_code, stage):
        # An erased instance counts as one without data, for good: what it got again could neither be saved nor erased.
        if stage == "begin":
            self._check_not_erased()
        return super()._restore(template_code, stage)
