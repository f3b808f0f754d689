"""The suspension limit: before many instances are suspended or removed at once, a person must approve it."""

from datetime import timedelta

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError

from .by_hand import ByHand

ACTIVITY = "micro_saas.mail_activity_type_subscription"
WINDOW = timedelta(hours=1)
# So many within WINDOW, or such a share of all, need no approval. The sidecar has the same limits in
# src/billing/suspension-limit.ts: change both.
MOST = 10
LARGEST_SHARE = 0.1
# How long in advance people are asked about many that end on one day.
AHEAD = timedelta(days=7)
# All that have data.
FLEET = [("data_removed_at", "=", False), ("instancia_id.was_ready", "=", True)]


class MicrosaasBrake(ByHand, models.Model):
    """One request for approval of many suspensions or removals: of the subscriptions listed, and no other."""

    _name = "microsaas.brake"
    _description = "Approval of many suspensions or removals"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _rec_name = "create_date"

    taken = fields.Integer("Already suspended or removed", readonly=True)
    fleet = fields.Integer("Instances in all", readonly=True)
    planned_on = fields.Date(
        "Last paid day", readonly=True, help="Many end on this day; empty: they were due when it was asked."
    )
    subscription_ids = fields.Many2many(
        "microsaas.subscription",
        string="Waiting",
        readonly=True,
        help="Those that are suspended or removed once this is approved. Who is renewed meanwhile is no longer listed.",
    )
    waiting = fields.Integer("How many wait", compute="_compute_waiting")
    released_at = fields.Datetime("Approved", readonly=True)

    @api.depends("subscription_ids")
    def _compute_waiting(self):
        for request in self:
            request.waiting = len(request.subscription_ids)

    def action_release(self):
        """Let those that are listed be suspended or removed.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        """
        if not self.env.user.has_group("micro_saas.group_microsaas_manager"):
            raise AccessError(self.env._("Only a MicroSaaS manager approves this."))
        for request in self.sudo():
            request.released_at = fields.Datetime.now()
            request.activity_unlink([ACTIVITY])
            request._message_log(body=self.env._("%s instances may be suspended or removed.", request.waiting))
            request.subscription_ids.instancia_id._quiet()._make_due()
        return True

    @api.model
    def _forget(self, subscriptions):
        """Take subscriptions off every list: they are suspended or removed, or paid until another day."""
        requests = self.search([("subscription_ids", "in", subscriptions.ids)])
        requests.write({"subscription_ids": [Command.unlink(subscription_id) for subscription_id in subscriptions.ids]})

    def _ask(self, note):
        """Ask people, unless they are being asked already."""
        if not self.activity_ids:
            self.activity_schedule(
                ACTIVITY,
                summary=self.env._("Many instances would be suspended or removed"),
                note=note,
                user_id=self.env.ref("base.user_admin").id,
            )

    @api.model
    def _cron_ask_ahead(self):
        """Ask once about many subscriptions that end on one day, a week before."""
        subscriptions = self.env["microsaas.subscription"].sudo().with_context(active_test=False)
        today = fields.Date.today()
        fleet = subscriptions.search_count(FLEET)
        ending = subscriptions.search(
            [
                *FLEET,
                ("suspended_at", "=", False),
                ("state", "!=", "removed"),
                ("fecha_fin", ">=", today),
                ("fecha_fin", "<=", today + AHEAD),
            ]
        ).filtered(lambda sub: not sub._goes_on_by_itself())
        for day, together in ending.grouped("fecha_fin").items():
            is_many = len(together) > MOST and len(together) > LARGEST_SHARE * fleet
            if is_many and not self.search_count([("planned_on", "=", day)]):
                values = {"planned_on": day, "fleet": fleet, "subscription_ids": [Command.set(together.ids)]}
                self.create(values)._ask(
                    self.env._(
                        "%(count)s of %(fleet)s subscriptions end on %(day)s. Those that are not renewed by then"
                        " are suspended when their days of grace are over. If that is right, open the suspension limit"
                        " and press Approve: nothing is held up then.",
                        count=len(together),
                        fleet=fleet,
                        day=day,
                    )
                )

    # -- what the sidecar asks -----------------------------------------------------------------

    @api.model
    def _recent_suspensions(self, instance_id):
        """Return what decides whether one more instance may be suspended or removed; see `microsaas_recent_suspensions`."""
        since = fields.Datetime.now() - WINDOW
        subscriptions = self.env["microsaas.subscription"].with_context(active_test=False)
        recent = ["|", ("suspended_at", ">=", since), ("data_removed_at", ">=", since)]
        approved = [
            ("released_at", "!=", False),
            ("subscription_ids.instancia_id", "=", instance_id),
        ]
        return {
            "taken": subscriptions.search_count(recent),
            "fleet": subscriptions.search_count(FLEET),
            "is_approved": bool(self.with_context(active_test=False).search_count(approved)),
        }

    @api.model
    def _request_approval(self, instance_id, taken, fleet):
        """Ask people about this instance and all others that are due; see `microsaas_request_approval`."""
        subscriptions = self.env["microsaas.subscription"].with_context(active_test=False)
        waiting = subscriptions.search([("instancia_id", "=", instance_id)]) | self._due_to_end(subscriptions)
        request = self.search([("released_at", "=", False), ("planned_on", "=", False)], limit=1)
        request = request or self.create({"taken": taken, "fleet": fleet})
        request.subscription_ids |= waiting
        request._ask(
            self.env._(
                "%(taken)s of %(fleet)s instances were suspended or removed within an hour, and more are due. The sidecar"
                " waits. Check the clock and the payments; if it is right, open the suspension limit and press Approve:"
                " those that it lists are suspended or removed, and no other.",
                taken=taken,
                fleet=fleet,
            )
        )

    @api.model
    def _due_to_end(self, subscriptions):
        """Return those that are due to be suspended, or whose data are due to be removed, roughly.

        The sidecar decides. This is for people, who shall see at once for how many they are asked.
        """
        over = subscriptions.search(
            [*FLEET, ("suspended_at", "=", False), ("fecha_fin", "<", fields.Date.today())]
        ).filtered(lambda sub: not sub._goes_on_by_itself() and sub.state != "removed")
        due = over.filtered(lambda sub: sub.dias_restantes < -sub._days_of_grace())
        return due | subscriptions.search([*FLEET, ("archived_at", "!=", False)])
