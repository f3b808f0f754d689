from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon

URL = "https://github.com/OCA/web.git"


@tagged("post_install", "-at_install")
class TestRepositories(MicroSaasCommon):
    def _row(self, **vals):
        return self.env["odoo.docker.repository"].with_user(self.seller).create({"url": URL, **vals})

    def _desired(self, instance):
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        return [(row["url"], row["branch"], row["commit"]) for row in desired["repositories"]]

    def _running(self, **vals):
        instance = self._instance()
        row = self._row(instance_id=instance.id, branch="19.0", **vals)
        instance.start_instance()
        self._report(instance, state="running", commits=[{"id": row.id, "commit": "a" * 40}])
        return instance, row

    def test_an_edit_takes_effect_at_the_next_restart(self):
        instance, row = self._running()
        before = self._desired(instance)
        self.assertEqual(before, [(URL, "19.0", "a" * 40)])
        row.branch = "18.0"
        self.assertFalse(row.commit, "what is fetched next is not that commit")
        added = self._row(instance_id=instance.id, url=f"{URL}2")
        self.assertEqual(self._desired(instance), before, "it goes on running as it was started")
        instance.with_user(self.seller).restart_instance()
        self.assertEqual(self._desired(instance), [(URL, "18.0", ""), (f"{URL}2", "", "")])
        commits = [{"id": row.id, "commit": "b" * 40}, {"id": added.id, "commit": "c" * 40}]
        self._report(instance, commits=commits)
        self.assertEqual((row + added).mapped("commit"), ["b" * 40, "c" * 40])
        self.assertEqual(self._desired(instance), [(URL, "18.0", "b" * 40), (f"{URL}2", "", "c" * 40)])

    def test_a_repository_that_is_deleted_is_used_until_the_restart(self):
        instance, row = self._running()
        row.unlink()
        self.assertEqual(len(self._desired(instance)), 1)
        instance.with_user(self.seller).restart_instance()
        self.assertEqual(self._desired(instance), [])

    def test_a_restart_keeps_the_commit(self):
        instance, row = self._running()
        instance.with_user(self.seller).restart_instance()
        self.assertEqual(self._desired(instance), [(URL, "19.0", "a" * 40)])
        row.action_fetch_newest()
        instance.with_user(self.seller).restart_instance()
        self.assertEqual(self._desired(instance), [(URL, "19.0", "")])

    def test_a_commit_that_comes_late_is_not_that_of_the_new_branch(self):
        instance, row = self._running()
        row.action_fetch_newest()
        instance.with_user(self.seller).restart_instance()
        row.branch = "18.0"
        self._report(instance, commits=[{"id": row.id, "commit": "b" * 40}])
        self.assertFalse(row.commit)
        self.assertEqual(self._desired(instance), [(URL, "19.0", "b" * 40)])

    def test_an_edit_nudges_nobody(self):
        instance, row = self._running()
        before = instance.revision
        row.branch = "18.0"
        row.unlink()
        self.assertEqual(instance.revision, before)

    def test_a_plan_gives_its_instances_a_copy(self):
        plan = self.plan.product_tmpl_id
        row = self._row(plan_id=plan.id, branch="19.0")
        [told] = self._sidecar().microsaas_plans(plan.ids)
        self.assertEqual(
            told["repositories"],
            [{"id": row.id, "url": URL, "branch": "19.0", "commit": "", "of_plan": True}],
        )
        commits = [{"id": row.id, "commit": "a" * 40}]
        self._sidecar().microsaas_report_plan(plan.id, True, "", "", commits)
        self.assertEqual(row.commit, "a" * 40)
        line = self._invoice().invoice_line_ids
        [instance_id] = self._claimed_ids([{"line_id": line.id, "unit": 1}])
        [desired] = self._sidecar().microsaas_desired([instance_id])
        [used] = desired["repositories"]
        self.assertEqual((used["url"], used["commit"], used["of_plan"]), (URL, "a" * 40, True))
        self.assertNotEqual(used["id"], row.id)

    def test_a_plan_whose_repository_changes_is_prepared_again(self):
        plan = self.plan.product_tmpl_id
        for change in (
            lambda: self._row(plan_id=plan.id),
            lambda: plan.microsaas_repository_ids.write({"branch": "x"}),
            lambda: plan.microsaas_repository_ids.action_fetch_newest(),
            lambda: plan.microsaas_repository_ids.unlink(),
        ):
            self._sidecar().microsaas_report_plan(plan.id, True, "", "")
            self.assertTrue(plan.microsaas_listo)
            change()
            self.assertFalse(plan.microsaas_listo)

    def test_what_was_prepared_before_an_edit_does_not_count(self):
        plan = self.plan.product_tmpl_id
        plans = self._sidecar()
        [before] = plans.microsaas_plans(plan.ids)
        plan.microsaas_modules = "sale"
        plans.microsaas_report_plan(plan.id, True, "", "", [], before["content"])
        self.assertFalse(plan.microsaas_listo)
        [now] = plans.microsaas_plans(plan.ids)
        plans.microsaas_report_plan(plan.id, True, "", "", [], now["content"])
        self.assertTrue(plan.microsaas_listo)

    def test_who_only_invoices_changes_none(self):
        _instance, row = self._running()
        with self.assertRaises(AccessError):
            row.with_user(self.invoicer).action_fetch_newest()

    def test_what_is_no_address_is_not_saved(self):
        instance = self._instance()
        for url in ("not a url at all", "file:///etc", "--upload-pack=x", "https://", "ext::sh -c x"):
            with self.subTest(url), self.assertRaisesRegex(ValidationError, "looks like https://"), self.cr.savepoint():
                self._row(instance_id=instance.id, url=url)
        row = self._row(instance_id=instance.id)
        with self.assertRaises(ValidationError), self.cr.savepoint():
            row.url = "nowhere"
