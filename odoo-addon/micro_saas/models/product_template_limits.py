"""What a plan gives each of its instances of the disk, and for how many people."""

from odoo import api, fields, models
from odoo.exceptions import ValidationError


class ProductTemplate(models.Model):
    _inherit = "product.template"

    microsaas_disk_mb = fields.Integer("Disk (MB)", help="Files and database of an instance. 0: no limit.")
    microsaas_users = fields.Integer(
        "Users", help="Internal users of an instance's Odoo; portal users are not counted. 0: no limit."
    )

    @api.constrains("microsaas_disk_mb", "microsaas_users")
    def _check_microsaas_use_limits(self):
        if any(plan.microsaas_disk_mb < 0 or plan.microsaas_users < 0 for plan in self):
            raise ValidationError(self.env._("The limits of a plan cannot be negative (0: no limit)."))

    def _microsaas_limit_facts(self):
        """Return what a plan gives each of its instances, as buyers and customers read it: a list of `(icon, sentence)`.

        What the plan leaves to its template is not promised, so it is not in it.
        """
        self.ensure_one()
        _, in_words = self.env._, self.env["odoo.docker.instance"]._format_mb
        cpus, users = self.microsaas_cpus, self.microsaas_users
        facts = []
        if self.microsaas_memory_mb:
            facts.append(("fa-microchip", _("%s of memory", in_words(self.microsaas_memory_mb))))
        if cpus:
            facts.append(("fa-tachometer", _("1 processor") if cpus == 1 else _("%s processors", f"{cpus:g}")))
        if self.microsaas_disk_mb:
            facts.append(("fa-hdd-o", _("%s of disk", in_words(self.microsaas_disk_mb))))
        if users:
            facts.append(("fa-user", _("1 user")) if users == 1 else ("fa-users", _("%s users", users)))
        return facts
