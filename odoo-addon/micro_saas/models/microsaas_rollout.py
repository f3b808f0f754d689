"""Rollouts: the update of many instances, a few first; the first failure holds it and asks a person."""

from datetime import timedelta
from math import ceil

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError

from .alerts import close_activities, person_for, raise_activity
from .by_hand import MANAGER, ByHand

ACTIVITY = "micro_saas.mail_activity_type_trouble"
# So long before the first night customers are told of it.
TOLD_BEFORE = timedelta(hours=12)
# One first; then this share of all; then the rest. One update is open at a time: a failure is seen before the next begins, and of the two
# jobs that the sidecar does at a time, one is left to people.
SECOND_WAVE = 0.1


class MicrosaasRollout(ByHand, models.Model):
    """One update of all instances of a plan, of those that were selected, or of all that there are."""

    _name = "microsaas.rollout"
    _description = "Rollout of updates"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    plan_id = fields.Many2one(
        "product.template",
        "Plan",
        domain=[("es_plan_microsaas", "=", True)],
        help="Whose instances are updated; empty: all.",
    )
    instance_ids = fields.Many2many("odoo.docker.instance", string="Selected", readonly=True)
    in_window = fields.Boolean(
        "At night",
        default=True,
        help="In the hours that the plan gives for updates, from the next night that is twelve hours away; customers are told"
        " before and after. Otherwise at once; they are told after it.",
    )
    starts_at = fields.Datetime("Begins at", readonly=True, help="The earliest moment: customers were told of it.")
    company_id = fields.Many2one(
        "res.company", "Company", required=True, readonly=True, default=lambda self: self.env.company
    )
    state = fields.Selection(
        [
            ("draft", "Not started"),
            ("running", "Under way"),
            ("held", "Stopped by a failure"),
            ("done", "Done"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
        tracking=True,
    )
    line_ids = fields.One2many("microsaas.rollout.line", "rollout_id", "Instances", readonly=True)
    total = fields.Integer("In all", compute="_compute_counts")
    updated = fields.Integer("Updated", compute="_compute_counts")
    failed = fields.Integer("Failed", compute="_compute_counts")
    percent = fields.Integer("Progress (%)", compute="_compute_counts", aggregator=None)

    @api.depends("plan_id", "instance_ids")
    @api.depends_context("lang")
    def _compute_name(self):
        for rollout in self:
            selected = rollout.sudo().instance_ids
            if len(selected) > 1:
                rollout.name = self.env._("%s selected instances", len(selected))
            else:
                rollout.name = selected.name or rollout.plan_id.name or self.env._("All plans")

    @api.depends("line_ids.state")
    def _compute_counts(self):
        groups = self.env["microsaas.rollout.line"]._read_group(
            [("rollout_id", "in", self.ids)], ["rollout_id", "state"], ["__count"]
        )
        counts = {}
        for rollout, state, count in groups:
            counts.setdefault(rollout.id, {})[state] = count
        for rollout in self:
            mine = counts.get(rollout.id, {})
            rollout.total = sum(mine.values())
            rollout.updated, rollout.failed = mine.get("done", 0), mine.get("failed", 0)
            ended = rollout.total - mine.get("waiting", 0) - mine.get("running", 0)
            rollout.percent = 100 * ended // rollout.total if rollout.total else 0

    # -- what people press -------------------------------------------------------------------------

    def action_start(self):
        """Update the first instance, and the others once that has ended well; at night: from the first night on.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: there is nothing to update, or all of it waits in other rollouts
        """
        for rollout in self:
            rollout._check_manager()
            rollout._start()
        return True

    def action_continue(self):
        """Go on after a failure; what has failed stays as it is.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self._check_manager()
        for rollout in self.sudo().filtered(lambda one: one.state == "held"):
            rollout._message_log(body=self.env._("%s lets it go on.", self.env.user.name))
            rollout.state = "running"
            close_activities(rollout, ACTIVITY, self.env._("A person lets it go on."))
        self._advance()
        return True

    def action_cancel(self):
        """Begin no further update; those under way come to their end.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self._check_manager()
        for rollout in self.sudo().filtered(lambda one: one.state in ("draft", "running", "held")):
            rollout.line_ids.filtered(lambda line: line.state == "waiting")._leave_out()
            rollout.state = "cancelled"
            close_activities(rollout, ACTIVITY, self.env._("The rollout was cancelled."))
        return True

    def _check_manager(self):
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager updates many instances."))

    @api.model
    def _of_selected(self, instances):
        """Return a new rollout of these instances, at night.

        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: they are of several companies
        """
        self._check_manager()
        instances.check_access("write")
        if len(instances.company_id) > 1:
            raise UserError(self.env._("Select instances of one company."))
        rollout = self.create({})
        rollout.sudo().write({"instance_ids": [Command.set(instances.ids)], "company_id": instances.company_id.id})
        return rollout

    def _start(self):
        self.ensure_one()
        if self.state != "draft":
            raise UserError(self.env._("This rollout has been started before."))
        instances = self._instances()
        if not instances:
            raise UserError(self.env._("There is no instance to update."))
        open_lines = [("instance_id", "in", instances.ids), ("state", "in", ("waiting", "running"))]
        elsewhere = self.env["microsaas.rollout.line"].sudo().search(open_lines)
        instances -= elsewhere.instance_id
        if not instances:
            names = ", ".join(elsewhere.rollout_id.mapped("name"))
            raise UserError(self.env._("All of them wait for an update already: %s.", names))
        second = 1 + ceil(SECOND_WAVE * len(instances))
        self.env["microsaas.rollout.line"].sudo().create(
            [
                {
                    "rollout_id": self.id,
                    "instance_id": instance.id,
                    "wave": 1 if place == 0 else 2 if place < second else 3,
                }
                for place, instance in enumerate(instances)
            ]
        )
        self.sudo().state = "running"
        if self.in_window:
            self.sudo().starts_at = fields.Datetime.now() + TOLD_BEFORE
            self.sudo().line_ids._tell("updatePlanned")
        self._advance()

    def _instances(self):
        """Return what has data and is no staging copy, the newest customers first, who have the least to lose."""
        domain = [
            *(("was_ready", "=", True), ("staging_of_id", "=", False)),
            ("desired_state", "in", ("running", "stopped")),
        ]
        if self.plan_id:
            domain.append(("plan_id", "=", self.plan_id.id))
        if self.instance_ids:
            domain.append(("id", "in", self.instance_ids.ids))
        return self.env["odoo.docker.instance"].search([*domain, ("company_id", "=", self.company_id.id)])

    # -- what goes on by itself --------------------------------------------------------------------

    @api.model
    def _advance(self):
        """Begin the next update where none is under way: one at a time, whatever the number of rollouts and companies."""
        # Two that look at once would begin two; the later one is repeated by Odoo, and then sees what the first has done.
        self.flush_model(["state"])
        self.env.cr.execute("SELECT id FROM microsaas_rollout WHERE state = 'running' ORDER BY id FOR UPDATE")
        running = self.sudo().browse(row[0] for row in self.env.cr.fetchall())
        lines = self.env["microsaas.rollout.line"].sudo()
        for rollout in running:
            while (
                rollout.state == "running"
                and not lines.search_count([("state", "=", "running")], limit=1)
                and rollout._begin_next()
            ):
                pass
            if rollout.state == "running" and not rollout.line_ids.filtered(lambda line: line.state in ("waiting", "running")):
                rollout.state = "done"

    def _begin_next(self):
        """Ask for the next update of this rollout. Return False where none can be begun now."""
        waiting = self.line_ids.filtered(lambda line: line.state == "waiting").sorted(lambda line: (line.wave, line.id))
        wave = waiting.filtered(lambda line: line.wave == waiting[0].wave)
        following = wave.filtered(lambda line: line._may_begin())[:1]
        if following:
            following._ask()
        return bool(following)

    def _update_failed(self, line):
        """Begin no further update, and tell a person."""
        if self.state == "running":
            self.state = "held"
        raise_activity(
            self,
            ACTIVITY,
            person_for(self.env, self.create_uid, is_technical=True),
            self.env._("An update has failed"),
            self.env._(
                "“%(instance)s” was not updated. %(why)s", instance=line.instance_id.name, why=line.message or ""
            ),
        )


class MicrosaasRolloutLine(ByHand, models.Model):
    """One instance of a rollout."""

    _name = "microsaas.rollout.line"
    _description = "Instance of a rollout"
    _order = "wave, id"
    _rec_name = "instance_id"

    rollout_id = fields.Many2one("microsaas.rollout", required=True, readonly=True, ondelete="cascade", index=True)
    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    wave = fields.Integer("Wave", readonly=True, aggregator=None)
    job_id = fields.Many2one("microsaas.job", "Job", readonly=True, ondelete="set null", index="btree_not_null")
    state = fields.Selection(
        [
            ("waiting", "Waiting"),
            ("running", "Under way"),
            ("done", "Updated"),
            ("skipped", "Left out"),
            ("failed", "Failed"),
        ],
        default="waiting",
        required=True,
        readonly=True,
    )
    opens_at = fields.Datetime(
        "Not before", compute="_compute_opens_at", help="When its hours for updates begin, or have begun."
    )
    refusal = fields.Char(readonly=True, help="Why no update was begun.")
    message = fields.Char("How it goes", compute="_compute_message")

    @api.depends("refusal", "job_id.message")
    @api.depends_context("lang")
    def _compute_message(self):
        for line in self:
            line.message = line.refusal or line.job_id.message

    @api.depends(
        *("state", "rollout_id.in_window", "rollout_id.starts_at"),
        *("instance_id.plan_id.microsaas_update_from", "instance_id.plan_id.microsaas_update_until"),
    )
    def _compute_opens_at(self):
        now = fields.Datetime.now()
        for line in self:
            starts_at = line.rollout_id.starts_at
            if line.state == "waiting" and starts_at:
                line.opens_at = max(starts_at, line.instance_id._opening_at_or_after(max(starts_at, now)))
            else:
                line.opens_at = False

    def _may_begin(self):
        """Whether now is the time for this update."""
        now = fields.Datetime.now()
        if not self.rollout_id.in_window:
            return True
        return self.rollout_id.starts_at <= now and self.instance_id._opening_at_or_after(now) <= now

    def _leave_out(self):
        """These are not updated; whoever was told that they would be is told so."""
        self.state = "skipped"
        self.filtered(lambda line: line.rollout_id.in_window)._tell("updatePutOff")

    def _tell(self, kind):
        """Tell the people of these instances by mail, once of each line."""
        for line in self:
            subscription = line.instance_id.subscription_ids[:1]
            if subscription:
                self.env["microsaas.notice"]._tell(subscription, kind, str(line.id))

    def _ask(self):
        """Ask for this instance's update; what cannot be updated at present is left out, with the reason."""
        self.ensure_one()
        rollout = self.rollout_id
        instance = self.instance_id.with_user(rollout.create_uid).with_context(lang=rollout.create_uid.lang)
        try:
            with self.env.cr.savepoint():
                instance.action_update()
                self.write({"state": "running", "job_id": instance.sudo().job_id.id})
        except AccessError as refused:
            # Whoever has started it is no manager any more: a person decides about the rest.
            self.write({"state": "failed", "refusal": str(refused)})
            rollout._update_failed(self)
        except UserError as refused:
            self.refusal = str(refused)
            self._leave_out()


class MicrosaasJob(models.Model):
    _inherit = "microsaas.job"

    def _ended(self):
        super()._ended()
        line = self.env["microsaas.rollout.line"].search([("job_id", "=", self.id), ("state", "=", "running")])
        if not line:
            return
        if self.state == "done":
            line.state = "done"
        elif self.reason == "NothingToUpdate":  # no failure, and shows nothing of the update either
            line._leave_out()
        else:
            line.state = "failed"
            line.filtered(lambda one: one.rollout_id.in_window)._tell("updatePutOff")
            line.rollout_id._update_failed(line)
        self.env["microsaas.rollout"]._advance()
