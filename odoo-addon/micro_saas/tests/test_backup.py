from datetime import datetime

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon

AT = datetime(2026, 11, 27, 3)
EPOCH = datetime(1970, 1, 1)


@tagged("post_install", "-at_install")
class TestBackup(MicroSaasCommon):
    """The rows are what the repository has; people read them, and managers restore them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running()

    # -- what the sidecar reports ------------------------------------------------------------------

    def test_the_rows_are_what_the_repository_has_now(self):
        first, second = self._backup(1), self._backup(2, date="2026-11-26 03:00:00", size=5 * 2**20 // 2, kept="")
        rows = self._backed_up(self.instance, first, second)
        self.assertEqual(rows.mapped("snapshot"), [f"{1:064x}", f"{2:064x}"], "the newest first")
        self.assertEqual(rows.mapped("size_mb"), [1.0, 2.5])
        self.assertEqual((rows[0].date, rows[0].state, rows[0].proof, rows[0].kept), (AT, "done", "none", "newest"))
        self.assertFalse(rows[1].kept or rows[0].proof_date or rows[0].message)
        proven = {**first, "proof": "data", "proof_date": "2026-11-27 04:00:00"}
        again = self._backed_up(self.instance, proven, self._backup(3, date="2026-11-28 03:00:00"))
        self.assertEqual(again.mapped("snapshot"), [f"{3:064x}", f"{1:064x}"], "the second was forgotten")
        self.assertEqual(again[1], rows[0], "a row that is still there is the same row")
        self.assertEqual((again[1].proof, again[1].proof_date), ("data", datetime(2026, 11, 27, 4)))
        self.assertFalse(self._backed_up(self.instance), "an empty repository")

    def test_a_list_without_news_writes_nothing(self):
        row = self._backed_up(self.instance, self._backup())
        self.env.flush_all()
        self.cr.execute("UPDATE microsaas_backup SET write_date = '2000-01-01'")
        self._backed_up(self.instance, self._backup())
        self.assertEqual(row.write_date, datetime(2000, 1, 1))

    def test_a_report_of_backups_is_nobodys_wish(self):
        before = self.instance.revision, self.instance.next_review
        self._backed_up(self.instance, self._backup(), failure={"reason": "BackupFailed", "detail": "x"})
        self.assertEqual((self.instance.revision, self.instance.next_review), before)

    def test_a_day_has_one_failure_and_the_list_is_untouched_where_nobody_knows_it(self):
        self._backed_up(self.instance, self._backup())
        for line in ("connection refused", "timeout"):
            failure = {"reason": "BackupServerAway", "detail": line}
            self.assertIs(self._sidecar().microsaas_report_backups(self.instance.id, False, failure=failure), True)
        self.env.invalidate_all()
        failed, done = self.instance.backup_ids
        self.assertEqual((failed.state, done.state), ("failed", "done"))
        self.assertFalse(failed.snapshot)
        self.assertEqual(failed.message, "Where the backups are kept nobody answers: timeout.")
        self.assertAlmostEqual(failed.date.timestamp(), fields.Datetime.now().timestamp(), delta=60)
        self.env.flush_all()
        self.cr.execute("UPDATE microsaas_backup SET date = date - interval '1 day' WHERE state = 'failed'")
        self._backed_up(self.instance, self._backup(), failure={"reason": "BackupFailed", "detail": "x"})
        self.assertEqual(len(self.instance.backup_ids), 3, "yesterday's failure is told too")
        self.cr.execute("UPDATE microsaas_backup SET date = date - interval '100 days' WHERE state = 'failed'")
        self.env.invalidate_all()
        self.env["microsaas.backup"].sudo()._gc_failures()
        self.assertEqual(self.instance.backup_ids, done, "not for ever")

    def test_why_a_proof_failed_is_said_in_the_readers_language(self):
        row = self._backed_up(
            self.instance, self._backup(proof="failed", reason="ProofRows", detail="public.res_users\n5\n4")
        )
        self.assertEqual(
            row.message, "The table public.res_users had 5 rows when the backup was made, and has 4 once restored."
        )
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        self.assertIn("tenía 5 filas", row.with_context(lang="es_ES").message)

    def test_what_is_no_backup_is_refused_and_nothing_of_it_is_kept(self):
        self._backed_up(self.instance, self._backup())
        for wrong, error in (
            ({"snapshot": "latest"}, ValidationError),
            ({"snapshot": "A" * 64}, ValidationError),
            ({"snapshot": ""}, ValidationError),
            ({"proof": "perhaps"}, ValueError),
            ({"kept": "for fun"}, ValueError),
            ({"date": "yesterday"}, ValueError),
        ):
            with self.subTest(wrong), self.assertRaises(error), self.cr.savepoint():
                self._sidecar().microsaas_report_backups(self.instance.id, [self._backup(**wrong)])
        self.env.invalidate_all()
        self.assertEqual(self.instance.backup_ids.snapshot, f"{1:064x}")
        self.assertIs(self._sidecar().microsaas_report_backups(0x7FFFFFFF, [self._backup()]), True)

    def test_the_database_has_a_snapshot_once(self):
        row = self._backed_up(self.instance, self._backup())
        with self.assertRaises(Exception), mute_logger("odoo.sql_db"), self.cr.savepoint():  # noqa: B017
            row.sudo().copy()
            self.env.flush_all()

    # -- what is read of them ----------------------------------------------------------------------

    def test_the_sidecar_reads_when_the_newest_were(self):
        def newest(instance):
            self.env.flush_all()
            [row] = [row for row in self._sidecar().microsaas_states() if row["id"] == instance.id]
            return row["last_backup_at"], row["last_proof_at"], row["last_failure_at"]

        self.assertEqual(newest(self.instance), (0, 0, 0))
        proven = {"proof": "boot", "proof_date": "2026-11-26 04:00:00", "date": "2026-11-26 03:00:00"}
        refuted = {"proof": "failed", "proof_date": "2026-11-27 04:00:00", "reason": "ProofDatabase"}
        self._backed_up(self.instance, self._backup(1, **refuted), self._backup(2, **proven))
        # Not when it was proven: an older one that is proven later proves nothing of the newest.
        seconds = [(one - EPOCH).total_seconds() for one in (AT, datetime(2026, 11, 26, 3))]
        self.assertEqual(newest(self.instance), (*seconds, 0))
        self.assertEqual(self.instance.last_backup_at, AT)
        self.assertEqual(self.instance.last_proof_at, datetime(2026, 11, 26, 4), "a failed proof proves nothing")
        self._backed_up(self.instance, failure={"reason": "BackupFailed", "detail": ""})
        self.assertEqual(newest(self.instance)[:2], (0, 0))
        self.assertAlmostEqual(newest(self.instance)[2], (fields.Datetime.now() - EPOCH).total_seconds(), delta=60)
        self.assertFalse(self.instance.last_backup_at or self.instance.backup_count)
        self.assertEqual(newest(self._instance()), (0, 0, 0), "each its own")

    def test_backups_of_another_company_are_not_seen(self):
        row = self._backed_up(self.instance, self._backup())
        self.instance.action_backup()
        stranger = self._stranger("micro_saas.group_microsaas_manager")
        for model in ("microsaas.backup", "microsaas.job"):
            self.assertTrue(self.env[model].with_user(self.seller).search([]))
            self.assertFalse(self.env[model].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            row.with_user(stranger).action_restore()
        question = self.env["microsaas.restore.confirm"].with_user(stranger).create({"backup_id": row.id})
        for read in (lambda: question.backup_date, lambda: question.write({"is_understood": True}) and question.action_confirm()):
            self.env.invalidate_all()
            with self.assertRaises(AccessError):
                read()

    # -- Restore… ------------------------------------------------------------------------------------

    def _asked(self, backup, user=None):
        """Return the question that is asked before a restore, its box not ticked yet."""
        action = backup.with_user(user or self.manager).action_restore()
        model = self.env[action["res_model"]].with_user(user or self.manager).with_context(**action["context"])
        return model.create({})

    def test_a_manager_is_asked_before_a_restore(self):
        backup = self._backed_up(self.instance, self._backup())
        revision = self.instance.revision
        question = self._asked(backup)
        self.assertEqual((question.instancia_id, question.backup_date), (self.instance, AT))
        with self.assertRaisesRegex(UserError, "Tick the box"):
            question.action_confirm()
        self.assertFalse(self.instance.job_id)
        question.is_understood = True
        question.action_confirm()
        job = self.instance.job_id
        self.assertEqual((job.kind, job.backup_id, job.create_uid), ("restore", backup, self.manager))
        self.assertEqual(self.instance.revision, revision + 1, "it is a wish")
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        wished = {"id": job.id, "identity": job.identity, "kind": "restore", "snapshot": f"{1:064x}", "state": "waiting"}
        asked_by = f"{self.manager.name} <{self.manager.login}>"
        self.assertEqual(desired["job"], {**wished, "asked_by": asked_by})

    def test_others_see_backups_and_do_not_restore_them(self):
        backup = self._backed_up(self.instance, self._backup())
        self.assertTrue(backup.with_user(self.seller).read(["date", "message"]))
        for user in (self.seller, self.invoicer, self.bot):
            with self.assertRaises(AccessError):
                backup.with_user(user).action_restore()
            with self.assertRaises(AccessError):
                self.env["microsaas.restore.confirm"].with_user(user).create({"backup_id": backup.id})
        with self.assertRaises(AccessError):
            backup.with_user(self.manager).unlink()
        self.instance.sudo().undo_restore_until = fields.Datetime.add(fields.Datetime.now(), days=1)
        with self.assertRaises(AccessError):
            self.instance.with_user(self.seller).action_undo_restore()

    def test_a_restore_is_refused_with_the_reason(self):
        backup = self._backed_up(self.instance, self._backup(), failure={"reason": "BackupFailed", "detail": ""})[1]
        question = self._asked(backup)
        question.is_understood = True
        with self.assertRaisesRegex(UserError, "it has failed"):
            self.instance.backup_ids[0].with_user(self.manager).action_restore()
        before = self.instance.sudo()._quiet()
        subscription = self.instance.sudo().subscription_ids
        gone = fields.Datetime.now()
        for record, change, why in (
            (before, {"desired_state": "removed"}, "was removed"),
            (before, {"desired_state": "draft", "was_ready": False}, "never been started"),
            (before, {"was_ready": False}, "not run yet"),
            (subscription, {"state": "expired", "suspended_at": gone}, "suspended"),
        ):
            with self.subTest(why), self.cr.savepoint() as savepoint:
                record.write(change)
                with self.assertRaisesRegex(UserError, why):
                    backup.with_user(self.manager).action_restore()
                with self.assertRaisesRegex(UserError, why):
                    question.action_confirm()
                savepoint.rollback()
                self.env.invalidate_all()
        self.instance.action_backup()
        with self.assertRaisesRegex(UserError, "under way already: Backup, asked for by seller"):
            question.action_confirm()

    def test_an_instance_whose_data_were_removed_is_restored_where_nothing_is(self):
        backup = self._backed_up(self.instance, self._backup())
        self.assertTrue(self._asked(backup).replaces)
        self.instance.sudo()._quiet().write({"desired_state": "removed", "state": "removed", "active": False})
        with self.assertRaisesRegex(UserError, "was removed"):
            backup.with_user(self.manager).action_restore()
        self.instance.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        question = self._asked(backup)
        self.assertFalse(question.replaces)
        question.is_understood = True
        question.action_confirm()
        job = self.instance.job_id
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        self.assertEqual(desired["job"]["id"], job.id)
        with self.assertRaisesRegex(UserError, "under way already"):
            backup.with_user(self.manager).action_restore()
        self._sidecar().microsaas_restore(self.instance.id, "odoo", "begin")
        self._sidecar().microsaas_report_job(job.id, "failed", reason="BackupServerAway", detail="no")
        self.env.invalidate_all()
        self.assertEqual(self.instance.desired_state, "draft")
        number = self._sidecar().microsaas_ask_for_job(self.instance.id, "restore", backup.snapshot)
        self._sidecar().microsaas_restore(self.instance.id, "odoo", "end")
        self._sidecar().microsaas_report_job(number, "done", reason="NothingReplaced")
        self.env.invalidate_all()
        self.assertEqual((self.instance.active, self.instance.desired_state), (True, "stopped"))
        self.assertFalse(self.instance.restored_at or self.instance.can_undo_restore, "nothing was replaced")

    def test_a_suspended_instance_is_backed_up_and_proven(self):
        backup = self._backed_up(self.instance, self._backup())
        self.instance.sudo().subscription_ids.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        backup.with_user(self.seller).action_prove()
        self.assertEqual((self.instance.job_id.kind, self.instance.job_id.snapshot), ("prove", f"{1:064x}"))
