from odoo.exceptions import AccessError
from odoo.tests import tagged

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestSettings(ShopCommon):
    def setUp(self):
        super().setUp()
        self.env["ir.config_parameter"].sudo().set_param("sale.automatic_invoice", False)
        self.website.sudo().write({"auth_signup_uninvited": "b2b", "account_on_checkout": "disabled"})
        self.plan.sudo().is_published = False
        self.settings = self.env["res.config.settings"].sudo().create({})

    def test_one_press_opens_the_shop(self):
        self.assertEqual(len(self.settings._microsaas_shop_todo()) - self._ways_to_pay_missing(), 4)
        self.settings.action_microsaas_sell_from_shop()
        self.assertEqual(len(self.settings._microsaas_shop_todo()) - self._ways_to_pay_missing(), 0)
        self.assertTrue(self.plan.is_published)
        self.assertEqual(
            self.env["ir.config_parameter"].sudo().get_param("sale.automatic_invoice"), "True"
        )

    def _ways_to_pay_missing(self):
        return sum("way to pay" in sentence for sentence in self.settings._microsaas_shop_todo())

    def test_what_is_missing_is_shown(self):
        self.assertIn("<li>", self.settings.microsaas_shop_missing)

    def test_only_administrators_may(self):
        with self.assertRaises(AccessError):
            self.env["res.config.settings"].with_user(self.manager).action_microsaas_sell_from_shop()

    def test_the_facts_of_a_plan(self):
        template = self.plan.product_tmpl_id
        template.write({"microsaas_memory_mb": 1536, "microsaas_cpus": 1, "microsaas_modules": "account"})
        sentences = [sentence for _icon, sentence in template._microsaas_plan_facts()]
        self.assertIn("1 month, paid in advance", sentences)
        self.assertIn("1.5 GB of memory", sentences)
        self.assertIn("1 processor", sentences)
        template.write({"microsaas_memory_mb": 0, "microsaas_cpus": 0})
        self.assertEqual(len(template._microsaas_plan_facts()), 4)
