"""The end of an instance of whose data no archive can be written: a person says that they may go without one."""

from odoo import fields, models
from odoo.exceptions import AccessError, UserError

# Why an archive, or the removal after it, may never come about by itself.
BLOCKED = {"ArchiveFailed", "ArchiveDamaged", "NotEnoughDisk", "RemovalBlocked", "DatabaseMissing", "Unexpected"}


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    without_archive = fields.Boolean(
        "Ends without an archive",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="A MicroSaaS manager has confirmed that the data may go though no archive of them can be written.",
    )

    def write(self, vals):
        # Whoever runs again has data worth an archive again.
        if vals.get("state") == "running":
            vals = {**vals, "without_archive": False}
        return super().write(vals)

    def action_ask_without_archive(self):
        """Ask a manager whether the data may go without an archive.

        :return: the action of the question's form
        :raise UserError: nothing stands in the way of an archive
        """
        self.ensure_one()
        self._check_may_end_without_archive()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Remove without an archive"),
            "res_model": "microsaas.without.archive",
            "view_mode": "form",
            "target": "new",
            "context": {"default_instance_id": self.id},
        }

    def _end_without_archive(self):
        self._check_may_end_without_archive()
        for instance in self.sudo():
            instance.write({"without_archive": True})
            instance.message_post(
                body=self.env._(
                    "%s has confirmed that the data go without an archive.", self.env.user.display_name
                )
            )
            instance._wish_changed()

    def _check_may_end_without_archive(self):
        if not self.env.user.has_group("micro_saas.group_microsaas_manager"):
            raise AccessError(self.env._("Only a MicroSaaS manager ends an instance without an archive."))
        for instance in self:
            leaving = instance.sudo().subscription_ids.filtered(
                lambda sub: sub.suspended_at or sub.hidden_at
            )
            if not leaving or instance.state != "error" or instance.reason not in BLOCKED:
                raise UserError(
                    self.env._("Nothing stands in the way of an archive of “%s”.", instance.name)
                )
