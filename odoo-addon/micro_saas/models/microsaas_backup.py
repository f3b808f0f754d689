"""The backups of instances, as the sidecar finds them in their repositories; people read them, and ask for a restore."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tools import SQL, format_datetime

from .by_hand import MANAGER, ByHand
from .reason_sentences import instance_sentence
from .values import write_changed

SNAPSHOT_LENGTH = 64
BYTES_OF_A_MB = 2**20
# By then nobody asks any more why a night has failed.
FAILURES_KEPT = timedelta(days=90)


class MicrosaasBackup(ByHand, models.Model):
    """One snapshot of an instance's database and files; or, without a snapshot, a day on which none could be made."""

    _name = "microsaas.backup"
    _description = "Backup of an instance"
    _order = "date desc, id desc"
    _rec_name = "date"

    instancia_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    snapshot = fields.Char(readonly=True, help="Its id in the repository; empty where none could be made.")
    date = fields.Datetime("Made at", required=True, readonly=True)
    size_mb = fields.Float("Size (MB)", digits=(16, 1), readonly=True, aggregator=None)
    state = fields.Selection([("done", "Done"), ("failed", "Failed")], required=True, readonly=True)
    proof = fields.Selection(
        [
            ("none", "Not yet"),
            ("data", "Data restored"),
            ("boot", "Restored and started"),
            ("failed", "Failed"),
        ],
        "Proof",
        default="none",
        required=True,
        readonly=True,
        help="A proof restores the backup, away from the instance, and compares rows and files.",
    )
    proof_date = fields.Datetime("Proven at", readonly=True)
    reason = fields.Char(readonly=True, help="One word for why the backup, or its proof, has failed.")
    detail = fields.Char(readonly=True, help="What it is about, a value a line.")
    message = fields.Char("What went wrong", compute="_compute_message")
    kept = fields.Selection(
        [
            ("newest", "Newest"),
            ("daily", "Of a day"),
            ("weekly", "Of a week"),
            ("monthly", "Of a month"),
            ("proven", "Newest proven"),
            ("end", "End of the instance"),
            ("by_hand", "Asked for"),
            ("before_restore", "Before a restore"),
        ],
        "Kept as",
        readonly=True,
        help="Why it is not forgotten yet.",
    )

    def init(self):
        super().init()
        # Partial: a failed day has no snapshot, and there is one row of it at most.
        self.env.cr.execute(
            SQL(
                """CREATE UNIQUE INDEX IF NOT EXISTS microsaas_backup_snapshot_uniq
                       ON microsaas_backup (instancia_id, snapshot) WHERE snapshot IS NOT NULL;
                   CREATE UNIQUE INDEX IF NOT EXISTS microsaas_backup_failed_day_uniq
                       ON microsaas_backup (instancia_id, (date::date)) WHERE state = 'failed'"""
            )
        )

    @api.depends("reason", "detail")
    @api.depends_context("lang")
    def _compute_message(self):
        for backup in self:
            backup.message = instance_sentence(self.env, backup.reason, backup.detail)

    @api.constrains("snapshot", "state")
    def _check_snapshot(self):
        for backup in self:
            snapshot, digits = backup.snapshot or "", set("0123456789abcdef")
            is_one = len(snapshot) == SNAPSHOT_LENGTH and set(snapshot) <= digits
            if not is_one and (snapshot or backup.state == "done"):
                raise ValidationError(self.env._("“%s” is not the id of a snapshot.", snapshot))

    # -- actions -----------------------------------------------------------------------------------

    def action_prove(self):
        """Ask the sidecar to restore this backup away from its instance, and to compare rows and files.

        :return: True
        :raise UserError: a failed backup, an instance without data, or one with an open job
        """
        self.ensure_one()
        self._check_can_be_used()
        return self.instancia_id._ask_for_job("prove", self)

    def action_restore(self):
        """Ask a manager whether this backup is to take the place of the instance's data.

        :return: the action of the question's form
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: a failed backup; or an instance whose data are there and which is removed or suspended; one that never ran, or has
            an open job
        """
        self.ensure_one()
        self._check_can_be_restored()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Restore a backup"),
            "res_model": "microsaas.restore.confirm",
            "view_mode": "form",
            "target": "new",
            "context": {"default_backup_id": self.id},
        }

    def _restore(self):
        """Ask the sidecar to put this backup in the place of its instance's data; refused as `action_restore` is."""
        self._check_can_be_restored()
        return self.instancia_id._ask_for_job("restore", self)

    def _check_can_be_restored(self):
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager restores a backup."))
        self._check_can_be_used()
        self.instancia_id._check_can_be_restored()

    def _check_can_be_used(self):
        if self.state != "done":
            raise UserError(
                self.env._(
                    "There is no backup of %s: it has failed. Choose another one.",
                    format_datetime(self.env, self.date, dt_format="short"),
                )
            )

    # -- what the sidecar reports ------------------------------------------------------------------

    @api.model
    def _apply_list(self, instance, backups):
        """Let the rows of an instance be those that its repository has now; see `microsaas_report_backups`."""
        known = self.search([("instancia_id", "=", instance.id), ("state", "=", "done")]).grouped("snapshot")
        listed = {backup["snapshot"]: self._as_stored(backup) for backup in backups}
        self.browse().concat(*(row for snapshot, row in known.items() if snapshot not in listed)).unlink()
        for snapshot, values in listed.items():
            if snapshot in known:
                write_changed(known[snapshot], values)
            else:
                self.create({"instancia_id": instance.id, "snapshot": snapshot, "state": "done", **values})

    @api.model
    def _as_stored(self, backup):
        """Return what changes of a backup in the course of time, from how the sidecar gives it."""
        return {
            "date": fields.Datetime.to_datetime(backup["date"]),
            "size_mb": backup["size"] / BYTES_OF_A_MB,
            "proof": backup["proof"],
            "proof_date": fields.Datetime.to_datetime(backup["proof_date"] or False),
            "reason": backup["reason"] or False,
            "detail": backup["detail"] or False,
            "kept": backup["kept"] or False,
        }

    @api.model
    def _note_failure(self, instance, reason, detail):
        """Note that no backup could be made now; a day has one such row, the last one's."""
        now = fields.Datetime.now()
        midnight = now.replace(hour=0, minute=0, second=0)
        today = self.search(
            [("instancia_id", "=", instance.id), ("state", "=", "failed"), ("date", ">=", midnight)], limit=1
        )
        values = {"date": now, "reason": reason, "detail": detail or False}
        if today:
            today.write(values)
        else:
            self.create({"instancia_id": instance.id, "state": "failed", **values})

    @api.autovacuum
    def _gc_failures(self):
        self.search([("state", "=", "failed"), ("date", "<", fields.Datetime.now() - FAILURES_KEPT)]).unlink()

    # -- what is read of all instances at once -----------------------------------------------------

    @api.model
    def _newest_of_all(self):
        """Return `{instance id: (last backup, last proof, last failure)}`, seconds since 1970 each, 0 for never."""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """SELECT instancia_id,
                          coalesce(extract(epoch FROM max(date) FILTER (WHERE state = 'done')), 0)::float8,
                          coalesce(extract(epoch FROM max(date) FILTER (WHERE proof IN ('data', 'boot'))), 0)::float8,
                          coalesce(extract(epoch FROM max(date) FILTER (WHERE state = 'failed')), 0)::float8
                     FROM microsaas_backup GROUP BY instancia_id"""
            )
        )
        return {row[0]: row[1:] for row in rows}
