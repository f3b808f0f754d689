"""What the sidecar mended without being asked: a line among an instance's messages, in the language of who sells."""

from datetime import timedelta

from odoo import fields, models

from .drift_sentences import drift_sentence
from .reason_sentences import instance_sentence

# A tenant's program that ends again and again must not fill the messages; the log has every time.
NOTED_EVERY = timedelta(hours=1)


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    drift_noted_at = fields.Datetime("Last mended by itself", readonly=True, copy=False, groups="base.group_user")

    def _apply_report(self, report):
        super()._apply_report(report)
        lines = [line for line in report.get("log") or [] if isinstance(line, dict) and line.get("because")]
        if lines:
            self._note_drift(lines[-1])

    def _note_drift(self, line):
        now = fields.Datetime.now()
        office = self.with_context(lang=self.company_id.partner_id.lang).env
        why = drift_sentence(office, line["because"])
        if not why or (self.drift_noted_at and self.drift_noted_at > now - NOTED_EVERY):
            return
        self.drift_noted_at = now
        self._message_log(body=f"{instance_sentence(office, line['reason'], line['detail'])} {why}")
