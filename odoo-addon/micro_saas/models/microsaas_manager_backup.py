"""The backups of this database itself, with its files and the sidecar's configuration: what the sidecar says of them."""

from datetime import datetime, timezone

from markupsafe import escape

from odoo import api, fields, models
from odoo.tools import format_datetime

from .alerts import close_activities, person_for, raise_activity
from .reason_sentences import instance_sentence
from .values import write_changed

ACTIVITY = "micro_saas.mail_activity_type_backup"


class MicrosaasSidecar(models.Model):
    _inherit = "microsaas.sidecar"

    manager_backup_since = fields.Datetime("Backs this Odoo up since", readonly=True)
    manager_backup_at = fields.Datetime("Last backup of this Odoo", readonly=True)
    manager_proof_at = fields.Datetime(
        "Last proven backup of this Odoo", readonly=True, help="When the newest backup was made that was restored for proof."
    )
    manager_backup_reason = fields.Char(readonly=True, string="Why there is no newer one")
    manager_backup_detail = fields.Char(readonly=True, string="What that is about")
    manager_backup_message = fields.Char("What went wrong", compute="_compute_manager_backup_message")
    manager_backup_alerted_at = fields.Datetime("Told people of the missing backup", readonly=True)

    @api.depends("manager_backup_reason", "manager_backup_detail")
    @api.depends_context("lang")
    def _compute_manager_backup_message(self):
        for sidecar in self:
            sidecar.manager_backup_message = instance_sentence(
                self.env, sidecar.manager_backup_reason, sidecar.manager_backup_detail
            )

    @api.model
    def _report_manager_backups(self, last_backup, last_proof, failure):
        """Note what backups of this database there are; see `microsaas_report_manager_backups`."""
        sidecar = self._one()
        values = {
            "manager_backup_since": sidecar.manager_backup_since or fields.Datetime.now(),
            "manager_backup_at": _moment(last_backup),
            "manager_proof_at": _moment(last_proof),
            "manager_backup_reason": failure and failure["reason"],
            "manager_backup_detail": failure and failure["detail"] or False,
        }
        write_changed(sidecar, values)

    def _manager_backup_why(self, within):
        """Return why no backup of this database is proven, as a sentence in the language of the context.

        :param within: the age by which there is to be one
        """
        if self.manager_backup_message:
            return self.manager_backup_message
        if not self.manager_backup_at:
            return self.env._("There is no backup of it.")
        when = format_datetime(self.env, self.manager_backup_at, tz=self.env.company._microsaas_tz(), dt_format="short")
        if self.manager_backup_at < fields.Datetime.now() - within:
            return self.env._("Its last backup is of %s.", when)
        return self.env._("Its backup of %s was not restored for proof.", when)

    def _alarm_manager_backup(self, is_late, within):
        """Give a person one activity while no backup of this database is proven, also when they close it."""
        if not is_late:
            if self.manager_backup_alerted_at:
                self.manager_backup_alerted_at = False
                close_activities(
                    self, ACTIVITY, self.env._("It is over: a proven backup is there, or none is needed any more.")
                )
            return
        if self.manager_backup_alerted_at:
            return
        office = self.with_context(lang=self.env.company.partner_id.lang)
        told = raise_activity(
            self,
            ACTIVITY,
            person_for(self.env, is_technical=True),
            office.env._("No proven backup of this Odoo"),
            escape(office._manager_backup_why(within)),
        )
        if told:
            self.manager_backup_alerted_at = fields.Datetime.now()


def _moment(seconds):
    """Return a moment as Odoo stores it, from seconds since 1970; 0: False."""
    return bool(seconds) and datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None, microsecond=0)
