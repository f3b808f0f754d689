"""Which versions an instance runs, and which modules of its plan it has: what it was given at its first start, until somebody updates it."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .by_hand import MANAGER
from .update_window import opening_at_or_after

# Odoo stores no empty text.
NO_MODULES = "-"


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    image_digest = fields.Char(
        "Image",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="The image of Odoo that this instance runs, whatever its tag is on the server by now.",
    )
    given_modules = fields.Char(
        "Modules that it was given",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="Of all modules that its plan ever had, those that it was given. What its people removed since is not given again.",
    )
    is_update_available = fields.Boolean(
        "Newer version",
        compute="_compute_is_update_available",
        compute_sudo=True,
        groups="base.group_user",
        help="The server has a newer image than this instance runs, or its plan newer commits of its repositories or more modules.",
    )

    updated_at = fields.Datetime("Updated at", readonly=True, copy=False, groups="base.group_user")
    undo_update_until = fields.Datetime(
        "Update can be undone until",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="So long the data and the versions from before the update are kept.",
    )
    can_undo_update = fields.Boolean(
        "Update can be undone", compute="_compute_can_undo_update", groups="base.group_user"
    )

    rollout_line_ids = fields.One2many("microsaas.rollout.line", "instance_id", groups="base.group_user")
    update_planned_at = fields.Datetime(
        "Update planned at",
        compute="_compute_update_planned_at",
        compute_sudo=True,
        groups="base.group_user",
        help="It begins then or in one of the nights after, in the same hours.",
    )

    @api.depends("undo_update_until")
    def _compute_can_undo_update(self):
        now = fields.Datetime.now()
        for instance in self:
            instance.can_undo_update = bool(instance.undo_update_until and instance.undo_update_until > now)

    @api.depends(
        "image_digest",
        "template_id.image_digest",
        "template_id.image_pins",
        "repository_ids.commit",
        "plan_id.microsaas_repository_ids.commit",
        "given_modules",
        "plan_id.microsaas_modules",
    )
    def _compute_is_update_available(self):
        for instance in self:
            is_image_newer = instance.template_id._has_newer_image(instance.image_digest)
            instance.is_update_available = is_image_newer or instance._has_newer_commits() or instance._has_more_modules()

    def _has_more_modules(self):
        """Whether the plan has modules by now that this instance was not given."""
        given = self._given_module_list()
        return given is not False and not set(given).issuperset(self.plan_id._microsaas_module_list())

    @api.model
    def _given_modules_as_stored(self, names):
        return ",".join(names) or NO_MODULES

    def _given_module_list(self):
        """Return the technical names in `given_modules`; False where nobody has noted them."""
        return bool(self.given_modules) and [name for name in self.given_modules.split(",") if name != NO_MODULES]

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

    # -- at night ------------------------------------------------------------------------------------

    @api.depends("rollout_line_ids.opens_at", "rollout_line_ids.rollout_id.state")
    def _compute_update_planned_at(self):
        for instance in self:
            waiting = instance.rollout_line_ids.filtered(
                lambda line: line.opens_at and line.rollout_id.state in ("running", "held")
            )
            instance.update_planned_at = waiting[:1].opens_at

    def _opening_at_or_after(self, moment):
        """Return since when updates of this instance may begin at a moment, or else from when on."""
        plan = self.plan_id or self.env["product.template"].new()
        hours = (plan.microsaas_update_from, plan.microsaas_update_until)
        return opening_at_or_after(moment, self.company_id._microsaas_tz(), *hours)

    def action_update_at_night(self):
        """Update instances in the hours that their plan gives for it, and tell their people at once, twelve hours before or more.

        :return: the action of the form of their rollout
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: none of them can be updated, or all wait for an update already
        """
        rollout = self.env["microsaas.rollout"]._of_selected(self)
        rollout.action_start()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Rollouts of updates"),
            "res_model": "microsaas.rollout",
            "res_id": rollout.id,
            "view_mode": "form",
        }

    def action_cancel_update(self):
        """Do not begin the updates that these instances wait for; their people are told.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        """
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager updates an instance."))
        self.check_access("write")
        self.sudo().rollout_line_ids.filtered(lambda line: line.state == "waiting")._leave_out()
        self.env["microsaas.rollout"]._advance()
        return True

    # -- actions -----------------------------------------------------------------------------------

    def action_update(self):
        """Ask the sidecar to give instances the newest image and commits: tried on a backup first.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: an instance that is removed, was never started, is suspended, has an open job
        """
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager updates an instance."))
        for instance in self:
            instance._check_can_be_replaced()
            instance._ask_for_job("update")
        return True

    def action_undo_update(self):
        """Ask the sidecar for the data and the versions from before the last update; the data of now are lost.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: nothing to undo; or as `action_update`
        """
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager undoes an update."))
        for instance in self:
            instance._check_can_undo_update()
            instance._ask_for_job("undo_update")
        return True

    def _check_can_undo_update(self):
        self._check_can_be_replaced()
        if not self.can_undo_update:
            raise UserError(self.env._("“%s” has no update that could be undone.", self.name))
