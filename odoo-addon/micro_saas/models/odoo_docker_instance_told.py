"""What an operator reads of an instance at a terminal: since when it is as it is, why, and the last lines of its log."""

from odoo import fields, models

from .values import seconds_of

# The reasons of steps under way: src/instance/reasons.ts of the sidecar has all of them.
UNDER_WAY = {
    *("AssigningPorts", "FetchingRepositories", "Rendering", "StartingDatabase", "PreparingTemplate"),
    *("CreatingDatabase", "HandingOver", "WaitingForMemory", "Starting", "WaitingForAnswer", "Restarting"),
    *("Stopping", "TakingDown"),
    *("Archiving", "FetchingBackup", "RestoringDatabase", "Neutralising", "SwappingData", "Purging"),
}


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    shown_since = fields.Datetime("In this state since", readonly=True, copy=False, groups="base.group_user")

    def _write_report(self, report):
        before = self._shown()
        super()._write_report(report)
        if self._shown() != before:
            self.shown_since = fields.Datetime.now()

    def _shown(self):
        """Return what tells one state, as people see it, from another: the steps of one start are one."""
        return self.state, self.is_asleep, self.reason in UNDER_WAY

    def _told(self, lines):
        """Return what people were last told of these instances; see `microsaas_told`."""
        return [
            {
                "id": one.id,
                "since_at": seconds_of(one.shown_since),
                "sentence": one.phase_message or "",
                "log": (one.log or "").split("\n")[:lines] if one.log else [],
            }
            for one in self.with_context(lang="en_US")
        ]
