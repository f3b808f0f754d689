from odoo.tests import HttpCase, tagged

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestPlans(ShopCommon, HttpCase):
    """What a visitor reads of the plans before they buy, in the language that the website happens to have."""

    def setUp(self):
        super().setUp()
        self.plan.sudo().write({"is_published": True, "name": "Odoo for one month", "list_price": 20})
        self.yearly = self._product(
            "Odoo for a year", es_plan_microsaas=True, duracion_suscripcion="annual", list_price=120, taxes_id=False
        ).sudo()
        self.yearly.is_published = True
        self.env["product.template"].sudo().search(
            [("es_plan_microsaas", "=", True), ("id", "not in", (self.plan | self.yearly).product_tmpl_id.ids)]
        ).is_published = False

    def test_the_plans_side_by_side_the_cheapest_month_first(self):
        self._product("Hidden", es_plan_microsaas=True)
        page = self.url_open("/shop/plans").text
        self.assertEqual(page.count("o_microsaas_plan "), 2)
        self.assertLess(page.index("Odoo for a year"), page.index("Odoo for one month"))
        self.assertRegex(page, r"120[.,]00(?s:.)*(per year|al año)(?s:.)*10[.,]00(?s:.)*(per month|al mes)")
        self.assertNotIn("Hidden", page)

    def test_a_price_says_what_it_is_for(self):
        for path in ("/shop", self.yearly.website_url, "/shop/plans"):
            self.assertRegex(self.url_open(path).text, "per year|al año", path)
        other = self._product("A book", list_price=7).sudo()
        other.is_published = True
        self.assertNotRegex(self.url_open(other.website_url).text, "per month|al mes")

    def test_a_renewal_that_is_posted_promises_no_end_by_itself(self):
        template = self.plan.product_tmpl_id.sudo()
        self.assertIn("Ends by itself", self._facts(template))
        template.microsaas_renew_issue = "posted"
        self.assertNotIn("Ends by itself", self._facts(template))

    def test_how_long_data_are_kept(self):
        template = self.plan.product_tmpl_id.sudo()
        template.write({"microsaas_own_terms": True, "microsaas_retention_days": 41})
        self.assertIn("41 days", self._facts(template))

    def _facts(self, template):
        return " ".join(sentence for _icon, sentence in template._microsaas_plan_facts())

    def test_a_plan_without_a_picture_has_one(self):
        shown = self.url_open(f"/web/image/product.template/{self.plan.product_tmpl_id.id}/image_1920")
        self.assertEqual(shown.content, self.env["ir.binary"]._placeholder("micro_saas_website/static/img/plan.png"))
