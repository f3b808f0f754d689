from odoo import fields
from odoo.tests import tagged

from .common import MicroSaasCommon

FIRST = "sha256:" + "1" * 64
NEWER = "sha256:" + "2" * 64


@tagged("post_install", "-at_install")
class TestUpdates(MicroSaasCommon):
    """Which versions an instance runs, and that newer ones are there."""

    def setUp(self):
        super().setUp()
        self.instance = self._running()

    def _says(self, **report):
        self._report(self.instance, **report)
        self.env.invalidate_all()

    def _newest_is(self, digest, *others):
        template = self.instance.template_id
        folder = {"code": template.code, "name": template.name, "odoo_version": template.odoo_version}
        pins = "\n".join(filter(None, [digest, *others]))
        self._sidecar().microsaas_sync([{**folder, "image_digest": digest, "image_pins": pins}])
        self.env.invalidate_all()

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
        self._newest_is("mirror.example.com/odoo@" + NEWER, "odoo@" + NEWER, NEWER)
        self.assertTrue(self.instance.is_update_available)

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

    def test_a_pinned_image_that_is_gone_is_said_with_its_remedy(self):
        self._says(state="error", reason="ImageGone", detail=FIRST)
        self.assertIn(FIRST, self.instance.phase_message)
        self.assertIn("docker load", self.instance.phase_message)
