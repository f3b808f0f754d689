"""What people press. A button changes the wish and nudges; it never waits for Docker."""

import time

from odoo import models
from odoo.exceptions import UserError


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def start_instance(self):
        """Wish these instances running; try again where the last attempt failed.

        :return: True
        :raise UserError: removed, suspended, no template, or not paid for
        """
        for instance in self:
            instance._check_not_removed()
            instance._check_not_suspended()
            wish = {"desired_state": "running"}
            if not instance.was_ready:
                if instance.factura_id:
                    instance.factura_id.sudo()._check_can_provision()
                wish["requested_at"] = time.time()
            if not instance.template_id:
                template = instance.template_id._default_template()
                if not template:
                    raise UserError(
                        self.env._("No template is known yet. Connect the sidecar, then try again.")
                    )
                wish["template_id"] = template.id
            instance._wish(wish)
        return True

    def stop_instance(self):
        """Wish these instances stopped; their data stay.

        :return: True
        :raise UserError: removed, or never started
        """
        self._check_not_removed()
        self._check_started()
        return self._wish({"desired_state": "stopped"})

    def restart_instance(self):
        """Wish these instances started afresh.

        :return: True
        :raise UserError: removed, suspended, or never started
        """
        self._check_not_removed()
        self._check_not_suspended()
        self._check_started()
        for instance in self:
            count = instance.restart_count + 1
            instance._wish({"restart_count": count, "desired_state": "running"})
        return True

    def action_remove(self):
        """Wish these instances gone: container and ports now, data after retention.

        :return: True
        """
        return self._wish({"desired_state": "removed"})

    def action_restaurar(self):
        """Bring removed instances back as long as their data exist; they start unless they never ran.

        :return: True
        :raise UserError: not removed, or the data are gone
        """
        for instance in self:
            if instance.desired_state != "removed":
                raise UserError(self.env._("“%s” was not removed.", instance.name))
            instance._check_has_data()
            wish = "running" if instance.was_ready else "draft"
            instance._wish({"active": True, "desired_state": wish, **instance._ports_before()})
        return True

    def open_instance_url(self):
        """Open the customer's Odoo in a new tab.

        :return: an act_url
        :raise UserError: it has no address yet
        """
        self.ensure_one()
        if not self.instance_url:
            raise UserError(self.env._("“%s” has no address yet: start it first.", self.name))
        return {"type": "ir.actions.act_url", "url": self.instance_url, "target": "new"}

    def _check_not_removed(self):
        for instance in self:
            if "removed" in (instance.state, instance.desired_state) or not instance.active:
                raise UserError(
                    self.env._("“%s” was removed. Create another instance.", instance.name)
                )

    def _check_started(self):
        for instance in self:
            if instance.desired_state == "draft":
                raise UserError(self.env._("“%s” has never been started.", instance.name))

    def _check_has_data(self):
        for instance in self:
            gone = instance.sudo().subscription_ids.filtered("data_removed_at")[:1]
            if gone:
                raise UserError(
                    self.env._(
                        "The data of “%(instance)s” were removed. The operator can bring them back on the"
                        " sidecar's host: microsaas restore %(archive)s",
                        instance=instance.name,
                        archive=gone.archive or "",
                    )
                )

    def _check_not_suspended(self):
        for instance in self:
            instance._check_has_data()
            invoice = instance._suspension_invoice()
            if invoice:
                raise UserError(
                    self.env._(
                        "“%(instance)s” is suspended: its subscription has expired."
                        " It starts again once invoice %(invoice)s is paid.",
                        instance=instance.name,
                        invoice=invoice.display_name,
                    )
                )
            suspended = instance._suspended_subscription()
            if suspended:
                cause = (
                    self.env._("its payment was given back")
                    if suspended.reason == "Refunded"
                    else self.env._("its subscription has expired")
                )
                raise UserError(
                    self.env._(
                        "“%(instance)s” is suspended: %(cause)s. Renew subscription %(subscription)s; it starts again"
                        " once that invoice is paid.",
                        instance=instance.name,
                        cause=cause,
                        subscription=suspended.name,
                    )
                )
            if any(sub.state == "cancelled" and sub.suspended_at for sub in instance.sudo().subscription_ids):
                raise UserError(
                    self.env._(
                        "The subscription of “%s” is cancelled and its paid time is over.", instance.name
                    )
                )

    def _suspension_invoice(self):
        """Return the posted invoice to pay for this instance to start again; empty if there is none."""
        self.ensure_one()
        return self._suspended_subscription()._invoice_to_pay()

    def _suspended_subscription(self):
        return self.sudo().subscription_ids.filtered(lambda sub: sub.state == "expired")[:1]
