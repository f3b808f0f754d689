from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestEnding(MicroSaasCommon):
    """The one way out when no last backup can be made."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._instance().sudo()
        cls.instance.start_instance()
        cls._report(cls.instance, state="running", reason="Running")
        cls.instance.action_remove()
        now = fields.Datetime.now()
        cls.instance.subscription_ids.write({"hidden_at": now, "final_notice_at": now})

    def _block(self, **report):
        self._report(self.instance, **{"state": "error", "reason": "BackupFailed", "detail": "No", **report})

    def _confirm(self, user, is_understood=True):
        wizard = self.env["microsaas.without.archive"].with_user(user)
        return wizard.create({"instance_id": self.instance.id, "is_understood": is_understood}).action_confirm()

    def _is_wanted(self):
        return self._sidecar().microsaas_desired(self.instance.ids)[0]["without_archive"]

    def test_a_manager_confirms_and_the_chatter_says_so(self):
        self._block()
        revision = self.instance.revision
        self.assertFalse(self._is_wanted())
        action = self.instance.with_user(self.manager).action_ask_without_archive()
        self.assertEqual(action["res_model"], "microsaas.without.archive")
        self.assertFalse(self._is_wanted(), "the question alone changes nothing")
        self._confirm(self.manager)
        self.assertTrue(self._is_wanted())
        self.assertEqual(self.instance.revision, revision + 1, "the sidecar looks again")
        self.assertIn(self.manager.display_name, self.instance.message_ids[0].body)

    def test_nobody_else_does_and_nobody_by_accident(self):
        self._block()
        for user in (self.seller, self.invoicer):
            with self.assertRaises(AccessError):
                self._confirm(user)
        with self.assertRaises(UserError):
            self._confirm(self.manager, is_understood=False)
        with self.assertRaises(AccessError):
            self.instance.with_user(self.manager).without_archive = True
        self.assertFalse(self._is_wanted())

    def test_only_what_is_on_its_way_out_and_stuck(self):
        for report in ({"state": "removed", "reason": "Removed"}, {"reason": "StartFailed"}):
            self._block(**report)
            with self.assertRaises(UserError):
                self._confirm(self.manager)
        self._block()
        self.instance.subscription_ids.final_notice_at = False
        self.assertFalse(self.instance.may_end_without_archive, "its end has not come")
        with self.assertRaises(UserError):
            self._confirm(self.manager)

    def test_whatever_a_tenant_does_to_their_data_can_be_confirmed(self):
        for reason in ("BackupTooLarge", "BackupTooSlow", "ProofFileMissing", "ProofRows", "TenantDatabase"):
            self._block(reason=reason)
            self.assertTrue(self.instance.may_end_without_archive, reason)
        for reason in ("BackupServerAway", "DockerUnavailable"):
            self._block(reason=reason)
            self.assertFalse(self.instance.may_end_without_archive, "it passes")
        self._block()
        self._confirm(self.manager)
        self.assertFalse(self.instance.may_end_without_archive, "once is enough")

    def test_what_runs_again_has_a_last_backup_again(self):
        self._block()
        self._confirm(self.manager)
        self.instance.action_restaurar()
        self._report(self.instance, state="running", reason="Running")
        self.assertFalse(self._is_wanted())
