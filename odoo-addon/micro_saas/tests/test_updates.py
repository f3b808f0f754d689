from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon

FIRST = "sha256:" + "1" * 64
NEWER = "sha256:" + "2" * 64


@tagged("post_install", "-at_install")
class TestUpdates(MicroSaasCommon):
    """Which versions an instance runs, and that newer ones are there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running()

    def _says(self, **report):
        self._report(self.instance, **report)
        self.env.invalidate_all()

    def _newest_is(self, digest, *others):
        template = self.instance.template_id
        folder = {"code": template.code, "name": template.name, "odoo_version": template.odoo_version}
        pins = "\n".join(filter(None, [digest, *others]))
        self._sidecar().microsaas_sync([{**folder, "image_digest": digest, "image_pins": pins}])
        self.env.invalidate_all()

    def _behind(self):
        """Return the instance where the search of what has a newer version finds it."""
        return self.instance.search([("id", "=", self.instance.id), ("is_update_available", "=", True)])

    def test_the_image_of_the_first_start_is_what_the_sidecar_is_told_from_then_on(self):
        self.assertFalse(self.instance.image_digest)
        self._says(image_digest=FIRST)
        self.assertEqual(self.instance.image_digest, FIRST)
        self._says(image_digest="")
        self.assertEqual(self._sidecar().microsaas_desired(self.instance.ids)[0]["image_digest"], FIRST)

    def test_a_newer_image_is_shown_and_changes_nothing(self):
        self._says(image_digest=FIRST)
        self._newest_is(FIRST)
        self.assertFalse(self.instance.is_update_available)
        self._newest_is(NEWER)
        self.assertTrue(self.instance.is_update_available)
        self.assertEqual(self._sidecar().microsaas_desired(self.instance.ids)[0]["image_digest"], FIRST)
        self._newest_is("")
        self.assertFalse(self.instance.is_update_available, "nobody knows of a newer one")

    def test_an_image_that_another_registry_has_too_is_no_newer_one(self):
        self._says(image_digest="odoo@" + FIRST)
        self._newest_is("mirror.example.com/odoo@" + FIRST, "odoo@" + FIRST, FIRST)
        self.assertFalse(self.instance.is_update_available)
        self.assertFalse(self._behind())
        self._newest_is("mirror.example.com/odoo@" + NEWER, "odoo@" + NEWER, NEWER)
        self.assertTrue(self.instance.is_update_available)
        self.assertEqual(self._behind(), self.instance)

    def test_an_image_that_was_built_here_and_pushed_since_is_no_newer_one(self):
        self._says(image_digest=FIRST)
        self._newest_is("registry.example.com/odoo@" + NEWER, FIRST)
        self.assertFalse(self.instance.is_update_available)

    def test_newer_commits_of_the_plans_repositories_are_shown(self):
        self._newest_is("")
        url = "https://example.com/one.git"
        plan = self._product("With a repository", es_plan_microsaas=True)
        plan.microsaas_repository_ids = [fields.Command.create({"url": url, "commit": "1" * 40})]
        self.instance = self._running(factura_id=self._invoice(self._line(plan)).id)
        self.assertEqual(self.instance.repository_ids.commit, "1" * 40)
        self.assertFalse(self.instance.is_update_available)
        plan.microsaas_repository_ids.sudo().commit = "2" * 40
        self.env.invalidate_all()
        self.assertTrue(self.instance.is_update_available)

    def test_the_modules_of_the_first_start_are_noted_and_what_the_plan_gets_later_comes_with_an_update(self):
        self._newest_is("")
        plan = self._product("With modules", es_plan_microsaas=True, microsaas_modules="account, crm,")
        self.instance = self._running(factura_id=self._invoice(self._line(plan)).id)
        desired = lambda: self._sidecar().microsaas_desired(self.instance.ids)[0]
        self.assertIs(desired()["given_modules"], False)
        plan.microsaas_modules = "account,crm,project"
        self.assertFalse(self.instance.is_update_available, "nobody has noted what it was given")
        self.assertFalse(self._behind())
        self._says(given_modules=["account", "crm"])
        self.assertEqual(desired()["given_modules"], ["account", "crm"])
        self.assertTrue(self.instance.is_update_available)
        self.assertEqual(self._behind(), self.instance)
        self._says(given_modules=["account", "crm", "project"])
        self.assertFalse(self.instance.is_update_available)
        self.assertFalse(self._behind())
        plan.microsaas_modules = "crm"
        self.env.invalidate_all()
        self.assertFalse(self.instance.is_update_available, "fewer modules are nothing newer")
        self.assertFalse(self._behind())

    def test_a_plan_without_modules_has_given_none_which_is_not_the_same_as_unknown(self):
        self._newest_is("")
        plan = self._product("Without modules", es_plan_microsaas=True)
        self.instance = self._running(factura_id=self._invoice(self._line(plan)).id)
        self._says(given_modules=[])
        self.assertEqual(self._sidecar().microsaas_desired(self.instance.ids)[0]["given_modules"], [])
        self.assertFalse(self.instance.is_update_available)
        self.assertFalse(self._behind())
        plan.microsaas_modules = "crm"
        self.env.invalidate_all()
        self.assertTrue(self.instance.is_update_available)
        self.assertEqual(self._behind(), self.instance)

    def test_a_pinned_image_that_is_gone_is_said_with_its_remedy(self):
        self._says(state="error", reason="ImageGone", detail=FIRST)
        self.assertIn(FIRST, self.instance.phase_message)
        self.assertIn("docker load", self.instance.phase_message)

    # -- updates -------------------------------------------------------------------------------------

    def _ends(self, state="done", **said):
        self._sidecar().microsaas_report_job(self.instance.job_id.id, state, **said)
        self.env.invalidate_all()

    def test_an_update_is_a_job_and_can_be_undone_for_seven_days(self):
        instance = self.instance.with_user(self.manager)
        self.assertIs(instance.action_update(), True)
        self.assertEqual(self._sidecar().microsaas_desired(instance.ids)[0]["job"]["kind"], "update")
        self._ends("running", reason="Rehearsing", percent=40)
        self.assertEqual(instance.job_message, "Trying the update on a backup, away from the instance.")
        self._ends()
        self.assertEqual(instance.undo_update_until - instance.updated_at, timedelta(days=7))
        self.assertIn("Updated to the newest version", str(instance.message_ids.mapped("body")))
        self.assertIs(instance.action_undo_update(), True)
        self.assertEqual(self._sidecar().microsaas_desired(instance.ids)[0]["job"]["kind"], "undo_update")
        self._ends()
        self.assertFalse(instance.updated_at or instance.can_undo_update)
        self.assertIn("The update was undone", str(instance.message_ids.mapped("body")))
        with self.assertRaisesRegex(UserError, "no update that could be undone"):
            instance.action_undo_update()

    def test_an_update_that_fails_changes_nothing_and_says_why(self):
        self.instance.with_user(self.manager).action_update()
        self._ends("failed", reason="UpdateFailed", detail="RuntimeError: made to fail")
        self.assertFalse(self.instance.updated_at or self.instance.can_undo_update)
        said = str(self.instance.message_ids.mapped("body"))
        self.assertIn("version and data are as they were. Odoo says: RuntimeError: made to fail", said)

    def test_only_the_last_replacement_can_be_undone(self):
        instance = self.instance.with_user(self.manager)
        backup = self._backed_up(self.instance, self._backup())
        backup.with_user(self.manager)._restore()
        self._ends()
        self.assertTrue(instance.can_undo_restore)
        instance.action_update()
        self._ends()
        self.assertEqual((instance.can_undo_restore, instance.can_undo_update), (False, True))
        self.instance.backup_ids.with_user(self.manager)._restore()
        self._ends()
        self.assertEqual((instance.can_undo_restore, instance.can_undo_update), (True, False))

    def test_what_is_not_updated(self):
        with self.assertRaisesRegex(AccessError, "Only a MicroSaaS manager updates"):
            self.instance.with_user(self.seller).action_update()
        with self.assertRaisesRegex(AccessError, "Only a MicroSaaS manager undoes"):
            self.instance.with_user(self.seller).action_undo_update()
        instance = self.instance.with_user(self.manager)
        instance.action_update()
        with self.assertRaisesRegex(UserError, "under way already"):
            instance.action_update()
        self._ends()
        self.instance.sudo().subscription_ids.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        for refused in (instance.action_update, instance.action_undo_update):
            with self.assertRaisesRegex(UserError, "suspended"):
                refused()
        self.instance.action_remove()
        with self.assertRaisesRegex(UserError, "was removed"):
            instance.action_update()

    def test_the_host_asks_for_an_update_as_the_button_does(self):
        number = self._sidecar().microsaas_ask_for_job(self.instance.id, "update")
        self.assertEqual(self.instance.job_id.id, number)
        self._ends()
        self._sidecar().microsaas_ask_for_job(self.instance.id, "undo_update")
        self._ends()
        with self.assertRaisesRegex(UserError, "no update that could be undone"):
            self._sidecar().microsaas_ask_for_job(self.instance.id, "undo_update")
