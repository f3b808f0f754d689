from odoo import Command, fields
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestProduct(MicroSaasCommon):
    def test_becoming_a_plan_sets_the_day_and_the_template(self):
        plan = self._product("Later a plan").product_tmpl_id
        self.assertFalse(plan.microsaas_desde)
        plan.es_plan_microsaas = True
        self.assertEqual(plan.microsaas_desde, fields.Date.context_today(plan))
        self.assertEqual(plan.plantilla_id, self.template)
        plan.es_plan_microsaas = False
        self.assertFalse(plan.microsaas_desde)

    def test_a_given_day_is_kept(self):
        plan = self._product("Plan", es_plan_microsaas=True, microsaas_desde="2024-02-03")
        self.assertEqual(plan.type, "service")
        self.assertEqual(plan.microsaas_desde, fields.Date.to_date("2024-02-03"))
        plan.product_tmpl_id.write({"es_plan_microsaas": True, "name": "Same plan"})
        self.assertEqual(plan.microsaas_desde, fields.Date.to_date("2024-02-03"))

    def test_the_form_suggests_a_service(self):
        with Form(self.env["product.template"].sudo()) as form:
            form.name = "From the form"
            form.es_plan_microsaas = True
            self.assertEqual(form.type, "service")
            self.assertEqual(form.plantilla_id, self.template)

    def test_who_only_keeps_products_opens_saves_and_copies_them(self):
        plan = self.plan.product_tmpl_id
        plan.sudo().microsaas_repository_ids = [Command.create({"url": "https://github.com/OCA/web.git"})]
        self.employee.sudo().group_ids += self.env.ref("product.group_product_manager")
        own = plan.with_user(self.employee)
        with Form(own) as form:
            form.name = "Another name"
        copied = own.copy()
        self.assertEqual(copied.sudo().microsaas_repository_ids.url, "https://github.com/OCA/web.git")
        self.assertEqual(len(plan.sudo().microsaas_repository_ids), 1)

    def test_limits(self):
        for vals in (
            {"microsaas_memory_mb": 127},
            {"microsaas_memory_mb": -1},
            {"microsaas_cpus": -0.5},
            {"microsaas_modules": "sale,../x"},
            {"microsaas_modules": "Sale"},
            {"microsaas_modules": "sale;stock"},
        ):
            with self.subTest(vals), self.assertRaises(ValidationError), self.cr.savepoint():
                self.plan.sudo().write(vals)
        self.plan.sudo().write({"microsaas_memory_mb": 128, "microsaas_modules": " sale , stock,"})
        self.assertEqual(self.plan.product_tmpl_id._microsaas_module_list(), ["sale", "stock"])

    def test_how_far_it_is_prepared(self):
        plan = self.plan.product_tmpl_id.sudo()
        self.assertEqual(plan.microsaas_preparation, "preparing")
        self._sidecar().microsaas_report_plan(plan.id, False, "ModulesMissing", "acount")
        self.assertEqual(plan.microsaas_preparation, "failed")
        self._sidecar().microsaas_report_plan(plan.id, True, "Remarks", "")
        self.assertEqual(plan.microsaas_preparation, "prepared", "a remark is in nobody's way")
        self.assertFalse(self._product("No plan").product_tmpl_id.microsaas_preparation)

    def test_the_list_of_plans_counts_what_runs_of_each(self):
        plan = self.plan.product_tmpl_id.sudo()
        before = plan.microsaas_running_count
        self._running().stop_instance()
        self._running()
        plan.invalidate_recordset()
        self.assertEqual(plan.microsaas_running_count, before + 1)

    def test_an_instance_whose_plan_has_changed_counts_for_its_new_one(self):
        larger = self._product("Larger", es_plan_microsaas=True)
        self._running().subscription_ids.sudo().product_id = larger
        self.assertEqual(larger.product_tmpl_id.sudo().microsaas_running_count, 1)
