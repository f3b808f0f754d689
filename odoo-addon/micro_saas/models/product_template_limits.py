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
