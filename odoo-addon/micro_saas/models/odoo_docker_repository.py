from odoo import api, fields, models


class OdooDockerRepository(models.Model):
    """A git repository of addons that an instance runs with."""

    _name = "odoo.docker.repository"
    _description = "Instance repository"
    _order = "id"
    _rec_name = "url"

    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, ondelete="cascade", index=True
    )
    url = fields.Char("URL", required=True)
    branch = fields.Char(help="Empty: the repository's default branch.")
    commit = fields.Char(readonly=True, copy=False, help="The commit that the instance runs with.")

    @api.model_create_multi
    def create(self, vals_list):
        repositories = super().create(vals_list)
        repositories.instance_id._wish_changed()
        return repositories

    def write(self, vals):
        result = super().write(vals)
        if vals.keys() & {"url", "branch", "instance_id"}:
            self.instance_id._wish_changed()
        return result

    def unlink(self):
        instances = self.instance_id
        result = super().unlink()
        instances._wish_changed()
        return result
