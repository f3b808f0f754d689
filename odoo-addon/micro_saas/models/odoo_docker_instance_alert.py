"""An instance in error: who is told, once, and that it is over; and what the chatter says of what happened by itself."""

from datetime import timedelta

from odoo import api, fields, models

from .alerts import close_activities, person_for, raise_activity

ACTIVITY = "micro_saas.mail_activity_type_trouble"
# What is tried again by itself is often over by then: a server that restarts, a repository that is away.
LASTING = timedelta(minutes=2)
# A look that far ahead says that trying again cannot help.
FAR_AHEAD = timedelta(minutes=10)


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    error_since = fields.Datetime(
        "In error since", readonly=True, copy=False, index="btree_not_null", groups="base.group_user"
    )
    alerted_at = fields.Datetime("People were told", readonly=True, copy=False, groups="base.group_user")
    sidecar_silence = fields.Char(
        "Sidecar", compute="_compute_sidecar_silence", compute_sudo=True, groups="base.group_user"
    )

    def _compute_sidecar_silence(self):
        self.sidecar_silence = self.env["microsaas.sidecar"]._silence_sentence()

    def _apply_report(self, report):
        before = {name: self[name] for name in ("state", "instance_url")}
        super()._apply_report(report)
        self._log_what_changed(before)
        if self.state != "error":
            self._end_error()
            return
        if not self.error_since:
            self.error_since = fields.Datetime.now()
        if self._is_stuck():
            self._alert_error()

    def _is_stuck(self):
        """Tell whether only a person can help: the sidecar does not try again soon."""
        return not self.next_review or self.next_review > fields.Datetime.now() + FAR_AHEAD

    def _alert_error(self):
        """Give the right person one activity for this outage, unless somebody was given one."""
        for instance in self.filtered(lambda one: not one.alerted_at):
            office = instance.with_context(lang=instance.company_id.partner_id.lang)
            told = raise_activity(
                office,
                ACTIVITY,
                person_for(self.env, instance.factura_id.invoice_user_id, is_technical=True),
                office.env._("The instance is in error"),
                office.phase_message or "",
            )
            if told:
                instance.alerted_at = fields.Datetime.now()

    def _end_error(self):
        for instance in self.filtered("error_since"):
            instance.write({"error_since": False, "alerted_at": False})
            close_activities(instance, ACTIVITY, self.env._("It is over: the instance is in order again."))

    @api.model
    def _alert_lasting_errors(self):
        since = fields.Datetime.now() - LASTING
        everything = self._quiet().with_context(active_test=False)
        everything.search([("error_since", "<=", since), ("alerted_at", "=", False)])._alert_error()

    def _log_what_changed(self, before):
        """Leave a line in the chatter of what the sidecar has done, which nobody pressed."""
        office = self.with_context(lang=self.company_id.partner_id.lang)
        _, lines = office.env._, []
        if self.state != before["state"]:
            names = dict(self._fields["state"]._description_selection(office.env))
            lines.append(
                _(
                    "%(before)s → %(after)s. %(why)s",
                    before=names.get(before["state"], ""),
                    after=names[self.state],
                    why=office.phase_message or "",
                )
            )
        if before["instance_url"] and self.instance_url != before["instance_url"]:
            lines.append(
                _(
                    "The address has changed from %(before)s to %(after)s.",
                    before=before["instance_url"],
                    after=self.instance_url or "",
                )
            )
        for line in lines:
            self._message_log(body=line)
