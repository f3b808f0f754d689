from odoo import models

from odoo.addons.micro_saas.models.door import door_suffix


class ProductTemplate(models.Model):
    _inherit = "product.template"

    def _microsaas_plan_facts(self):
        """Return what a buyer wants to know of a plan: a list of `(icon, sentence)`.

        What the plan leaves to its template is not promised, so it is not in it.
        """
        self.ensure_one()
        _, plan = self.env._, self.sudo()
        term = dict(plan._fields["duracion_suscripcion"]._description_selection(self.env))
        facts = [("fa-calendar", _("%s, paid in advance", term[plan.duracion_suscripcion or "monthly"]))]
        if plan.microsaas_memory_mb:
            memory = plan.microsaas_memory_mb
            size = f"{memory / 1024:g} GB" if memory % 512 == 0 else f"{memory} MB"
            facts.append(("fa-microchip", _("%s of memory", size)))
        if plan.microsaas_cpus == 1:
            facts.append(("fa-tachometer", _("1 processor")))
        elif plan.microsaas_cpus:
            facts.append(("fa-tachometer", _("%s processors", f"{plan.microsaas_cpus:g}")))
        names = plan._microsaas_module_list()
        if names:
            modules = self.env["ir.module.module"].sudo().search([("name", "in", names)])
            titles = {module.name: module.shortdesc for module in modules}
            listed = ", ".join(titles.get(name) or name for name in names)
            facts.append(("fa-cubes", _("Installed: %s", listed)))
        return facts

    def _microsaas_door_suffix(self):
        """Return what makes an address of an instance's name; empty without a door."""
        return door_suffix(self.env)
