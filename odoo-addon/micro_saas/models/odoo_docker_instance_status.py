"""How an instance is shown while the sidecar works on it: to people in the form, to the customer in the portal."""

from odoo import api, fields, models
from odoo.tools import format_date

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
    # A removed one is shown for as long as it has data or is paid for: who paid is not told that there was nothing.
    is_shown_to_customer = fields.Boolean(
        "Shown to the customer", compute="_compute_is_shown_to_customer", compute_sudo=True
    )

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
            return self._status("removed", _("It was removed"), self._removed_text())
        if self._suspended_subscription():
            text = _("Its subscription has expired. It starts again as soon as you renew it.")
            return self._status("suspended", _("Your Odoo is suspended"), text)
        if self.state == "error":
            return self._status("error", _("Something went wrong"), self._trouble_text(self.alerted_at), poll=5)
        if self.desired_state == "stopped":
            text = _("Your data are kept.")
            return self._status("stopped", _("Your Odoo is stopped"), text, poll=self.microsaas_busy and 1)
        if self.microsaas_busy or self.state != "running":
            title = _("Your Odoo is starting") if self.was_ready else _("Your Odoo is being prepared")
            percent = PERCENT.get(self.reason, 5)
            text = self.phase_message if self.reason in PERCENT else _("It is about to begin.")
            if self.env["microsaas.sidecar"]._people_know_of_silence():
                text = _("It takes longer than usual. We have been told and look after it. You need not do anything.")
            return self._status("preparing", title, text, percent=percent, poll=1)
        return self._status("running", _("Your Odoo is ready"), self.instance_url or "")

    def _trouble_text(self, somebody_knows):
        """Return what the customer reads of a trouble: that somebody was told, only once somebody was."""
        _ = self.env._
        if somebody_knows:
            return _("We have been told and look after it. You need not do anything.")
        return _("It is tried again by itself. If this lasts, we are told and look after it.")

    def _removed_text(self):
        """Return until when the data of a removed instance are kept, and what the customer can do."""
        _, subscription = self.env._, self.sudo().subscription_ids[:1]
        if subscription.data_removed_at:
            return _(
                "Its data were removed on %s. An archive is kept for a while: write to us if you need them.",
                format_date(self.env, subscription.data_removed_at),
            )
        if subscription.hidden_at:
            return _(
                "Its data are kept until %s. Write to us before then to have it back.",
                format_date(self.env, subscription._data_kept_until()),
            )
        return _("Its data are kept for now. Write to us to have it back.")

    @api.depends("active", "subscription_ids.data_removed_at", "subscription_ids.fecha_fin")
    def _compute_is_shown_to_customer(self):
        today = fields.Date.today()
        for instance in self:
            subscription = instance.subscription_ids[:1]
            is_paid = subscription.fecha_fin and subscription.fecha_fin >= today
            instance.is_shown_to_customer = instance.active or not subscription.data_removed_at or is_paid

    def _may_set_password(self, user):
        """Tell whether a user of the portal may choose the administrator's password: that person, or the company's own login.

        A colleague with an account of their own in the shop is not the administrator of the company's Odoo, and neither
        is the contact that its invoices go to.
        """
        people = self._administrator() | self.partner_id.commercial_partner_id
        return self.state == "running" and user.partner_id in people

    def _status(self, code, title, text, percent=0, poll=0):
        return {"code": code, "title": title, "text": text, "percent": percent, "poll": int(poll)}

    def _portal_invoices(self):
        """Return the posted invoices of this instance, the first sale and its renewals, newest first."""
        moves = self.factura_id | self.subscription_ids.renewal_line_ids.move_id
        return moves.filtered(lambda move: move.state == "posted").sorted("id", reverse=True)
