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
        if plan.microsaas_disk_mb:
            facts.append(("fa-hdd-o", _("%s of disk", self.env["odoo.docker.instance"]._format_mb(plan.microsaas_disk_mb))))
        if plan.microsaas_users == 1:
            facts.append(("fa-user", _("1 user")))
        elif plan.microsaas_users:
            facts.append(("fa-users", _("%s users", plan.microsaas_users)))
        names = plan._microsaas_module_list()
        if names:
            modules = self.env["ir.module.module"].sudo().search([("name", "in", names)])
            titles = {module.name: module.shortdesc for module in modules}
            listed = ", ".join(titles.get(name) or name for name in names)
            facts.append(("fa-cubes", _("Installed: %s", listed)))
        return facts

    def _microsaas_waits_for_room(self):
        """Tell whether an instance that is sold now would have to wait for room on the server."""
        return bool(self.sudo().es_plan_microsaas and self.env["microsaas.sidecar"].sudo()._short_of())

    def _microsaas_door_suffix(self):
        """Return what makes an address of an instance's name; empty without a door."""
        return door_suffix(self.env)
