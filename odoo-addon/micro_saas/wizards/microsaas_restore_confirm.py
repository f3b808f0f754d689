from odoo import api, fields, models
from odoo.exceptions import UserError


class MicrosaasRestoreConfirm(models.TransientModel):
    """Asks whether a backup is to take the place of an instance's data."""

    _name = "microsaas.restore.confirm"
    _description = "Restore a backup"

    backup_id = fields.Many2one("microsaas.backup", "Backup", required=True, readonly=True, ondelete="cascade")
    # Not with sudo: whoever names another company's backup reads nothing of it.
    instancia_id = fields.Many2one(related="backup_id.instancia_id", string="Instance", related_sudo=False)
    backup_date = fields.Datetime("Backup made at", related="backup_id.date", related_sudo=False)
    backup_proof = fields.Selection(related="backup_id.proof", string="Proof", related_sudo=False)
    replaces = fields.Boolean("Replaces data", compute="_compute_replaces")
    is_understood = fields.Boolean("All that was done since then leaves this Odoo, and I know that.")

    @api.depends("backup_id")
    def _compute_replaces(self):
        for wizard in self:
            wizard.replaces = not wizard.instancia_id._is_without_data()

    def action_confirm(self):
        """Ask the sidecar to restore the backup.

        :return: the action that closes the form
        :raise UserError: the box is not ticked; or refused as `microsaas.backup.action_restore` is
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self.ensure_one()
        if not self.is_understood:
            raise UserError(self.env._("Tick the box first."))
        self.backup_id._restore()
        return {"type": "ir.actions.act_window_close"}
