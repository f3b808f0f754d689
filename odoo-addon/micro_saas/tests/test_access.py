from odoo.exceptions import AccessError
from odoo.tests import new_test_user, tagged

from .common import MicroSaasCommon

OWN_MODELS = ("odoo.docker.instance", "odoo.docker.repository", "microsaas.subscription", "microsaas.renewal")
BACKUP_MODELS = ("microsaas.backup", "microsaas.job", "microsaas.restore.confirm")
ROLLOUT_MODELS = ("microsaas.rollout", "microsaas.rollout.line")


@tagged("post_install", "-at_install")
class TestAccess(MicroSaasCommon):
    def test_the_sidecar_does_its_work_and_nothing_else(self):
        move = self._invoice()
        line = move.invoice_line_ids
        sidecar = self._sidecar()
        sidecar.microsaas_hello("abc123")
        sidecar.microsaas_sync(
            [{"code": "odoo", "name": "Odoo", "odoo_version": "19.0"}]
        )
        self.assertIn(move.id, sidecar.microsaas_unclaimed(10))
        sidecar.microsaas_invoice(move.id)
        sidecar.microsaas_hold_invoice(move.id, "", "")
        ids = [row["id"] for row in sidecar.microsaas_claim([{"line_id": line.id, "unit": 1}])]
        sidecar.microsaas_due(10)
        sidecar.microsaas_desired(ids)
        sidecar.microsaas_report([{"id": ids[0], "revision": 0, "state": "running"}])

        instance = self._sidecar("odoo.docker.instance").browse(ids)
        for forbidden in (
            lambda: move.with_user(self.bot).action_post(),
            lambda: move.with_user(self.bot).read(["name"]),
            lambda: move.with_user(self.bot).action_microsaas_approve(),
            lambda: self.partner.with_user(self.bot).write({"name": "x"}),
            lambda: self.env["ir.config_parameter"].with_user(self.bot).get_param("database.secret"),
            lambda: instance.write({"name": "x"}),
            lambda: instance.unlink(),
            lambda: instance.start_instance(),
            lambda: self._sidecar("res.config.settings").microsaas_connect(),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_nobody_else_calls_the_sidecars_methods(self):
        for user in (self.manager, self.invoicer, self.employee):
            api = self.env["microsaas.sidecar.api"].with_user(user)
            calls = (
                (api.microsaas_hello, "abc123"),
                (api.microsaas_checkpoint,),
                (api.microsaas_distrust, "older", 0, []),
                (api.microsaas_adopt, []),
                (api.microsaas_sync, []),
                (api.microsaas_plans, []),
                (api.microsaas_report_plan, 1, True, "", ""),
                (api.microsaas_unclaimed, 1),
                (api.microsaas_invoice, 1),
                (api.microsaas_hold_invoice, 1, "", ""),
                (api.microsaas_claim, []),
                (api.microsaas_due, 1),
                (api.microsaas_states,),
                (api.microsaas_told, [], 0),
                (api.microsaas_desired, []),
                (api.microsaas_report, []),
                (api.microsaas_report_use, [], {}),
                (api.microsaas_assign_ports, 1, []),
                (api.microsaas_restore, 1, "odoo", "begin"),
                (api.microsaas_spares,),
                (api.microsaas_reserve_spare, 1, "", 0),
                (api.microsaas_report_spare, 1, "gone"),
                (api.microsaas_report_job, 1, "running"),
                (api.microsaas_ask_for_job, 1, "backup"),
                (api.microsaas_ask_for_staging, 1, "ab"),
                (api.microsaas_job, 1),
                (api.microsaas_report_backups, 1, []),
                (api.microsaas_report_manager_backups, 0, 0),
                (api.microsaas_routes,),
                (api.microsaas_page, "", 0),
                (api.microsaas_domains, []),
                (api.microsaas_report_domain, 1, "verified"),
                (api.microsaas_recent_suspensions, 1),
                (api.microsaas_request_approval, 1, 1, 1),
            )
            tried = {method.__name__ for method, *_args in calls}
            self.assertEqual(tried, {name for name in dir(type(api)) if name.startswith("microsaas_")})
            for method, *args in calls:
                with self.assertRaises(AccessError):
                    method(*args)

    def test_invoicing_users_see_and_do_not_touch(self):
        instance = self._instance().with_user(self.invoicer)
        self.assertEqual(instance.read(["name", "state"])[0]["state"], "draft")
        self.assertTrue(instance.subscription_ids.read(["name"]))
        with self.assertRaises(AccessError):
            instance.start_instance()
        with self.assertRaises(AccessError):
            self._instance(self._invoice(), user=self.invoicer)

    def test_others_see_nothing(self):
        portal = new_test_user(self.env(su=True), "portal_user", groups="base.group_portal")
        self._instance()
        for model in (*OWN_MODELS, *BACKUP_MODELS, *ROLLOUT_MODELS):
            with self.assertRaises(AccessError):
                self.env[model].with_user(self.employee).search([])
        for model in ("odoo.docker.instance", "microsaas.subscription"):
            self.assertFalse(self.env[model].with_user(portal).search([]), "customers see their own only")
        for model in ("odoo.docker.repository", "microsaas.renewal", *BACKUP_MODELS, *ROLLOUT_MODELS):
            with self.assertRaises(AccessError):
                self.env[model].with_user(portal).search([])

    def test_companies_are_apart(self):
        instance = self._instance()
        stranger = self._stranger()
        rollout = self.env["microsaas.rollout"].with_user(self.manager).create({})
        rollout.line_ids.sudo().create({"rollout_id": rollout.id, "instance_id": instance.id})
        for model in (*OWN_MODELS[:3], *ROLLOUT_MODELS):
            self.assertFalse(self.env[model].with_user(stranger).search([]))
        with self.assertRaises(AccessError):
            instance.with_user(stranger).read(["name"])
        with self.assertRaises(AccessError):
            self._instance(instance.factura_id, user=stranger)
