"""What an instance has of backups: the newest, the open job, and the buttons."""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL

from .by_hand import MANAGER
from .microsaas_backup import PROVEN
from .microsaas_job import KINDS, OPEN, STATES

# What the sidecar says of a job while the instance is stopped for it, and still wanted.
STANDSTILL = {"Updating", "SwappingData"}


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    backup_ids = fields.One2many("microsaas.backup", "instancia_id", "Backups", groups="base.group_user")
    backup_count = fields.Integer(
        "Number of backups", compute="_compute_backups", compute_sudo=True, groups="base.group_user"
    )
    last_backup_at = fields.Datetime(
        "Last backup", compute="_compute_backups", compute_sudo=True, groups="base.group_user"
    )
    last_proof_at = fields.Datetime(
        "Last proven restore",
        compute="_compute_backups",
        compute_sudo=True,
        groups="base.group_user",
        help="When a backup was last restored for proof, away from the instance, and found whole.",
    )
    job_ids = fields.One2many("microsaas.job", "instancia_id", "Jobs", groups="base.group_user")
    job_id = fields.Many2one(
        "microsaas.job", "Open job", compute="_compute_job", compute_sudo=True, groups="base.group_user"
    )
    # Of the open job, for the form: who may see the instance need not see jobs. Not related to it: Odoo would look for the
    # instances of a job by `job_id`, which is not stored.
    job_kind = fields.Selection(
        KINDS, "Under way", compute="_compute_job", compute_sudo=True, groups="base.group_user"
    )
    job_state = fields.Selection(
        STATES, "State of the job", compute="_compute_job", compute_sudo=True, groups="base.group_user"
    )
    job_message = fields.Char("How it goes", compute="_compute_job", compute_sudo=True, groups="base.group_user")
    job_percent = fields.Integer(
        "Progress (%)", compute="_compute_job", compute_sudo=True, aggregator=None, groups="base.group_user"
    )
    job_asked_at = fields.Datetime(
        "Asked for at", compute="_compute_job", compute_sudo=True, groups="base.group_user"
    )
    job_started_at = fields.Datetime(
        "Under way since", compute="_compute_job", compute_sudo=True, groups="base.group_user"
    )
    restored_at = fields.Datetime("Restored at", readonly=True, copy=False, groups="base.group_user")
    undo_restore_until = fields.Datetime(
        "Undo until",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="So long the data from before the restore are kept.",
    )
    can_undo_restore = fields.Boolean(
        "Restore can be undone", compute="_compute_can_undo_restore", groups="base.group_user"
    )
    backup_alerted_at = fields.Datetime(
        "Told people of its backups", readonly=True, copy=False, index="btree_not_null", groups="base.group_user"
    )

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("backup_ids.state", "backup_ids.date", "backup_ids.proof", "backup_ids.proof_date")
    def _compute_backups(self):
        backups = self.env["microsaas.backup"]
        mine = [("instancia_id", "in", self.ids)]
        groups = backups._read_group([*mine, ("state", "=", "done")], ["instancia_id"], ["__count", "date:max"])
        made = {instance.id: (count, newest) for instance, count, newest in groups}
        groups = backups._read_group([*mine, ("proof", "in", PROVEN)], ["instancia_id"], ["proof_date:max"])
        proven = {instance.id: newest for instance, newest in groups}
        for instance in self:
            instance.backup_count, instance.last_backup_at = made.get(instance._origin.id, (0, False))
            instance.last_proof_at = proven.get(instance._origin.id, False)

    @api.depends("job_ids.state", "job_ids.message", "job_ids.percent", "job_ids.started_at")
    @api.depends_context("lang")
    def _compute_job(self):
        nothing = self.env["microsaas.job"]
        jobs = {job.instancia_id.id: job for job in nothing._open_of(self)}
        for instance in self:
            job = jobs.get(instance._origin.id, nothing)
            instance.job_id = job
            instance.job_kind, instance.job_state = job.kind, job.state
            instance.job_message, instance.job_percent = job.message, job.percent
            instance.job_asked_at, instance.job_started_at = job.create_date, job.started_at

    @api.depends("undo_restore_until")
    def _compute_can_undo_restore(self):
        now = fields.Datetime.now()
        for instance in self:
            instance.can_undo_restore = bool(instance.undo_restore_until and instance.undo_restore_until > now)

    # -- actions -----------------------------------------------------------------------------------

    def action_backup(self):
        """Ask the sidecar for a backup now.

        :return: True
        :raise UserError: an instance without data, or one with an open job
        """
        for instance in self:
            instance._ask_for_job("backup")
        return True

    def action_undo_restore(self):
        """Ask the sidecar for the data from before the last restore; those of now are lost.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: nothing to undo; or an instance that is removed, is suspended, has an open job
        """
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager undoes a restore."))
        for instance in self:
            instance._check_can_undo_restore()
            instance._ask_for_job("undo_restore")
        return True

    def _ask_for_job(self, kind, backup=None):
        """Write down what a person wants done, once, and nudge the sidecar.

        :param kind: of `microsaas.job`
        :param backup: the one that is to be proven or restored
        :return: True
        :raise AccessError: the user may not write this instance
        :raise UserError: it has no data, or an open job
        """
        self.ensure_one()
        self.check_access("write")
        # Who lost the race for the one open job fails to serialize here, and is run again on a fresh snapshot.
        self.env.cr.execute(
            SQL("UPDATE odoo_docker_instance SET revision = revision WHERE id = %s", self.id)
        )
        if kind == "restore":
            self._check_can_be_restored()
        elif kind == "erase":
            self.sudo()._check_may_be_erased()
            self._end_at_once()
        else:
            self._check_has_backups()
        backup = (backup or self.env["microsaas.backup"]).sudo()
        self.env["microsaas.job"].sudo().create(
            {
                "instancia_id": self.id,
                "kind": kind,
                "backup_id": backup.id,
                "snapshot": backup.snapshot,
                "backup_date": backup.date,
            }
        )
        self.sudo()._wish_changed()
        return True

    def _ask_from_host(self, kind, snapshot):
        """Ask for a job as an operator on the sidecar's host; see `microsaas_ask_for_job`."""
        self.ensure_one()
        backup = self.backup_ids.filtered(lambda one: snapshot and one.snapshot == snapshot)
        if bool(backup) != (kind in ("prove", "restore")):
            raise UserError(self.env._("“%s” has no such backup.", self.name))
        if kind == "restore":
            self._check_can_be_restored()
        elif kind == "undo_restore":
            self._check_can_undo_restore()
        elif kind == "update":
            self._check_can_be_replaced()
        elif kind == "undo_update":
            self._check_can_undo_update()
        self._ask_for_job(kind, backup)
        return self.env["microsaas.job"]._open_of(self).id

    # -- what a button refuses ---------------------------------------------------------------------

    def _check_has_backups(self):
        """Refuse what cannot be backed up now, nor proven.

        :raise UserError: removed, never started, or another job is open
        """
        self._check_not_removed()
        self._check_started()
        self._check_has_data()
        if not self.was_ready:
            raise UserError(self.env._("“%s” has not run yet: it has no data.", self.name))
        self.env["microsaas.job"].sudo()._check_none_open(self)

    def _check_can_be_replaced(self):
        """Refuse to put other data in the place of an instance's.

        :raise UserError: removed, never started, suspended, or another job is open
        """
        self._check_has_backups()
        self._check_not_suspended()

    def _is_without_data(self):
        """Tell whether nothing is left of an instance that has run, or only what a restore that failed has begun."""
        is_gone = any(self.sudo().subscription_ids.mapped("data_removed_at"))
        return self.was_ready and (is_gone or self.desired_state == "draft")

    def _check_can_be_restored(self):
        """Refuse a restore, be it in the place of an instance's data or where none of them are any more.

        :raise UserError: removed with its data kept, never started, suspended, or another job is open
        """
        if self._is_without_data():
            self.env["microsaas.job"].sudo()._check_none_open(self)
        else:
            self._check_can_be_replaced()

    def _check_can_undo_restore(self):
        """Refuse to bring the data from before a restore back.

        :raise UserError: there is nothing to undo, or as `_check_can_be_replaced`
        """
        self._check_can_be_replaced()
        if not self.can_undo_restore:
            raise UserError(self.env._("“%s” has no restore that could be undone.", self.name))

    # -- what the customer is told -----------------------------------------------------------------

    def _portal_status(self):
        """Return it as before; of one that stands still while other data take the place of its own, what goes on."""
        status, job, _ = super()._portal_status(), self.sudo().job_id, self.env._
        if status["code"] != "running" or job.state != "running" or job.reason not in STANDSTILL:
            return status
        title = {
            "update": _("Your Odoo is being updated"),
            "undo_update": _("The update of your Odoo is being undone"),
            "restore": _("An earlier state is being restored"),
            "undo_restore": _("The restore is being undone"),
        }[job.kind]
        text = _("Your Odoo stands still for some minutes and then goes on by itself. You need not do anything.")
        return self._status("preparing", title, text, percent=job.percent, poll=1)

    # -- what the sidecar reads --------------------------------------------------------------------

    def _desired(self):
        return {**super()._desired(), "job": self.job_id._desired()}

    @api.model
    def _states(self):
        newest = self.env["microsaas.backup"]._newest_of_all()
        names = ("last_backup_at", "last_proof_at", "last_failure_at")
        waiting = set(self.env["microsaas.job"].search([("state", "in", OPEN)]).instancia_id.ids)
        return [
            {
                **row,
                **dict(zip(names, newest.get(row["id"], (0, 0, 0)), strict=True)),
                "has_job": row["id"] in waiting,
            }
            for row in super()._states()
        ]
