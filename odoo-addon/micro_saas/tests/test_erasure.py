from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestErasure(MicroSaasCommon):
    """All that is kept of an instance goes, once nobody has paid for it any more and a manager has been asked twice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running().sudo()
        cls.subscription = cls.instance.subscription_ids
        cls.subscription.fecha_fin = fields.Date.today() - timedelta(days=2)
        cls._backed_up(cls.instance, cls._backup())

    def _confirm(self, user, is_understood=True):
        wizard = self.env["microsaas.erase.confirm"].with_user(user)
        return wizard.create({"instance_id": self.instance.id, "is_understood": is_understood}).action_confirm()

    def _end(self):
        now = fields.Datetime.now()
        self.instance.action_remove()
        self.subscription.write({"hidden_at": now, "final_notice_at": now, "archived_at": now, "data_removed_at": now})

    def _done(self):
        self._sidecar().microsaas_report_backups(self.instance.id, [])
        self._sidecar().microsaas_report_job(self.instance.job_id.id, "done")
        self.env.invalidate_all()

    def test_a_manager_is_asked_twice_and_the_entry_stays(self):
        self._end()
        action = self.instance.with_user(self.manager).action_erase()
        self.assertEqual(action["res_model"], "microsaas.erase.confirm")
        with self.assertRaisesRegex(UserError, "Tick the box"):
            self._confirm(self.manager, is_understood=False)
        self._confirm(self.manager)
        job = self.instance.job_id
        self.assertEqual((job.kind, job.create_uid, job.snapshot), ("erase", self.manager, False))
        self.env.flush_all()
        wished = self._sidecar().microsaas_desired(self.instance.ids)[0]["job"]
        self.assertEqual(wished["asked_by"], f"{self.manager.name} <{self.manager.login}>")
        self._done()
        self.assertTrue(self.instance.erased_at and job.ended_at)
        self.assertFalse(self.instance.backup_ids or self.subscription.archive)
        self.assertIn(self.manager.name, self.instance.message_ids[0].body)
        self.assertEqual(self.instance.job_ids, job, "who asked, and when")
        for refused in (self.instance.action_restaurar, self.instance.action_erase):
            with self.assertRaisesRegex(UserError, "was erased"):
                refused()

    def test_what_is_left_of_the_data_goes_at_once(self):
        self.instance.action_remove()
        self.assertTrue(self.instance.may_be_erased)
        self._confirm(self.manager)
        self.assertTrue(self.subscription.data_removed_at and self.subscription.archived_at)
        self.env.flush_all()
        desired = self._sidecar().microsaas_desired(self.instance.ids)[0]
        self.assertTrue(desired["without_archive"], "nor is a last backup made of it")

    def test_a_staging_copy_goes_at_once_too(self):
        backup = self._backed_up(self.instance, self._backup(proof="data", proof_date="2026-11-27 04:00:00"))
        backup.with_user(self.manager).action_staging()
        copy = self.instance.staging_id
        self.assertEqual(copy.desired_state, "running")
        self.instance.action_remove()
        self._confirm(self.manager)
        self.assertEqual(copy.desired_state, "removed")

    def test_an_erased_one_gets_no_data_again(self):
        self._end()
        self._confirm(self.manager)
        self._done()
        with self.assertRaisesRegex(UserError, "was erased"):
            self._sidecar().microsaas_restore(self.instance.id, "odoo", "begin")
        self.assertEqual(self.instance.desired_state, "removed")

    def test_what_runs_or_is_paid_for_is_kept(self):
        with self.assertRaisesRegex(UserError, "has data of its own"):
            self._confirm(self.manager)
        self.instance.action_remove()
        self.subscription.fecha_fin = fields.Date.today() + timedelta(days=2)
        self.assertFalse(self.instance.may_be_erased)
        with self.assertRaisesRegex(UserError, "are paid for until"):
            self._confirm(self.manager)
        self._end()
        with self.assertRaisesRegex(UserError, "are paid for until"):
            self._sidecar().microsaas_ask_for_job(self.instance.id, "erase")
        self.assertFalse(self.instance.job_ids)

    def test_nobody_else_erases(self):
        self._end()
        for user in (self.seller, self.invoicer):
            with self.assertRaises(AccessError):
                self._confirm(user)

    def test_the_host_asks_as_a_manager_does(self):
        self._end()
        job = self.env["microsaas.job"].browse(self._sidecar().microsaas_ask_for_job(self.instance.id, "erase"))
        self.assertEqual((job.kind, job.create_uid), ("erase", self.bot))
        with self.assertRaisesRegex(UserError, "under way already"):
            self._confirm(self.manager)
        self._done()
        self.assertIn("erased", self.instance.message_ids[0].body)

    def test_one_that_failed_can_be_asked_for_again(self):
        self._end()
        self._confirm(self.manager)
        self._sidecar().microsaas_report_job(self.instance.job_id.id, "failed", "BackupServerKeeps", "a1b2c3-7-0", 0)
        self.env.invalidate_all()
        self.assertIn("a1b2c3-7-0", self.instance.job_ids.message)
        self.assertFalse(self.instance.erased_at)
        self.assertTrue(self.instance.may_be_erased)
