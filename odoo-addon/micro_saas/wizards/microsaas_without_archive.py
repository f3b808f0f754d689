from odoo import fields, models
from odoo.exceptions import UserError


class MicrosaasWithoutArchive(models.TransientModel):
    """Asks whether an instance's data may go though no last backup of them can be made."""

    _name = "microsaas.without.archive"
    _description = "Remove without a last backup"

    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade"
    )
    message = fields.Char("What stands in the way", related="instance_id.phase_message")
    is_understood = fields.Boolean("Nobody can bring these data back, and I know that.")

    def action_confirm(self):
        """Let the data go without a last backup.

        :return: the action that closes the form
        :raise UserError: the box is not ticked, or nothing stands in the way of a last backup
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self.ensure_one()
        if not self.is_understood:
            raise UserError(self.env._("Tick the box first."))
        self.instance_id._end_without_archive()
        return {"type": "ir.actions.act_window_close"}
