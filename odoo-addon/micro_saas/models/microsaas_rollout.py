"""Rollouts: the update of many instances, a few first; the first failure holds it and asks a person."""

from math import ceil

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .alerts import close_activities, person_for, raise_activity
from .by_hand import MANAGER, ByHand

ACTIVITY = "micro_saas.mail_activity_type_trouble"
# One first; then this share of all; then the rest. One update is open at a time: a failure is seen before the next begins, and of the two
# jobs that the sidecar does at a time, one is left to people.
SECOND_WAVE = 0.1


class MicrosaasRollout(ByHand, models.Model):
    """One update of all instances of a plan, or of all that there are."""

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

    @api.depends("plan_id")
    @api.depends_context("lang")
    def _compute_name(self):
        for rollout in self:
            rollout.name = rollout.plan_id.name or self.env._("All plans")

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
        """Update the first instance, and the others once that has ended well.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        :raise UserError: there is nothing to update, or another rollout is not over
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
            rollout._advance()
        return True

    def action_cancel(self):
        """Begin no further update; those under way come to their end.

        :return: True
        :raise AccessError: the user is not a MicroSaaS manager
        """
        self._check_manager()
        for rollout in self.sudo().filtered(lambda one: one.state in ("draft", "running", "held")):
            rollout.line_ids.filtered(lambda line: line.state == "waiting").state = "skipped"
            rollout.state = "cancelled"
            close_activities(rollout, ACTIVITY, self.env._("The rollout was cancelled."))
        return True

    def _check_manager(self):
        if not self.env.user.has_group(MANAGER):
            raise AccessError(self.env._("Only a MicroSaaS manager updates many instances."))

    def _start(self):
        self.ensure_one()
        if self.state != "draft":
            raise UserError(self.env._("This rollout has been started before."))
        other = self.search([("state", "in", ("running", "held")), ("company_id", "=", self.company_id.id)], limit=1)
        if other:
            raise UserError(self.env._("Another rollout is not over: %s. One goes on at a time.", other.name))
        instances = self._instances()
        if not instances:
            raise UserError(self.env._("There is no instance to update."))
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
        self.sudo()._advance()

    def _instances(self):
        """Return all that have data but staging copies, the newest customers first, who have the least to lose."""
        domain = [
            *(("was_ready", "=", True), ("staging_of_id", "=", False)),
            ("desired_state", "in", ("running", "stopped")),
        ]
        if self.plan_id:
            domain.append(("plan_id", "=", self.plan_id.id))
        return self.env["odoo.docker.instance"].search([*domain, ("company_id", "=", self.company_id.id)])

    # -- what goes on by itself --------------------------------------------------------------------

    def _advance(self):
        """Ask for the next update, unless one is under way; what is refused is left out. It is over once none is left."""
        for rollout in self.filtered(lambda one: one.state == "running"):
            lines = rollout.line_ids.sorted(lambda line: (line.wave, line.id))
            while "running" not in lines.mapped("state"):
                following = lines.filtered(lambda line: line.state == "waiting")[:1]
                if not following:
                    rollout.state = "done"
                    break
                following._ask()

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
    refusal = fields.Char(readonly=True, help="Why no update was begun.")
    message = fields.Char("How it goes", compute="_compute_message")

    @api.depends("refusal", "job_id.message")
    @api.depends_context("lang")
    def _compute_message(self):
        for line in self:
            line.message = line.refusal or line.job_id.message

    def _ask(self):
        """Ask for this instance's update; what cannot be updated at present is left out, with the reason."""
        self.ensure_one()
        rollout = self.rollout_id
        instance = self.instance_id.with_user(rollout.create_uid).with_context(lang=rollout.create_uid.lang)
        try:
            with self.env.cr.savepoint():
                instance.action_update()
                self.write({"state": "running", "job_id": instance.sudo().job_id.id})
        except UserError as refused:
            self.write({"state": "skipped", "refusal": str(refused)})


class MicrosaasJob(models.Model):
    _inherit = "microsaas.job"

    def _ended(self):
        super()._ended()
        line = self.env["microsaas.rollout.line"].search([("job_id", "=", self.id), ("state", "=", "running")])
        if not line:
            return
        # What is newest already is no failure, and shows nothing of the update either.
        line.state = "skipped" if self.reason == "NothingToUpdate" else self.state
        if line.state == "failed":
            line.rollout_id._update_failed(line)
        line.rollout_id._advance()
