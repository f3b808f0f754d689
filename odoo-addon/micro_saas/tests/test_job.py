import uuid
from datetime import timedelta

import psycopg2

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestJob(MicroSaasCommon):
    """What a person wants done once, from the button to what the sidecar reports at its end."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running()

    def _says(self, job, state, **said):
        self.assertIs(self._sidecar().microsaas_report_job(job.id, state, **said), True)
        self.env.invalidate_all()

    def _desired_job(self):
        self.env.flush_all()
        return self._sidecar().microsaas_desired(self.instance.ids)[0]["job"]

    def _restore(self):
        """Return the open job of a restore that a manager has asked for."""
        backup = self._backed_up(self.instance, self._backup())
        backup.with_user(self.manager)._restore()
        return self.instance.job_id

    # -- a person asks -----------------------------------------------------------------------------

    def test_back_up_now_is_a_wish_of_the_instance(self):
        self.assertIs(self._desired_job(), False)
        revision = self.instance.revision
        self.assertIs(self.instance.action_backup(), True)
        job = self.instance.job_id
        self.assertEqual((job.kind, job.state, job.create_uid), ("backup", "waiting", self.seller))
        self.assertEqual(job.message, "Waiting for its turn.")
        self.assertEqual(self.instance.revision, revision + 1)
        self.assertLessEqual(self.instance.next_review, fields.Datetime.now())
        wished = {"id": job.id, "identity": job.identity, "kind": "backup", "snapshot": "", "state": "waiting"}
        asked_by = f"{self.seller.name} <{self.seller.login}>"
        self.assertEqual(self._desired_job(), {**wished, "asked_by": asked_by})

    def test_no_two_jobs_have_the_same_identity(self):
        """Numbers come again after a restore of this database, and files on the server name a job."""
        self.instance.action_backup()
        first = self.instance.job_id
        self._says(first, "done")
        self.instance.action_backup()
        self.assertEqual(uuid.UUID(first.identity).version, 4)
        self.assertNotEqual(self.instance.job_id.identity, first.identity)

    def test_a_second_job_is_refused_naming_the_first(self):
        self.instance.action_backup()
        with self.assertRaisesRegex(UserError, "under way already: Backup, asked for by seller"):
            self.instance.action_backup()
        with self.assertRaises(psycopg2.errors.UniqueViolation), mute_logger("odoo.sql_db"), self.cr.savepoint():
            self.env["microsaas.job"].sudo().create({"instancia_id": self.instance.id, "kind": "backup"})
        other = self._running()
        other.action_backup()
        self._says(self.instance.job_id, "done")
        self.instance.action_backup()
        self.assertEqual(len(self.instance.job_ids), 2)

    def test_what_has_no_data_is_not_backed_up(self):
        draft = self._instance()
        with self.assertRaisesRegex(UserError, "never been started"):
            draft.action_backup()
        draft.start_instance()
        with self.assertRaisesRegex(UserError, "not run yet"):
            draft.action_backup()
        self.instance.action_remove()
        with self.assertRaisesRegex(UserError, "was removed"):
            self.instance.action_backup()
        self.assertFalse(self.env["microsaas.job"].sudo().search([("instancia_id", "in", (draft | self.instance).ids)]))

    # -- an operator asks on the sidecar's host --------------------------------------------------------

    def test_the_host_asks_for_what_the_buttons_ask_for(self):
        backup = self._backed_up(self.instance, self._backup())
        asked = [
            ("backup", "", "Backup"),
            ("prove", backup.snapshot, "Proof of a backup"),
            ("restore", backup.snapshot, "Restore of a backup"),
            ("undo_restore", "", "Undo of the restore"),
        ]
        for kind, snapshot, label in asked:
            number = self._sidecar().microsaas_ask_for_job(self.instance.id, kind, snapshot)
            job = self.env["microsaas.job"].browse(number)
            self.assertEqual((job.instancia_id, job._kind_label(), job.create_uid), (self.instance, label, self.bot))
            self.assertEqual(self._desired_job()["snapshot"], snapshot)
            progress = {"state": "waiting", "message": "Waiting for its turn.", "percent": 0}
            self.assertEqual(self._sidecar().microsaas_job(number), progress)
            with self.assertRaisesRegex(UserError, "under way already"):
                self._sidecar().microsaas_ask_for_job(self.instance.id, "backup")
            self._says(job, "done")
            self.assertEqual(self._sidecar().microsaas_job(number), {"state": "done", "message": "", "percent": 100})

    def test_the_host_is_refused_what_the_buttons_refuse(self):
        others = self._backed_up(self._running(), self._backup(2))
        for kind, snapshot, why in (
            ("restore", others.snapshot, "no such backup"),
            ("restore", "", "no such backup"),
            ("prove", "latest", "no such backup"),
            ("undo_restore", "", "no restore that could be undone"),
        ):
            with self.subTest(kind), self.assertRaisesRegex(UserError, why):
                self._sidecar().microsaas_ask_for_job(self.instance.id, kind, snapshot)
        with self.assertRaises(ValueError), self.cr.savepoint():
            self._sidecar().microsaas_ask_for_job(self.instance.id, "upgrade")
        backup = self._backed_up(self.instance, self._backup())
        self.instance.sudo().subscription_ids.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        with self.assertRaisesRegex(UserError, "suspended"):
            self._sidecar().microsaas_ask_for_job(self.instance.id, "restore", backup.snapshot)
        self.assertFalse(self.instance.job_ids)

    # -- the sidecar reports -------------------------------------------------------------------------

    def test_how_far_it_is(self):
        self.instance.action_backup()
        job = self.instance.job_id
        self._says(job, "running", reason="BackingUp", percent=20)
        begun = job.started_at
        self.assertTrue(begun)
        self.assertEqual((self.instance.job_message, self.instance.job_percent), ("Writing a backup.", 20))
        self.assertEqual(self.instance.job_started_at, begun)
        job.sudo().started_at = begun - timedelta(minutes=5)
        self._says(job, "running", reason="BackingUp", percent=170)
        self.assertEqual((job.started_at, job.percent), (begun - timedelta(minutes=5), 100))
        self._says(job, "running", percent=-1)
        self.assertEqual((job.percent, job.message), (0, ""))

    def test_one_that_is_over_is_left_alone(self):
        self.instance.action_backup()
        job, revision = self.instance.job_id, self.instance.revision
        self._says(job, "failed", reason="BackupServerFull", detail="no space left")
        self.assertTrue(job.ended_at)
        self.assertFalse(self.instance.job_id)
        self.assertIs(self._desired_job(), False)
        self.assertGreater(self.instance.revision, revision, "its instance is due")
        self.assertEqual(job.message, "Where the backups are kept there is no room left: no space left.")
        self.assertIn("no room left: no space left", str(self.instance.message_ids.mapped("body")))
        ended = job.ended_at
        self._says(job, "running", percent=50)
        self._says(job, "done")
        self.assertEqual((job.state, job.ended_at), ("failed", ended))

    def test_what_is_no_report_of_a_job(self):
        self.instance.action_backup()
        with self.assertRaises(ValueError), self.cr.savepoint():
            self._sidecar().microsaas_report_job(self.instance.job_id.id, "perhaps")
        self.assertIs(self._sidecar().microsaas_report_job(0x7FFFFFFF, "done"), True)

    def test_a_restore_can_be_undone_for_seven_days(self):
        job = self._restore()
        self.assertFalse(self.instance.can_undo_restore)
        self._says(job, "done")
        self.assertEqual(self.instance.undo_restore_until - self.instance.restored_at, timedelta(days=7))
        said = str(self.instance.message_ids.mapped("body"))
        self.assertRegex(said, "The backup of .* was restored. manager")
        undo = self.instance.with_user(self.manager)
        undo.action_undo_restore()
        self.assertEqual(self._desired_job()["kind"], "undo_restore")
        self._says(self.instance.job_id, "done")
        self.assertFalse(self.instance.restored_at or self.instance.undo_restore_until)
        self.assertIn("The restore was undone", str(self.instance.message_ids.mapped("body")))
        with self.assertRaisesRegex(UserError, "no restore that could be undone"):
            undo.action_undo_restore()

    def test_after_seven_days_there_is_nothing_to_undo(self):
        self._says(self._restore(), "done")
        self.instance.sudo().undo_restore_until = fields.Datetime.now()
        self.env.invalidate_all()
        with self.assertRaisesRegex(UserError, "no restore that could be undone"):
            self.instance.with_user(self.manager).action_undo_restore()

    def test_a_restore_that_fails_changes_nothing(self):
        self._says(self._restore(), "failed", reason="BackupForeign")
        self.assertFalse(self.instance.restored_at or self.instance.undo_restore_until)
        said = str(self.instance.message_ids.mapped("body"))
        self.assertIn("This is the backup of another instance. Nothing was restored.", said)

    def test_the_sidecar_is_told_which_snapshot_also_when_it_was_forgotten_meanwhile(self):
        job = self._restore()
        self._backed_up(self.instance)
        self.assertFalse(job.backup_id)
        self.assertEqual(self._desired_job()["snapshot"], f"{1:064x}")

    def test_what_another_program_has_said_is_text_in_the_history(self):
        self._says(self._restore(), "failed", reason="BackupFailed", detail="<script>alert(1)</script>")
        self.assertNotIn("<script>", str(self.instance.message_ids.mapped("body")))
