"""Which repositories an instance runs with: those it was last started or restarted with, not what was edited since."""

from odoo import fields, models

from .sidecar import write_changed


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    repositories_in_use = fields.Json(
        readonly=True, copy=False, groups="base.group_user", help="As of the last start or restart."
    )

    def _copy_plan_repositories(self):
        """Give new instances a copy of what their plan brings."""
        for instance in self:
            self.env["odoo.docker.repository"].sudo().create(
                [
                    {
                        "instance_id": instance.id,
                        "url": repository.url,
                        "branch": repository.branch,
                        # As it was when the plan was prepared: its modules are installed from that.
                        "commit": repository.commit,
                        "of_plan": True,
                    }
                    for repository in instance.sudo().plan_id.microsaas_repository_ids
                ]
            )

    def _take_up_repositories(self):
        """Let these instances run with the repositories as they are written now."""
        for instance in self:
            instance._quiet().repositories_in_use = [
                repository._as_desired() for repository in instance.repository_ids
            ]

    def _desired_repositories(self):
        if self.repositories_in_use is False:
            return [repository._as_desired() for repository in self.repository_ids]
        return self.repositories_in_use

    def _repository_fetched(self, repository_id, commit):
        """Note which commit the sidecar has fetched for a repository in use."""
        fetched = {}
        in_use = self._desired_repositories()
        for used in in_use:
            if used["id"] == repository_id:
                fetched = used
                used["commit"] = commit
        if self.repositories_in_use is not False:
            write_changed(self, {"repositories_in_use": in_use})
        row = self.repository_ids.filtered(lambda repository: repository.id == repository_id)
        # Edited meanwhile, the row speaks of what the next restart is to fetch.
        if (row.url, row.branch or "") == (fetched.get("url"), fetched.get("branch")):
            write_changed(row, {"commit": commit})
