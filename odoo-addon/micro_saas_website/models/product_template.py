from odoo import models

from odoo.addons.micro_saas.models.door import door_suffix
from odoo.addons.micro_saas.models.product_template import MONTHS


class ProductTemplate(models.Model):
    _inherit = "product.template"

    def _microsaas_plan_facts(self):
        """Return what a buyer wants to know of a plan: a list of `(icon, sentence)`.

        What the plan leaves to its template is not promised, so it is not in it.
        """
        self.ensure_one()
        _, plan = self.env._, self.sudo()
        facts = [("fa-calendar", _("%s, paid in advance", plan._microsaas_term_label())), *plan._microsaas_limit_facts()]
        names = plan._microsaas_module_list()
        if names:
            modules = self.env["ir.module.module"].sudo().search([("name", "in", names)])
            titles = {module.name: module.shortdesc for module in modules}
            listed = ", ".join(titles.get(name) or name for name in names)
            facts.append(("fa-cubes", _("Installed: %s", listed)))
        company = plan.company_id or self.env["website"].get_current_website().company_id
        if plan.microsaas_renew_issue == "draft":
            facts.append(("fa-calendar-check-o", _("Ends by itself unless you renew: there is nothing to cancel")))
        facts.append(("fa-archive", _("Your data are kept for %s days after the end", plan._microsaas_terms(company)["retention"])))
        return facts

    def _microsaas_waits_for_room(self):
        """Tell whether an instance that is sold now would have to wait for room on the server."""
        return bool(self.sudo().es_plan_microsaas and self.env["microsaas.sidecar"].sudo()._short_of())

    def _microsaas_per_term(self):
        """Return what a price is for, in the reader's language: `per month`; empty for what is no plan."""
        _, plan = self.env._, self.sudo()
        if not plan.es_plan_microsaas:
            return ""
        return {
            "monthly": _("per month"),
            "quarterly": _("every 3 months"),
            "biannual": _("every 6 months"),
            "annual": _("per year"),
        }[plan.duracion_suscripcion or "monthly"]

    def _microsaas_per_month(self, price):
        """Return what a price for a term is by the month; 0 where the term is a month."""
        months = MONTHS[self.sudo().duracion_suscripcion or "monthly"]
        return price / months if months > 1 else 0

    def _get_product_placeholder_filename(self):
        if self.sudo().es_plan_microsaas:
            return "micro_saas_website/static/img/plan.png"
        return super()._get_product_placeholder_filename()

    def _microsaas_door_suffix(self):
        """Return what makes an address of an instance's name; empty without a door."""
        return door_suffix(self.env)
