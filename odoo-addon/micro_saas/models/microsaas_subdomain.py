"""Subdomains: whose each is, or was until lately."""

from datetime import timedelta

from psycopg2.errors import SerializationFailure, UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.release import version_info
from odoo.tools import SQL, mute_logger

from .by_hand import ByHand
from .settings import reserved_days
from .subdomain import broken_rule, candidates

UNIQUE = "UNIQUE(name)"
UNIQUE_MESSAGE = "This name belongs to an instance already."
# How long a former name leads to the present one, and is given to nobody.
REDIRECT_DAYS = 90


class MicrosaasSubdomain(ByHand, models.Model):
    """A subdomain that an instance has, or had before it was renamed.

    Present and former ones are in one table, so that one unique index decides between all who want a name at once.
    """

    _name = "microsaas.subdomain"
    _description = "Subdomain of an instance"
    _order = "id"

    name = fields.Char(required=True, readonly=True)
    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    former_since = fields.Datetime(
        "Former name since", readonly=True, help="Empty: the present one. A former one redirects for 90 days."
    )

    if version_info[0] >= 19:
        _name_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("name_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def init(self):
        """Give each instance of an earlier version its subdomain, as a new one gets it."""
        super().init()
        # In SQL: while the addon is updated, not every column that the ORM would read exists.
        self.env.cr.execute(
            """SELECT instance.id, instance.name, coalesce(company.name, partner.name)
                 FROM odoo_docker_instance AS instance
                 LEFT JOIN res_partner AS partner ON partner.id = instance.partner_id
                 LEFT JOIN res_partner AS company ON company.id = partner.commercial_partner_id
                WHERE instance.subdomain IS NULL
                  AND NOT EXISTS (SELECT FROM microsaas_subscription
                                   WHERE instancia_id = instance.id AND data_removed_at IS NOT NULL)
                ORDER BY instance.id"""
        )
        for instance_id, label, owner in self.env.cr.fetchall():
            for name in candidates(self._wish_of(label, owner), instance_id):
                if not broken_rule(self.env, name) and self._insert(instance_id, name):
                    break

    @api.model
    def _insert(self, instance_id, name):
        """Give an instance without a subdomain this one. Return whether nobody has it."""
        self.env.cr.execute(
            SQL(
                """WITH given AS (INSERT INTO microsaas_subdomain (name, instance_id) VALUES (%(name)s, %(id)s)
                                      ON CONFLICT DO NOTHING RETURNING name, instance_id)
                   UPDATE odoo_docker_instance SET subdomain = given.name FROM given WHERE id = given.instance_id""",
                name=name,
                id=instance_id,
            )
        )
        return bool(self.env.cr.rowcount)

    # -- giving names --------------------------------------------------------------------------------

    @api.model
    def _wish_of(self, label, owner):
        """Return what an instance is called after: its label where that could be a name, which a customer chose in the
        shop, else its owner.
        """
        lower = (label or "").lower()
        return owner or "" if broken_rule(self.env, lower) else lower

    @api.model
    def _give(self, instance, wish):
        """Give an instance the free name that is nearest to what was wished (any text). Never fails for a name."""
        for name in candidates(wish, instance.id):
            if not self._problem(name, instance) and self._take(instance, name):
                return

    @api.model
    def _rename(self, instance, name):
        """Give an instance exactly this name; the one that it had redirects to it for a while.

        :raise ValidationError: the rule that it breaks, or that it is taken, with a free name near it
        """
        problem = self._problem(name, instance)
        if not problem and not self._take(instance, name):
            problem = self._taken_sentence(name)  # somebody was faster
        if problem:
            free = self._free_near(name, instance)
            raise ValidationError(self.env._("%(problem)s Free is, for example, “%(free)s”.", problem=problem, free=free))

    @api.model
    def _free_near(self, wish, instance):
        """Return the free name that is nearest to what was wished (any text)."""
        owner = instance.partner_id.commercial_partner_id.name
        wish = owner if broken_rule(self.env, next(candidates(wish))) else wish
        return next(name for name in candidates(wish) if not self._problem(name, instance))

    @api.model
    def _take(self, instance, name):
        """Write down whose a free name is; the database decides between two who try at the same time.

        :return: whether it is this instance's now
        """
        self.env.flush_all()
        try:
            # A savepoint that flushes would also run what waits for the end of the transaction.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint(flush=False):
                row = self.search([("name", "=", name)])
                if row.instance_id != instance:
                    row._give_up()
                    row = self.browse()
                present = self.search([("instance_id", "=", instance.id), ("former_since", "=", False)])
                (present - row).former_since = fields.Datetime.now()
                if row:
                    row.former_since = False
                else:
                    self.create({"name": name, "instance_id": instance.id})
                instance.sudo().with_context(microsaas_named=True).subdomain = name
                self.env.flush_all()
        except (UniqueViolation, SerializationFailure):
            self.env.transaction.clear()
            return False
        return True

    def _give_up(self):
        """Take names that are over from whom they belonged to."""
        for row in self:
            instance = row.instance_id.sudo()
            if instance.subdomain == row.name:
                instance._quiet().with_context(microsaas_named=True).subdomain = False
        self.unlink()
        self.env.flush_all()

    # -- whose a name is -----------------------------------------------------------------------------

    @api.model
    def _problem(self, name, instance):
        """Return why an instance, maybe one to come, cannot have this name, as a sentence; empty if it can."""
        return broken_rule(self.env, name) or (self._is_taken(name, instance) and self._taken_sentence(name)) or ""

    @api.model
    def _taken_sentence(self, name):
        return self.env._("“%s” is taken.", name)

    @api.model
    def _is_taken(self, name, instance):
        """Tell whether a name is, or was until lately, another instance's than this one."""
        row = self.search([("name", "=", name)])
        return bool(row) and row.instance_id != instance and not row._is_over()

    def _is_over(self):
        """Tell whether a name may go to somebody else: renamed, or removed with its data, long enough ago."""
        now = fields.Datetime.now()
        if self.former_since:
            return self.former_since <= now - timedelta(days=REDIRECT_DAYS)
        since = now - timedelta(days=reserved_days(self.env))
        instance = self.instance_id.sudo()
        if instance.staging_of_id and instance.desired_state == "removed":
            return True
        subscriptions = instance.subscription_ids
        return any(sub.data_removed_at and sub.data_removed_at < since for sub in subscriptions)

    @api.model
    def _instance_named(self, name):
        """Return the instance that a name belongs to, by its present or a former one; empty for none."""
        row = self.search([("name", "=", name)])
        return row.instance_id if row and not row._is_over() else row.instance_id.browse()

    @api.model
    def _redirecting(self, instance_ids):
        """Return `{instance id: [former names]}`, those that still redirect."""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """SELECT instance_id, array_agg(name ORDER BY id) FROM microsaas_subdomain
                    WHERE former_since > %s AND instance_id = ANY(%s) GROUP BY instance_id""",
                fields.Datetime.now() - timedelta(days=REDIRECT_DAYS),
                list(instance_ids),
            )
        )
        return dict(rows)
