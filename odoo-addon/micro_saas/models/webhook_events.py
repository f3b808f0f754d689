"""Which events of an instance's life webhooks are told of; docs/automation.md lists them."""

from odoo import api, models


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    @api.model_create_multi
    def create(self, vals_list):
        instances = super().create(vals_list)
        for instance in instances:
            instance._tell_webhooks("instance.created")
        return instances

    def _apply_report(self, report):
        was_ready, had_failed, state = self.was_ready, self.error_since, self.state
        super()._apply_report(report)
        if self.was_ready and not was_ready:
            self._tell_webhooks("instance.ready")
        if self.error_since and not had_failed:
            self._tell_webhooks("instance.failed")
        if self.state == "removed" and state != "removed":
            self._tell_webhooks("instance.removed")

    def _tell_webhooks(self, kind):
        """Tell the company's webhooks of an event. Staging copies are nobody's business."""
        if self.sudo().staging_of_id:
            return
        self.env["microsaas.webhook"]._tell(self.company_id, kind, {"instance": self.sudo()._as_event_data()})

    def _as_event_data(self):
        """Return what a message says of an instance: no secret, and of people no more than their name."""
        plan, move, subscription = self.plan_id, self.factura_id, self.subscription_ids[:1]
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "desired_state": self.desired_state,
            "reason": self.reason or "",
            "url": self.instance_url or "",
            "plan": {"id": plan.id, "name": plan.with_context(lang="en_US").name} if plan else None,
            "customer": {"id": self.partner_id.id, "name": self.partner_id.name} if self.partner_id else None,
            "invoice": {"id": move.id, "name": move.name} if move else None,
            "paid_until": str(subscription.fecha_fin) if subscription.fecha_fin else None,
        }


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _apply_change(self, change):
        was_suspended = bool(self.suspended_at)
        super()._apply_change(change)
        if bool(self.suspended_at) != was_suspended:
            kind = "instance.resumed" if was_suspended else "instance.suspended"
            self.instancia_id._tell_webhooks(kind)
