"""The brake: before many instances go down at once, a person must say that it is right."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError

from .sidecar import check_sidecar

ACTIVITY = "micro_saas.mail_activity_type_subscription"
WINDOW = timedelta(hours=1)


class MicrosaasBrake(models.Model):
    """One time that the sidecar stopped and asked."""

    _name = "microsaas.brake"
    _description = "Brake on suspensions and removals"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "create_date"

    taken = fields.Integer("Already down", readonly=True)
    fleet = fields.Integer("Instances in all", readonly=True)
    released_at = fields.Datetime("Released", readonly=True)

    def action_release(self):
        """Let the sidecar go on for an hour.

        :return: True
        """
        if not self.env.user.has_group("micro_saas.group_microsaas_manager"):
            raise AccessError(self.env._("Only a MicroSaaS manager releases the brake."))
        brakes = self.sudo()
        brakes.released_at = fields.Datetime.now()
        brakes.activity_unlink([ACTIVITY])
        self.env["odoo.docker.instance"]._review_all()
        return True


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    @api.model
    def microsaas_descents(self):
        """Return how many instances went down by themselves within the last hour.

        :return: dict of `taken`, `fleet` (all that have data) and `is_released`
        """
        check_sidecar(self.env)
        since = fields.Datetime.now() - WINDOW
        subscriptions = self.sudo().with_context(active_test=False)
        recent = ["|", ("suspended_at", ">=", since), ("data_removed_at", ">=", since)]
        released = [("released_at", ">=", since)]
        return {
            "taken": subscriptions.search_count(recent),
            "fleet": subscriptions.search_count(
                [("data_removed_at", "=", False), ("instancia_id.was_ready", "=", True)]
            ),
            "is_released": bool(self.env["microsaas.brake"].sudo().search_count(released)),
        }

    @api.model
    def microsaas_ask_to_go_on(self, taken, fleet):
        """Ask people, once, whether so many instances may go down.

        :return: True
        """
        check_sidecar(self.env)
        brakes = self.env["microsaas.brake"].sudo()
        since = fields.Datetime.now() - timedelta(days=1)
        if brakes.search_count([("released_at", "=", False), ("create_date", ">=", since)]):
            return True
        brake = brakes.create({"taken": taken, "fleet": fleet})
        brake.activity_schedule(
            ACTIVITY,
            summary=self.env._("Many instances would be suspended or removed"),
            note=self.env._(
                "%(taken)s of %(fleet)s instances went down within an hour, and more are due. The sidecar waits."
                " Check the clock and the payments; if it is right, press Go on.",
                taken=taken,
                fleet=fleet,
            ),
            user_id=self.env.ref("base.user_admin").id,
        )
        return True
