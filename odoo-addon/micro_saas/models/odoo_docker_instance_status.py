"""How an instance is shown while the sidecar works on it: to people in the form, to the customer in the portal."""

from odoo import api, fields, models

# How far the way to a running instance has come, in percent, when the sidecar begins a step.
PERCENT = {
    "AssigningPorts": 10,
    "FetchingRepositories": 20,
    "Rendering": 30,
    "StartingDatabase": 35,
    "PreparingTemplate": 40,
    "CreatingDatabase": 50,
    "Starting": 70,
    "WaitingForAnswer": 85,
    "UpdatingApps": 95,
}


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    microsaas_busy = fields.Boolean("Being worked on", compute="_compute_microsaas_busy")

    @api.depends("desired_state", "next_review")
    def _compute_microsaas_busy(self):
        now = fields.Datetime.now()
        for instance in self:
            due = instance.next_review and instance.next_review <= now
            # Settled, an instance has no review to come, or one in the future.
            instance.microsaas_busy = due and instance.desired_state != "draft"

    def _portal_status(self):
        """Return what the customer is told: dict of `code`, `title`, `text`, `percent` and `poll`.

        `percent` is 0 unless something goes on; `poll` is in seconds, 0 where nothing will change by itself.
        Causes of errors are for the operator, so they are not in it.
        """
        self.ensure_one()
        _ = self.env._
        if self.desired_state == "draft":
            return self._status("waiting", _("It will be prepared soon"), _("We start it by hand and tell you."))
        if self.desired_state == "removed":
            return self._status("stopped", _("It was removed"), _("Write to us if you need its data."))
        if self._suspended_subscription():
            text = _("Its subscription has expired. It starts again as soon as you renew it.")
            return self._status("suspended", _("Your Odoo is suspended"), text)
        if self.state == "error":
            text = _("We have been told and look after it. You need not do anything.")
            return self._status("error", _("Something went wrong"), text, poll=5)
        if self.desired_state == "stopped":
            text = _("Your data are kept.")
            return self._status("stopped", _("Your Odoo is stopped"), text, poll=self.microsaas_busy and 1)
        if self.microsaas_busy or self.state != "running":
            title = _("Your Odoo is starting") if self.was_ready else _("Your Odoo is being prepared")
            percent = PERCENT.get(self.reason, 5)
            text = self.phase_message if self.reason in PERCENT else _("It is about to begin.")
            return self._status("preparing", title, text, percent=percent, poll=1)
        return self._status("running", _("Your Odoo is ready"), self.instance_url or "")

    def _status(self, code, title, text, percent=0, poll=0):
        return {"code": code, "title": title, "text": text, "percent": percent, "poll": int(poll)}

    def _portal_invoices(self):
        """Return the posted invoices of this instance, the first sale and its renewals, newest first."""
        moves = self.factura_id | self.subscription_ids.renewal_line_ids.move_id
        return moves.filtered(lambda move: move.state == "posted").sorted("id", reverse=True)
