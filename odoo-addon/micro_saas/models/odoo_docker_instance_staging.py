"""Staging copies: an instance made from a proven backup of another one, to try things out in, for some days.

It is no customer's: it has no invoice, no subscription and no mail, it is not backed up, and it is counted nowhere.
"""

import time
from datetime import timedelta

from odoo import Command, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime
from odoo.tools.misc import clean_context

from .subdomain import LONGEST, ROOM

# So long a copy lives unless somebody keeps it longer, and so much longer each time.
LIVES_FOR = timedelta(days=7)
ENDING = "-staging"


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    staging_of_id = fields.Many2one(
        "odoo.docker.instance",
        "Staging copy of",
        readonly=True,
        copy=False,
        ondelete="restrict",
        index="btree_not_null",
        help="The instance from whose backup this one was made.",
    )
    staging_snapshot = fields.Char(readonly=True, copy=False, groups="base.group_user")
    staging_backup_date = fields.Datetime("Data as of", readonly=True, copy=False)
    staging_until = fields.Datetime(
        "Removed on", readonly=True, copy=False, help="Then the copy is removed with its data. No backup is kept of it."
    )
    staging_ids = fields.One2many("odoo.docker.instance", "staging_of_id", "Staging copies", groups="base.group_user")
    staging_id = fields.Many2one(
        "odoo.docker.instance", "Staging copy", compute="_compute_staging_id", groups="base.group_user"
    )

    def init(self):
        super().init()
        self.env.cr.execute(
            SQL(
                """CREATE UNIQUE INDEX IF NOT EXISTS odoo_docker_instance_staging_uniq
                       ON odoo_docker_instance (staging_of_id)
                    WHERE staging_of_id IS NOT NULL AND desired_state != 'removed'"""
            )
        )

    @api.depends("staging_ids.desired_state")
    def _compute_staging_id(self):
        for instance in self:
            instance.staging_id = instance.staging_ids.filtered(lambda copy: copy.desired_state != "removed")[:1]

    # -- making one --------------------------------------------------------------------------------

    def _make_staging(self, backup):
        """Create the staging copy of this instance, wished running.

        :param backup: a proven one of this instance
        :return: the copy
        :raise UserError: the backup is not proven; or the instance is removed, suspended, a copy itself, or has a copy
        """
        self.ensure_one()
        # Who lost the race for the one copy fails to serialize here, and is run again on a fresh snapshot.
        self.env.cr.execute(SQL("UPDATE odoo_docker_instance SET revision = revision WHERE id = %s", self.id))
        self._check_can_be_staged()
        backup._check_can_be_staged()
        now = fields.Datetime.now()
        copies = self.sudo().with_context(clean_context(self.env.context))
        copy = copies.create(
            {
                "name": self.env._("%s: staging copy", self.name)[:300],
                "staging_of_id": self.id,
                "staging_snapshot": backup.snapshot,
                "staging_backup_date": backup.date,
                "staging_until": now + LIVES_FOR,
                "partner_id": self.partner_id.id,
                "ordered_by_id": self.sudo().ordered_by_id.id,
                "company_id": self.company_id.id,
                "template_id": self.template_id.id,
                # With what the instance runs now, image, commits and modules: its data are of that.
                "image_digest": self.sudo().image_digest,
                "given_modules": self.sudo().given_modules,
                "desired_state": "running",
                "requested_at": time.time(),
                "last_request_at": now,
                "repository_ids": [
                    Command.create({name: used[name] for name in ("url", "branch", "commit", "of_plan")})
                    for used in self.sudo()._desired_repositories()
                ],
            }
        )
        self.sudo()._message_log(
            body=self.env._(
                "%(person)s makes a staging copy of the backup of %(date)s.",
                person=self.env.user.name,
                date=format_datetime(self.env, backup.date, dt_format="short"),
            )
        )
        return copy.with_env(self.env)

    def _staging_form(self):
        """Return the action that opens a copy's form."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    def _check_can_be_staged(self):
        """Refuse a copy of this instance.

        :raise UserError: it is removed, suspended, a copy itself, or has a copy
        """
        if self.staging_of_id:
            raise UserError(self.env._("“%s” is a staging copy itself.", self.name))
        self._check_not_removed()
        self._check_not_suspended()
        present = self.sudo().search([("staging_of_id", "=", self.id), ("desired_state", "!=", "removed")])
        if present:
            raise UserError(
                self.env._(
                    "“%(instance)s” has a staging copy already: “%(copy)s”, which is removed on %(date)s."
                    " Use that one, or remove it first.",
                    instance=self.name,
                    copy=present.name,
                    date=format_datetime(self.env, present.staging_until, dt_format="short"),
                )
            )

    def _stage_from_host(self, snapshot):
        """Make a staging copy for an operator on the sidecar's host; see `microsaas_ask_for_staging`."""
        if not self.exists():
            raise UserError(self.env._("There is no such instance."))
        backup = self.backup_ids.filtered(lambda one: snapshot and one.snapshot == snapshot)
        if not backup:
            raise UserError(self.env._("“%s” has no such backup.", self.name))
        return self._make_staging(backup).id

    def _create_subscriptions(self):
        return super(OdooDockerInstance, self.filtered(lambda one: not one.staging_of_id))._create_subscriptions()

    def _name_first_time(self, wanted=""):
        origin = self.staging_of_id
        if wanted or not origin:
            return super()._name_first_time(wanted)
        # Cut here, or a long name would lose its ending.
        begins = (origin.subdomain or "")[: LONGEST - ROOM - len(ENDING)].rstrip("-")
        return self.env["microsaas.subdomain"].sudo()._give(self._quiet(), f"{begins}{ENDING}")

    # -- how long it lives ---------------------------------------------------------------------------

    def action_extend_staging(self):
        """Keep these copies seven days longer.

        :return: True
        :raise UserError: it is no staging copy, or removed
        """
        for copy in self:
            if not copy.staging_of_id:
                raise UserError(self.env._("“%s” is no staging copy.", copy.name))
            copy._check_not_removed()
            copy.check_access("write")
            copy.sudo().staging_until = max(copy.staging_until, fields.Datetime.now()) + LIVES_FOR
            until = format_datetime(self.env, copy.staging_until, dt_format="short")
            copy.sudo()._message_log(
                body=self.env._("%(person)s keeps it until %(date)s.", person=self.env.user.name, date=until)
            )
        return True

    @api.model
    def _remove_over_stagings(self):
        """Remove the copies whose time is over, and those of instances that are removed or whose data are."""
        copies = self.sudo().search([("staging_of_id", "!=", False), ("desired_state", "!=", "removed")])
        now = fields.Datetime.now()
        over = copies.filtered(lambda copy: copy.staging_until <= now or copy.staging_of_id._is_leaving())
        if over:
            over.action_remove()

    def _is_leaving(self):
        subscriptions = self.sudo().subscription_ids
        return self.desired_state == "removed" or any(subscriptions.mapped("data_removed_at"))

    # -- what a copy does not have -------------------------------------------------------------------

    def action_restaurar(self):
        for copy in self.filtered("staging_of_id"):
            raise UserError(
                self.env._("“%s” was a staging copy: its data are gone. Make another copy of a backup.", copy.name)
            )
        return super().action_restaurar()

    def _check_has_backups(self):
        for copy in self.filtered("staging_of_id"):
            raise UserError(self.env._("“%s” is a staging copy: it has no backups.", copy.name))
        return super()._check_has_backups()

    # -- what the sidecar reads ----------------------------------------------------------------------

    def _desired(self):
        row, origin = super()._desired(), self.staging_of_id
        if not origin:
            return {**row, "copy_of": False}
        plan = origin.plan_id
        return {
            **row,
            "memory_mb": plan.microsaas_memory_mb,
            "cpus": plan.microsaas_cpus,
            "modules": plan._microsaas_module_list(),
            "copy_of": {"id": origin.id, "identity": origin.identity, "snapshot": self.staging_snapshot or ""},
        }

    @api.model
    def _states(self):
        rows = super()._states()
        copies = set(self.with_context(active_test=False).search([("staging_of_id", "!=", False)]).ids)
        return [{**row, "is_copy": row["id"] in copies} for row in rows]
