from odoo.http import request, route

from odoo.addons.micro_saas_website.rate_limit import RateLimit
from odoo.addons.website_sale.controllers.main import WebsiteSale

# Whoever types a long name asks some twenty times; whoever asks for all names that are taken, thousands of times.
CHECKS = RateLimit(limit=120, seconds=60)


class InstanceNames(WebsiteSale):
    """Choosing the names of instances in the cart: while typing with JavaScript, by a plain form without."""

    @route("/shop/instance_name", type="jsonrpc", auth="public", methods=["POST"], website=True, sitemap=False)
    def instance_name(self, line_id, unit, name, save=False):
        """Check a name for a unit of a line of the visitor's own cart, and keep it if told so.

        :return: dict of `problem` (a sentence, empty if the name can be had) and `suggestion` (a free name)
        """
        if not CHECKS.take(request.httprequest.remote_addr):
            return {"problem": request.env._("Too many names at once. Try again in a minute."), "suggestion": ""}
        line = self._cart_line(line_id, unit)
        if not line:
            return {"problem": "", "suggestion": ""}
        names = request.env["microsaas.instance.name"].sudo()
        name = (name or "").strip()
        if save:
            problem = names._choose(line, unit, name)
        else:
            problem = names._problem(name, line, unit) if name else ""
        return {"problem": problem, "suggestion": problem and names._suggestion(name, line, unit)}

    @route("/shop/instance_names", type="http", auth="public", methods=["POST"], website=True, sitemap=False)
    def instance_names(self, line_id, **names):
        """Keep the names of a line (`name-<unit>` each), then show the cart again with what is wrong with them."""
        for key, name in names.items():
            prefix, _dash, unit = key.partition("-")
            line = prefix == "name" and unit.isdecimal() and self._cart_line(line_id, int(unit))
            if line:
                request.env["microsaas.instance.name"].sudo()._choose(line, int(unit), name)
        return request.redirect("/shop/cart")

    def _cart_line(self, line_id, unit):
        """Return the line of the visitor's own cart that has this unit; empty for anything else."""
        lines = request.cart.order_line
        return lines.filtered(lambda line: str(line.id) == str(line_id) and unit in line._microsaas_named_units())

    def _check_cart(self, order_sudo):
        """A cart with a name that cannot be had is asked again."""
        redirection = super()._check_cart(order_sudo)
        if not redirection and order_sudo._microsaas_lost_names():
            return request.redirect("/shop/cart")
        return redirection
