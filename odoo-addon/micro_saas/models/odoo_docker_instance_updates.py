"""Which versions an instance runs: those that it was given at its first start, until somebody updates it."""

from odoo import api, fields, models


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    image_digest = fields.Char(
        "Image",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="The image of Odoo that this instance runs, whatever its tag is on the server by now.",
    )
    is_update_available = fields.Boolean(
        "Newer version",
        compute="_compute_is_update_available",
        compute_sudo=True,
        groups="base.group_user",
        help="The server has a newer image than this instance runs, or its plan newer commits of its repositories.",
    )

    @api.depends(
        "image_digest",
        "template_id.image_digest",
        "template_id.image_pins",
        "repository_ids.commit",
        "plan_id.microsaas_repository_ids.commit",
    )
    def _compute_is_update_available(self):
        for instance in self:
            is_image_newer = instance.template_id._has_newer_image(instance.image_digest)
            instance.is_update_available = is_image_newer or instance._has_newer_commits()

    def _has_newer_commits(self):
        """Whether the plan was prepared with other commits of the repositories that it has given to this instance."""
        of_plan = {
            (repository.url, repository.branch or ""): repository.commit
            for repository in self.plan_id.microsaas_repository_ids
            if repository.commit
        }
        return any(
            repository.commit
            and of_plan.get((repository.url, repository.branch or ""), repository.commit) != repository.commit
            for repository in self.repository_ids
            if repository.of_plan
        )
