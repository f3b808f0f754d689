from odoo import fields, models
from odoo.exceptions import UserError


class MicrosaasEraseConfirm(models.TransientModel):
    """Asks whether all that is kept of an instance is to be erased."""

    _name = "microsaas.erase.confirm"
    _description = "Erase all data"

    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade"
    )
    # Not with sudo: whoever names another company's instance reads nothing of it.
    partner_id = fields.Many2one(related="instance_id.partner_id", string="Customer", related_sudo=False)
    backup_count = fields.Integer("Number of backups", related="instance_id.backup_count", related_sudo=False)
    is_understood = fields.Boolean("Nobody can bring these data back, and I know that.")

    def action_confirm(self):
        """Ask the sidecar to erase the data.

        :return: the action that closes the form
        :raise UserError: the box is not ticked; or refused as `odoo.docker.instance.action_erase` is
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self.ensure_one()
        if not self.is_understood:
            raise UserError(self.env._("Tick the box first."))
        self.instance_id._erase()
        return {"type": "ir.actions.act_window_close"}
