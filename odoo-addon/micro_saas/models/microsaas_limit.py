"""What instances use too much of, beside what their plans give: who is told, and until when they have time."""

from datetime import timedelta

from markupsafe import escape

from odoo import api, fields, models
from odoo.release import version_info
from odoo.tools import format_date

from .alerts import close_activities, person_for, raise_activity
from .by_hand import ByHand
from .odoo_docker_instance_use import NEAR
from .values import write_changed

ACTIVITY = "micro_saas.mail_activity_type_limit"
UNIQUE = "UNIQUE(instance_id, resource)"
UNIQUE_MESSAGE = "An instance has each limit once."
# From NEAR on the customer is told, and below this share it has ended: in between nothing is said twice.
WELL_BELOW = 0.75
# Of fewer users, four fifths are all of them: who pays for three and has three is told of nothing.
FEWEST_NEAR = 5
# So long the customer has to make room or to change plan, before a person of the office is to act.
TIME_TO_REACT = timedelta(days=14)
# Who goes to and fro across a limit is told of it again only after so long.
TOLD_AGAIN_AFTER = timedelta(days=7)
MAIL_OF = {"near": "limitNear", "over": "limitOver"}
RESOURCES = {"disk": ("disk_mb", "microsaas_disk_mb"), "users": ("user_count", "microsaas_users")}


class MicrosaasLimit(ByHand, models.Model):
    """One limit of a plan that an instance is near to or over; it is there for as long as that is true.

    Nothing is switched off: the customer is told and has time, the office is told and decides.
    """

    _name = "microsaas.limit"
    _description = "Limit of a plan"
    _order = "over_since, id"
    _rec_name = "resource"

    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    resource = fields.Selection([("disk", "Disk"), ("users", "Users")], "What", required=True, readonly=True)
    used = fields.Integer(readonly=True, aggregator=None)
    allowed = fields.Integer("The plan gives", readonly=True, aggregator=None)
    since = fields.Datetime(required=True, readonly=True, help="Since when it is near to it.")
    over_since = fields.Datetime("Over it since", readonly=True, index="btree_not_null")
    told = fields.Selection([("near", "Near"), ("over", "Over")], "People were told", readonly=True)
    message = fields.Char("What is the matter", compute="_compute_message", compute_sudo=True)

    if version_info[0] >= 19:
        _limit_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("limit_uniq", UNIQUE, UNIQUE_MESSAGE)]

    # -- what people read --------------------------------------------------------------------------

    @api.depends("used", "allowed", "over_since")
    @api.depends_context("lang")
    def _compute_message(self):
        for limit in self:
            said = limit._sentence()
            if limit.over_since:
                until = format_date(self.env, limit._react_until())
                said = " ".join((said, self.env._("The customer was given time until %s.", until)))
            limit.message = said

    def _sentence(self):
        """Return how much is used of what, in the language of the context."""
        self.ensure_one()
        if self.resource == "users":
            return self.env._("%(used)s users of the %(allowed)s of its plan.", used=self.used, allowed=self.allowed)
        in_words = self.instance_id._format_mb
        return self.env._(
            "%(used)s of the %(allowed)s of disk of its plan.", used=in_words(self.used), allowed=in_words(self.allowed)
        )

    def _react_until(self):
        """Return the day until which the customer of an instance that is over a limit has time."""
        zone = self.with_context(tz=self.instance_id.company_id._microsaas_tz())
        return fields.Date.context_today(zone, self.over_since + TIME_TO_REACT)

    # -- beginning and end -------------------------------------------------------------------------

    @api.model
    def _review(self, instances):
        """Compare what instances use with what their plans give now; tell people, each thing once."""
        for instance in instances:
            if instance.desired_state == "removed" or instance.staging_of_id:
                instance.limit_ids._end()
                continue
            news = self.browse()
            for resource, (used, allowed) in RESOURCES.items():
                known = instance.limit_ids.filtered(lambda limit, resource=resource: limit.resource == resource)
                news |= known._follow(instance, resource, instance[used], instance.plan_id[allowed])
            news._tell()

    @api.model
    def _review_known(self):
        """Look again at what was near or over: a plan may have been changed since, and what does not run is not measured."""
        self._review(self.search([]).instance_id._quiet())

    def _follow(self, instance, resource, used, allowed):
        """Make, update or end one limit of an instance. `self` is what is known of it, maybe empty.

        :return: the limit where it has come as far as nobody was told yet; else empty
        """
        share, is_over = used / allowed if allowed else 0, used > allowed
        is_all_of_few = resource == "users" and allowed < FEWEST_NEAR and not is_over
        if is_all_of_few or share < (WELL_BELOW if self else NEAR):
            self._end()
            return self.browse()
        now = fields.Datetime.now()
        limit = self or self.create({"instance_id": instance.id, "resource": resource, "since": now})
        if limit.over_since and not is_over:
            limit._close("over")
        write_changed(limit, {"used": used, "allowed": allowed, "over_since": is_over and (limit.over_since or now)})
        return limit if not limit.told or (is_over and limit.told == "near") else self.browse()

    def _tell(self):
        """Tell the customer of these limits of one instance by one mail, and the office by an activity each."""
        news = self.browse()
        for limit in self:
            limit.told = "over" if limit.over_since else "near"
            if limit._was_told_lately():
                continue
            news |= limit
            office, seller = limit._for_office(), limit.instance_id.factura_id.invoice_user_id
            summary = office._summary(limit.told)
            raise_activity(office.instance_id, ACTIVITY, person_for(self.env, seller), summary, escape(office.message))
        subscription = news.instance_id.subscription_ids[:1]
        if subscription:
            kind = MAIL_OF["over" if "over" in news.mapped("told") else "near"]
            what = " ".join(news.mapped("resource"))
            self.env["microsaas.notice"]._tell(subscription, kind, f"{what} {fields.Datetime.now()}")

    def _was_told_lately(self):
        """Whether the customer was told of this resource, as far as it is now or further, within the last days."""
        kinds = [MAIL_OF["over"], *([MAIL_OF["near"]] if self.told == "near" else [])]
        said = [
            ("subscription_id", "in", self.instance_id.subscription_ids.ids),
            ("kind", "in", kinds),
            ("period", "like", self.resource),
            ("create_date", ">=", fields.Datetime.now() - TOLD_AGAIN_AFTER),
        ]
        return bool(self.env["microsaas.notice"].search_count(said, limit=1))

    def _close(self, stage):
        office = self._for_office()
        ended = office.env._("It has ended: the instance uses less again, or its plan gives more.")
        close_activities(office.instance_id, ACTIVITY, ended, office._summary(stage))

    def _end(self):
        for limit in self:
            limit._close("near")
            limit._close("over")
        self.unlink()

    def _for_office(self):
        return self.with_context(lang=self.instance_id.company_id.partner_id.lang)

    def _summary(self, stage):
        _ = self.env._
        return {
            "near disk": _("The disk of the plan is nearly full"),
            "near users": _("The users of the plan are nearly all taken"),
            "over disk": _("More disk is used than the plan gives"),
            "over users": _("There are more users than the plan has"),
        }[f"{stage} {self.resource}"]


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _react_until(self):
        """Return the day until which the customer of an instance that is over limits has time, for its mail; False for others.

        Odoo renders a template for any subscription before it saves it, in each upgrade that brings it.
        """
        over = self.instancia_id.limit_ids.filtered("over_since")
        return min((limit._react_until() for limit in over), default=False)

    def _plan_obstacle(self, product):
        return super()._plan_obstacle(product) or self._excess_over(product.product_tmpl_id)

    def _excess_over(self, plan):
        """Return what the instance uses more of than a plan gives, as a sentence; "" for nothing."""
        _, instance = self.env._, self.sudo().instancia_id
        if 0 < plan.microsaas_disk_mb < instance.disk_mb:
            return _(
                "This Odoo takes %(used)s of disk, and plan %(plan)s gives %(allowed)s: make room first.",
                used=instance._format_mb(instance.disk_mb),
                plan=plan.name,
                allowed=instance._format_mb(plan.microsaas_disk_mb),
            )
        if 0 < plan.microsaas_users < instance.user_count:
            return _(
                "This Odoo has %(used)s users, and plan %(plan)s has %(allowed)s: archive some first.",
                used=instance.user_count,
                plan=plan.name,
                allowed=plan.microsaas_users,
            )
        return ""

    def _take_plan(self, product):
        super()._take_plan(product)
        self.env["microsaas.limit"].sudo()._review(self.sudo().instancia_id._quiet())


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    limit_ids = fields.One2many("microsaas.limit", "instance_id", "Limits", groups="base.group_user")

    def _apply_use(self, at, row):
        super()._apply_use(at, row)
        self.env["microsaas.limit"]._review(self)

    def _desired(self):
        return {**super()._desired(), "user_limit": self._user_limit()}

    def _user_limit(self):
        """Return what `microsaas_desired` says of the users that the plan has; a staging copy has its original's."""
        sold = self.staging_of_id or self
        plan = sold.plan_id
        if not plan.microsaas_users:
            return False
        people = sold.with_context(lang=sold._desired_customer()["lang"])
        refusal = people.env._(
            "All users of plan %(plan)s are taken: it has %(users)s. Archive one who is not needed any more, or take a plan"
            " with more: “Change plan” on %(url)s",
            plan=people.plan_id.name,
            users=plan.microsaas_users,
            url=f"{sold.get_base_url()}/my/instances/{sold.id}",
        )
        return {"users": plan.microsaas_users, "refusal": refusal}
