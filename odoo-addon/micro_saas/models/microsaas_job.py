"""Jobs: what a person wants done once with an instance's backups, and how far the sidecar is with it."""

import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from .by_hand import ByHand
from .reason_sentences import instance_sentence
from .values import write_changed

KINDS = [
    ("backup", "Backup"),
    ("prove", "Proof of a backup"),
    ("restore", "Restore of a backup"),
    ("undo_restore", "Undo of the restore"),
    ("export", "Download of the data"),
    ("update", "Update"),
    ("undo_update", "Undo of the update"),
    ("erase", "Erasure of all data"),
]
STATES = [("waiting", "Waiting"), ("running", "Under way"), ("done", "Done"), ("failed", "Failed")]
OPEN = ("waiting", "running")
# So long the sidecar keeps the data that a restore has replaced.
UNDO_FOR = timedelta(days=7)
# So long the sidecar keeps what was written for download.
DOWNLOAD_FOR = timedelta(days=1)


class MicrosaasJob(ByHand, models.Model):
    """One thing that somebody wants done; who asked is `create_uid`. An instance has one open job at most."""

    _name = "microsaas.job"
    _description = "Job of an instance"
    _order = "id desc"
    _rec_name = "kind"

    instancia_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    # Names it in files on the server: numbers come again after this database was restored.
    identity = fields.Char(readonly=True, copy=False, required=True, default=lambda self: str(uuid.uuid4()))
    kind = fields.Selection(KINDS, "What", required=True, readonly=True)
    backup_id = fields.Many2one("microsaas.backup", "Backup", readonly=True, ondelete="set null", index="btree_not_null")
    # The row of a backup goes once the repository has forgotten it: what was asked for is told even then.
    snapshot = fields.Char(readonly=True)
    backup_date = fields.Datetime("Backup made at", readonly=True)
    state = fields.Selection(STATES, default="waiting", required=True, readonly=True)
    reason = fields.Char(readonly=True, help="One word for what is going on, or for why it failed.")
    detail = fields.Char(readonly=True, help="What it is about, a value a line.")
    message = fields.Char("What is going on", compute="_compute_message")
    percent = fields.Integer("Progress (%)", readonly=True, aggregator=None)
    started_at = fields.Datetime("Began", readonly=True)
    ended_at = fields.Datetime("Ended", readonly=True)
    download_until = fields.Datetime(
        "Download until", compute="_compute_download_until", help="So long the file is there; empty where it is not."
    )

    def init(self):
        super().init()
        self.env.cr.execute(
            SQL(
                """CREATE UNIQUE INDEX IF NOT EXISTS microsaas_job_open_uniq
                       ON microsaas_job (instancia_id) WHERE state IN %s""",
                OPEN,
            )
        )

    def _init_column(self, column_name):
        """Give each row of an earlier version an identity of its own."""
        if column_name == "identity":
            self.env.cr.execute("UPDATE microsaas_job SET identity = gen_random_uuid() WHERE identity IS NULL")
        else:
            super()._init_column(column_name)

    @api.depends("reason", "detail", "state")
    @api.depends_context("lang")
    def _compute_message(self):
        for job in self:
            said = instance_sentence(self.env, job.reason, job.detail)
            job.message = said or (self.env._("Waiting for its turn.") if job.state == "waiting" else "")

    @api.depends("kind", "state", "ended_at", "instancia_id.job_ids.state")
    def _compute_download_until(self):
        now = fields.Datetime.now()
        for job in self:
            # Of each instance there is one file: what is asked for next takes its place.
            is_last = job == job.instancia_id.job_ids.filtered(lambda one: one.kind == "export")[:1]
            until = is_last and job.state == "done" and job.ended_at + DOWNLOAD_FOR
            job.download_until = until and until > now and until

    # -- a person asks -----------------------------------------------------------------------------

    @api.model
    def _open_of(self, instances):
        """Return the open jobs of instances."""
        return self.search([("instancia_id", "in", instances.ids), ("state", "in", OPEN)])

    @api.model
    def _check_none_open(self, instance):
        """Refuse a second job of an instance.

        :raise UserError: it has an open one, which the sentence names
        """
        job = self._open_of(instance)
        if job:
            raise UserError(
                self.env._(
                    "“%(instance)s” has something under way already: %(job)s, asked for by %(person)s at %(time)s."
                    " Try again once it has ended.",
                    instance=instance.name,
                    job=job._kind_label(),
                    person=job.create_uid.name,
                    time=format_datetime(self.env, job.create_date, dt_format="short"),
                )
            )

    def _kind_label(self):
        return dict(self._fields["kind"]._description_selection(self.env))[self.kind]

    # -- what the sidecar reads and reports ----------------------------------------------------------

    def _desired(self):
        """Return an open job as `microsaas_desired` gives it; False for none."""
        return bool(self) and {
            "id": self.id,
            "identity": self.identity,
            "kind": self.kind,
            "snapshot": self.snapshot or "",
            "state": self.state,
            "asked_by": f"{self.create_uid.name} <{self.create_uid.login}>",
        }

    def _progress_row(self):
        """Return how far it is, for the operator's terminal; see `microsaas_job`."""
        job = self.with_context(lang="en_US")
        return {"state": job.state, "message": job.message or "", "percent": job.percent}

    def _apply_report(self, state, reason, detail, percent):
        """Write how far the sidecar is with an open job; see `microsaas_report_job`."""
        if self.state not in OPEN:
            return
        now = fields.Datetime.now()
        is_over = state not in OPEN
        values = {
            "state": state,
            "reason": reason,
            "detail": detail,
            "percent": 100 if state == "done" else min(max(percent, 0), 100),
            "started_at": self.started_at or (False if state == "waiting" else now),
            "ended_at": is_over and now,
        }
        write_changed(self, values)
        if is_over:
            self._ended()

    def _ended(self):
        """Note on the instance what an ended job has changed, and say so in its chatter."""
        instance = self.instancia_id._quiet()
        if self.state == "done" and self.kind == "restore" and self.reason != "NothingReplaced":
            now = fields.Datetime.now()
            # What an update had replaced made room for what this has.
            instance.write({"restored_at": now, "undo_restore_until": now + UNDO_FOR, "undo_update_until": False})
        elif self.state == "done" and self.kind == "undo_restore":
            instance.write({"restored_at": False, "undo_restore_until": False})
        elif self.state == "done" and self.kind == "update":
            now = fields.Datetime.now()
            instance.write({"updated_at": now, "undo_update_until": now + UNDO_FOR, "undo_restore_until": False})
        elif self.state == "done" and self.kind == "undo_update":
            instance.write({"updated_at": False, "undo_update_until": False})
        elif self.state == "done" and self.kind == "erase":
            instance._note_erased()
        subscription = instance.subscription_ids[:1]
        is_for_customer = self.kind == "export" and self.create_uid.share
        if self.state == "done" and subscription and (is_for_customer or self.kind == "update"):
            kind = "updated" if self.kind == "update" else "downloadReady"
            self.env["microsaas.notice"]._tell(subscription, kind, str(self.id))
        line = self.with_context(lang=instance.company_id.partner_id.lang)._chatter_line()
        if line:
            instance._message_log(body=line)
        instance._make_due()

    def _chatter_line(self):
        """Return what the history of the instance says of an ended job; "" where the list of backups shows it."""
        _, person = self.env._, self.create_uid.name
        if self.state == "failed":
            return _(
                "%(job)s, asked for by %(person)s, has failed. %(why)s",
                job=self._kind_label(),
                person=person,
                why=self.message,
            )
        if self.kind == "restore":
            return _(
                "The backup of %(date)s was restored. %(person)s asked for it.",
                # The sidecar's user, who reports this, lives in no time zone.
                date=format_datetime(
                    self.env, self.backup_date, tz=self.instancia_id.company_id._microsaas_tz(), dt_format="short"
                ),
                person=person,
            )
        if self.kind == "undo_restore":
            return _("The restore was undone: the data are those from before it. %s asked for it.", person)
        if self.kind == "update":
            return _("Updated to the newest version. %s asked for it.", person)
        if self.kind == "undo_update":
            return _("The update was undone: version and data are those from before it. %s asked for it.", person)
        if self.kind == "export":
            return _("A backup was written for download; the file is there for a day. %s asked for it.", person)
        if self.kind == "erase":
            return _("The data of this Odoo and all backups of them were erased. %s asked for it.", person)
        return ""
