import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.release import version_info

from .by_hand import ByHand

ONE_OWNER = "CHECK ((instance_id IS NULL) != (plan_id IS NULL))"
ONE_OWNER_MESSAGE = "A repository belongs to one instance or to one plan."


class OdooDockerRepository(ByHand, models.Model):
    """A git repository of addons: of an instance, or of a plan, whose instances each get a copy of it."""

    _name = "odoo.docker.repository"
    _description = "Instance repository"
    _order = "id"
    _rec_name = "url"

    instance_id = fields.Many2one("odoo.docker.instance", "Instance", ondelete="cascade", index=True)
    plan_id = fields.Many2one("product.template", "Plan", ondelete="cascade", index="btree_not_null")
    of_plan = fields.Boolean(
        "From the plan",
        readonly=True,
        copy=False,
        help="The plan's instances are made with it: its modules can be among the plan's installed ones.",
    )
    url = fields.Char("URL", required=True)
    branch = fields.Char("Branch, tag or commit", help="Empty: the repository's default branch.")
    commit = fields.Char(
        readonly=True, copy=False, help="What was fetched. Empty: it is fetched with the next start or restart."
    )

    if version_info[0] >= 19:
        _one_owner = models.Constraint(ONE_OWNER, ONE_OWNER_MESSAGE)
    else:
        _sql_constraints = [("one_owner", ONE_OWNER, ONE_OWNER_MESSAGE)]

    @api.model_create_multi
    def create(self, vals_list):
        repositories = super().create(vals_list)
        repositories.plan_id._microsaas_content_changed()
        return repositories

    def write(self, vals):
        moved = self.filtered(
            lambda row: any(name in vals and (vals[name] or "") != (row[name] or "") for name in ("url", "branch"))
        )
        result = super().write(vals)
        if moved and "commit" not in vals:
            moved.sudo().commit = False
            moved.plan_id._microsaas_content_changed()
        return result

    def unlink(self):
        plans = self.plan_id
        result = super().unlink()
        plans._microsaas_content_changed()
        return result

    @api.constrains("url")
    def _check_url(self):
        for row in self:
            # What the sidecar makes of it, such as a user's name or a private host, it says itself.
            if not re.fullmatch(r"https?://[^\s/]+/\S+", row.url.strip()):
                raise ValidationError(
                    self.env._(
                        "“%s” is not the address of a repository, which looks like https://github.com/OCA/web.git.",
                        row.url,
                    )
                )

    def action_fetch_newest(self):
        """Let the next start or restart, or the next preparation of the plan, fetch what is newest then.

        :return: True
        """
        self.check_access("write")
        self.sudo().commit = False
        self.plan_id._microsaas_content_changed()
        return True

    @api.model
    def _copy_from_plans(self, instances):
        """Give new instances a copy of what their plans bring."""
        self.create(
            [
                {
                    "instance_id": instance.id,
                    "url": repository.url,
                    "branch": repository.branch,
                    # As it was when the plan was prepared: its modules are installed from that.
                    "commit": repository.commit,
                    "of_plan": True,
                }
                for instance in instances
                for repository in instance.sudo().plan_id.microsaas_repository_ids
            ]
        )

    def _as_desired(self):
        """Return the repository as the sidecar reads it."""
        self.ensure_one()
        return {
            "id": self.id,
            "url": self.url,
            "branch": self.branch or "",
            "commit": self.commit or "",
            "of_plan": self.of_plan or bool(self.plan_id),
        }
