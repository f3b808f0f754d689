from odoo.http import Controller, request, route


class PlansPage(Controller):
    """All plans that the visitor may buy, side by side."""

    @route("/shop/plans", type="http", auth="public", website=True, sitemap=True)
    def plans(self):
        """Show what each plan costs and gives, the cheapest by the month first."""
        website = request.website
        domain = [*website.sale_product_domain(), ("es_plan_microsaas", "=", True)]
        plans = request.env["product.template"].search(domain)
        prices = plans._get_sales_prices(website)
        rows = [self._row(plan, prices[plan.id]["price_reduce"]) for plan in plans]
        rows.sort(key=lambda row: row["by_month"] or row["price"])
        return request.render("micro_saas_website.plans", {"rows": rows})

    def _row(self, plan, price):
        return {"plan": plan, "price": price, "by_month": plan._microsaas_per_month(price)}
