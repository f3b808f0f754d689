from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestJobFromHost(MicroSaasCommon):
    """What an operator asks for on the sidecar's host is a job like a person's, and refused as that is."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running()
        cls.backup = cls._backed_up(cls.instance, cls._backup())

    def _ask(self, kind, snapshot=""):
        return self._sidecar().microsaas_ask_for_job(self.instance.id, kind, snapshot)

    def test_a_backup_and_a_restore(self):
        job = self.env["microsaas.job"].browse(self._ask("backup"))
        self.assertEqual((job.kind, job.state, job.create_uid), ("backup", "waiting", self.bot))
        row = self._sidecar().microsaas_job(job.id)
        self.assertEqual(row, {"state": "waiting", "message": "Waiting for its turn.", "percent": 0})
        with self.assertRaisesRegex(UserError, "under way already"):
            self._ask("backup")
        self._sidecar().microsaas_report_job(job.id, "done")
        job = self.env["microsaas.job"].browse(self._ask("restore", self.backup.snapshot))
        self.assertEqual((job.backup_id, job.snapshot), (self.backup, self.backup.snapshot))
        self._sidecar().microsaas_report_job(job.id, "failed", "BackupGone", "", 0)
        self.assertEqual(self._sidecar().microsaas_job(job.id)["state"], "failed")

    def test_what_the_buttons_refuse_is_refused(self):
        with self.assertRaisesRegex(UserError, "no such backup"):
            self._ask("restore", "f" * 64)
        self.instance.action_remove()
        with self.assertRaises(UserError):
            self._ask("backup")

    def test_states_say_who_waits(self):
        def waits():
            self.env.flush_all()
            rows = self._sidecar().microsaas_states()
            return [row["has_job"] for row in rows if row["id"] == self.instance.id]

        self.assertEqual(waits(), [False])
        self._ask("backup")
        self.assertEqual(waits(), [True])

    def test_only_the_sidecar_may_ask_so(self):
        api = self.env["microsaas.sidecar.api"].with_user(self.seller)
        for call in (
            lambda: api.microsaas_ask_for_job(self.instance.id, "backup"),
            lambda: api.microsaas_job(1),
        ):
            self.assertRaises(AccessError, call)
