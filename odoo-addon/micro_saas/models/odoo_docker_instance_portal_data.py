"""What customers do with their data in the portal: have an earlier state back, and take all of it away.

Both are jobs, as the operator's buttons make them. Reading the data back is theirs, paid or not; what is not paid is not
run, so nothing is put in its place either.
"""

from datetime import timedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import format_datetime

from .microsaas_backup import PROVEN

# How many backups are offered: who looks for an older state is to talk to somebody.
OFFERED = 7
# Before each restore a backup is made, and each download is a copy of all data.
RESTORES_A_DAY, DOWNLOADS_A_DAY = 3, 5
# So long it is told how a job has ended.
TOLD_FOR = timedelta(days=1)
KINDS = ("restore", "undo_restore", "export")


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    # -- what the customer is told -----------------------------------------------------------------

    def _portal_data(self, user):
        """Return what a customer may do with their data, and what goes on with them; `{}` for who may do nothing.

        Call it with sudo.

        :return: dict of `backups` (the proven ones that are offered, newest first), `job` (the open one of theirs, else
            empty), `is_busy` (another one is open), `failed` (a job that has failed lately), `download` (the job whose file is
            ready, else empty), `can_restore`, `can_undo`, `poll` (seconds, 0: nothing changes by itself)
        """
        self.ensure_one()
        if not (self._may_use_data(user) and self.was_ready and self.desired_state in ("running", "stopped")):
            return {}
        open_job, last = self.job_id, self.job_ids.filtered(lambda job: job.kind in KINDS)[:1]
        job = open_job.filtered(lambda one: one.kind in KINDS)
        is_recent = last.ended_at and last.ended_at > fields.Datetime.now() - TOLD_FOR
        can_run = self.desired_state == "running" and not self._suspended_subscription()
        return {
            "backups": self._offered_backups(),
            "job": job,
            "is_busy": bool(open_job - job),
            "failed": last if last.state == "failed" and is_recent else last.browse(),
            "download": self._ready_download(),
            "can_restore": can_run,
            "can_undo": can_run and self.can_undo_restore,
            "poll": int(bool(open_job)),
        }

    def _may_use_data(self, user):
        """Tell whether a portal user may download all data of an instance, or replace them: who may set its password."""
        return self._is_administered_by(user)

    def _offered_backups(self):
        """Return the newest proven backups, newest first."""
        return self.backup_ids.filtered(lambda one: one.state == "done" and one.proof in PROVEN)[:OFFERED]

    def _ready_download(self):
        """Return the job whose file can be downloaded; empty for none."""
        return self.job_ids.filtered(lambda job: job.kind == "export" and job.download_until)[:1]

    def _portal_time(self, moment):
        """Return a moment as the reader's clock has it, with the time zone; else as the seller's has it."""
        tz = self.env.user.tz or self.company_id._microsaas_tz() or "UTC"
        # With the month's name: who reads a day for a month restores the wrong state.
        return f"{format_datetime(self.env, moment, tz=tz, dt_format='d MMMM y, HH:mm')} ({tz})"

    # -- what the customer asks for ----------------------------------------------------------------

    def _restore_by_customer(self, backup_id):
        """Put one of the offered backups in the place of the data, for its customer. Call it with sudo.

        :raise UserError: no such backup; stopped, suspended, removed; something is under way; or too often
        """
        self.ensure_one()
        self._check_customer_can_replace()
        backup = self._offered_backups().filtered(lambda one: one.id == backup_id)
        if not backup:
            raise UserError(self.env._("Choose one of the backups in the list."))
        self._check_not_too_often("restore", RESTORES_A_DAY)
        self._ask_for_job("restore", backup)
        self._note_for_customer("restored", self.env.user.name)

    def _undo_restore_by_customer(self):
        """Bring the data from before the last restore back, for its customer. Call it with sudo.

        :raise UserError: nothing to undo; stopped, suspended, removed; or something is under way
        """
        self.ensure_one()
        self._check_customer_can_replace()
        self._check_can_undo_restore()
        self._ask_for_job("undo_restore")
        self._note_for_customer("undone", self.env.user.name)

    def _export_by_customer(self):
        """Have the newest proven backup written for download, for its customer. Call it with sudo.

        :raise UserError: there is none yet; removed; something is under way; or too often
        """
        self.ensure_one()
        self._check_nothing_open()
        backup = self._offered_backups()[:1]
        if not backup:
            raise UserError(self.env._("There is no proven backup yet. The first one is made tonight."))
        self._check_not_too_often("export", DOWNLOADS_A_DAY)
        self._ask_for_job("export", backup)
        self._note_for_customer("exported", self.env.user.name)

    def _download_by_customer(self):
        """Return a one-time link to what was written for download. Call it with sudo.

        :raise UserError: there is nothing, or not any more; or try again
        """
        self.ensure_one()
        job = self._ready_download()
        if not job:
            raise UserError(self.env._("This file is not there any more. Have it prepared again."))
        return self._download_link(job.snapshot)

    def _check_customer_can_replace(self):
        self._check_nothing_open()
        self._check_not_suspended()
        if self.desired_state == "stopped":
            raise UserError(self.env._("“%s” is stopped. Write to us to have it started first.", self.name))

    def _check_nothing_open(self):
        # Who of the seller's people has asked for it is not the customer's business.
        if self.job_id:
            raise UserError(
                self.env._("Something is being done with the data of “%s”. Try again in some minutes.", self.name)
            )

    def _check_not_too_often(self, kind, most):
        since = fields.Datetime.now() - timedelta(days=1)
        asked = self.job_ids.filtered(
            lambda job: job.kind == kind and job.create_date > since and job.create_uid.share
        )
        if len(asked) >= most:
            raise UserError(
                self.env._("That was asked for %s times within a day. Try again tomorrow, or write to us.", most)
            )

    # -- the file ----------------------------------------------------------------------------------

    def _data_page_url(self):
        """Return where the customer finds what they may do with their data: nothing secret is in it."""
        return f"{self.get_base_url()}/my/instances/{self.id}#data"

    def _download_link(self, snapshot):
        """Return a one-time link to the export of a backup, which the sidecar serves: it is used at once, and kept nowhere.

        :raise UserError: try again later; or the file cannot be had
        """
        self.ensure_one()
        link = self._one_time_link("downloads", {"instance": self.id, "snapshot": snapshot})
        if not link:
            raise UserError(
                self.env._("The file cannot be downloaded from here. Have it prepared again; if that does not help, write to us.")
            )
        return link
