"""What an instance really is at the moment, in one word, and which ones are behind: asked of all instances at once."""

from odoo import api, fields, models
from odoo.tools import SQL

from .microsaas_job import OPEN

# Worst first, as people read it.
SITUATIONS = [
    ("error", "In error"),
    ("suspended", "Suspended"),
    ("restoring", "Being restored"),
    ("updating", "Being updated"),
    ("preparing", "Being prepared"),
    ("starting", "Starting"),
    ("stopping", "Stopping"),
    ("running", "Running"),
    ("asleep", "Asleep"),
    ("stopped", "Stopped"),
    ("unstarted", "Not started yet"),
    ("removed", "Removed, data kept"),
    ("gone", "Data removed"),
]
FACTS = ("state", "desired_state", "is_asleep")


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    situation = fields.Selection(
        SITUATIONS,
        compute="_compute_situation",
        search="_search_situation",
        compute_sudo=True,
        groups="base.group_user",
        help="What is reported of it, what people want, and its subscription, in one word.",
    )
    is_renewable = fields.Boolean(
        "Can be renewed", compute="_compute_is_renewable", compute_sudo=True, groups="base.group_user"
    )
    is_update_available = fields.Boolean(search="_search_is_update_available")

    @api.depends(*FACTS, "subscription_ids.suspended_at", "subscription_ids.data_removed_at", "job_ids.state")
    def _compute_situation(self):
        self._flush_situation()
        rows = self.env.execute_query(
            SQL("SELECT id, %s FROM odoo_docker_instance WHERE id = ANY(%s)", self._situation_sql(), self.ids)
        )
        situations = dict(rows)
        for instance in self:
            instance.situation = situations.get(instance._origin.id, "unstarted")

    @api.depends("subscription_ids.state", "subscription_ids.data_removed_at", "subscription_ids.product_id")
    def _compute_is_renewable(self):
        for instance in self:
            subscription = instance.subscription_ids[:1]
            instance.is_renewable = bool(subscription) and subscription._can_be_renewed()

    def action_renew(self):
        """Open the invoice whose payment lets a suspended instance run again.

        :return: an act_window of the invoice
        :raise UserError: as `action_renovar` of its subscription
        """
        self.ensure_one()
        return self.subscription_ids[:1].action_renovar()

    def _search_situation(self, operator, value):
        self._flush_situation()
        wanted = (value,) if isinstance(value, str) else tuple(value) or ("",)
        return self._in_or_not(operator, SQL("%s IN %s", self._situation_sql(), wanted))

    def _search_is_update_available(self, operator, value):
        self.env.flush_all()
        is_wanted = True in value if operator in ("in", "not in") else value
        is_negated = operator in ("!=", "not in")
        return self._in_or_not("in" if is_wanted != is_negated else "not in", self._is_behind_sql())

    def _in_or_not(self, operator, condition):
        """Return the domain of the instances for which a condition on this table holds, archived ones too, or of all others."""
        everything = self.sudo().with_context(active_test=False)._search([])
        everything.add_where(condition)
        return [("id", "not in" if operator in ("!=", "not in") else "in", everything)]

    @api.model
    def _flush_situation(self):
        self.flush_model(FACTS)
        self.env["microsaas.subscription"].flush_model(["instancia_id", "suspended_at", "data_removed_at"])
        self.env["microsaas.job"].flush_model(["instancia_id", "kind", "state"])

    @api.model
    def _situation_sql(self):
        """Return the situation of a row of this table: the one place that says what wins over what."""
        return SQL(
            """CASE WHEN odoo_docker_instance.state = 'error' THEN 'error'
                    WHEN EXISTS (SELECT FROM microsaas_job AS job
                                  WHERE job.instancia_id = odoo_docker_instance.id AND job.state IN %s
                                    AND job.kind IN ('restore', 'undo_restore')) THEN 'restoring'
                    WHEN EXISTS (SELECT FROM microsaas_job AS job
                                  WHERE job.instancia_id = odoo_docker_instance.id AND job.state = 'running'
                                    AND job.kind IN ('update', 'undo_update')) THEN 'updating'
                    WHEN EXISTS (SELECT FROM microsaas_subscription AS own
                                  WHERE own.instancia_id = odoo_docker_instance.id
                                    AND own.data_removed_at IS NOT NULL) THEN 'gone'
                    WHEN 'removed' IN (odoo_docker_instance.desired_state, odoo_docker_instance.state) THEN 'removed'
                    WHEN EXISTS (SELECT FROM microsaas_subscription AS own
                                  WHERE own.instancia_id = odoo_docker_instance.id
                                    AND own.suspended_at IS NOT NULL) THEN 'suspended'
                    WHEN odoo_docker_instance.desired_state = 'draft' THEN 'unstarted'
                    WHEN odoo_docker_instance.desired_state = 'stopped' THEN
                         CASE WHEN odoo_docker_instance.state = 'running' THEN 'stopping' ELSE 'stopped' END
                    WHEN odoo_docker_instance.state = 'draft' THEN 'preparing'
                    WHEN odoo_docker_instance.state = 'stopped' THEN 'starting'
                    WHEN odoo_docker_instance.is_asleep THEN 'asleep'
                    ELSE 'running' END""",
            OPEN,
        )

    @api.model
    def _is_behind_sql(self):
        """Return, as a condition on this table, what `is_update_available` tells of an instance that people want to have."""
        return SQL(
            """(odoo_docker_instance.desired_state IN ('running', 'stopped') AND odoo_docker_instance.staging_of_id IS NULL
                AND (EXISTS (SELECT FROM docker_compose_template AS template
                              WHERE template.id = odoo_docker_instance.template_id
                                AND template.image_digest > '' AND odoo_docker_instance.image_digest > ''
                                AND template.image_digest != odoo_docker_instance.image_digest
                                AND odoo_docker_instance.image_digest
                                    != ALL(string_to_array(coalesce(template.image_pins, ''), chr(10))))
                     OR EXISTS (SELECT FROM odoo_docker_repository AS own
                                  JOIN odoo_docker_repository AS newest ON newest.plan_id = odoo_docker_instance.plan_id
                                   AND newest.url = own.url
                                   AND coalesce(newest.branch, '') = coalesce(own.branch, '')
                                 WHERE own.instance_id = odoo_docker_instance.id AND own.of_plan
                                   AND own.commit > '' AND newest.commit > '' AND newest.commit != own.commit)
                     OR EXISTS (SELECT FROM product_template AS plan
                                 WHERE plan.id = odoo_docker_instance.plan_id
                                   AND odoo_docker_instance.given_modules IS NOT NULL
                                   AND NOT array_remove(string_to_array(replace(plan.microsaas_modules, ' ', ''), ','), '')
                                        <@ string_to_array(odoo_docker_instance.given_modules, ','))))"""
        )
