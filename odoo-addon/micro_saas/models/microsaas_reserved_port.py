"""TCP ports: which are free, and which were given to customers: an address belongs to one of them for good."""

import logging
from datetime import timedelta

from odoo import api, fields, models
from odoo.release import version_info
from odoo.tools import SQL

from .by_hand import ByHand
from .settings import PORT_RANGES, port_range, reserved_days

_logger = logging.getLogger(__name__)

UNIQUE = "UNIQUE(port)"
UNIQUE_MESSAGE = "This port belongs to an instance already."


class MicrosaasReservedPort(ByHand, models.Model):
    """A port that a customer was told: nobody else gets it as long as their data, or their mails, live."""

    _name = "microsaas.reserved.port"
    _description = "Port given to a customer"
    _order = "id"
    _rec_name = "port"

    port = fields.Integer(required=True, readonly=True, aggregator=None)
    purpose = fields.Selection(
        [("http_port", "HTTP"), ("longpolling_port", "Longpolling")], "Used for", required=True, readonly=True
    )
    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, readonly=True, ondelete="cascade", index=True
    )
    is_current = fields.Boolean(
        "Present one", default=True, readonly=True, help="The instance's last one for this use: it comes back to it."
    )

    if version_info[0] >= 19:
        _port_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("port_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def init(self):
        """Reserve what instances of an earlier version have given their customers."""
        super().init()
        for purpose in PORT_RANGES:
            self.env.cr.execute(
                SQL(
                    """INSERT INTO microsaas_reserved_port (port, purpose, instance_id, is_current)
                       SELECT %(port)s, %(purpose)s, id, TRUE FROM odoo_docker_instance
                        WHERE was_ready AND staging_of_id IS NULL AND %(port)s > 0 ON CONFLICT DO NOTHING""",
                    port=SQL.identifier(purpose),
                    purpose=purpose,
                )
            )

    # -- giving ports ---------------------------------------------------------------------------

    @api.model
    def _free_pair(self, instance, exclude, from_end=False):
        """Return a free port for each use, by field: see `_free`."""
        return {field: self._free(field, instance, exclude, from_end) for field in PORT_RANGES}

    @api.model
    def _free(self, field, instances, exclude=(), from_end=False):
        """Return the lowest free TCP port for `field`, 0 if there is none (the sidecar then says so).

        :param instances: whose own ports count as free
        :param from_end: the highest instead
        """
        first, last = port_range(self.env, field)
        instances.flush_model(list(PORT_RANGES))
        taken = self._in_use(instances).union(exclude)
        ports = range(last, first - 1, -1) if from_end else range(first, last + 1)
        free = next((port for port in ports if port not in taken), 0)
        return free or self._give_up_oldest(first, last, exclude)

    @api.model
    def _has_free(self, field):
        """Tell whether `_free` would find a port for `field`, without giving one up."""
        first, last = port_range(self.env, field)
        taken = self._in_use(self.env["odoo.docker.instance"])
        if any(port not in taken for port in range(first, last + 1)):
            return True
        gone = [("instance_id.subscription_ids.data_removed_at", "!=", False)]
        kept = self.search([("port", ">=", first), ("port", "<=", last), *gone])
        return any(it.port not in (it.instance_id.http_port, it.instance_id.longpolling_port) for it in kept)

    @api.model
    def _in_use(self, instances, among=None):
        """Return the set of ports that others than `instances` hold or once gave their customers, or those of `among` (a list).

        Spares hold theirs for the instances of their numbers. Flushes nothing: a constraint must say who holds a port
        before the index only says that somebody does.
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT port
                     FROM (SELECT id, http_port, longpolling_port FROM odoo_docker_instance
                            UNION ALL SELECT number, http_port, longpolling_port FROM microsaas_spare) AS holder,
                          LATERAL (VALUES (http_port), (longpolling_port)) AS ports (port)
                    WHERE port > 0 AND id != ALL(%s) AND %s""",
                instances._origin.ids,
                SQL("port = ANY(%s)", among) if among is not None else SQL("TRUE"),
            )
        )
        return {port for (port,) in rows} | self._of_others(instances._origin.ids, among)

    # -- keeping them for good ------------------------------------------------------------------

    @api.model
    def _reserve(self, instances):
        """Keep for good what customers know as their address."""
        for instance in instances.filtered(lambda one: not one.staging_of_id):
            ports = {purpose: instance[purpose] for purpose in PORT_RANGES if instance[purpose]}
            if not ports or self._last_of(instance) == ports:
                continue
            self.search([("instance_id", "=", instance.id)]).is_current = False
            for purpose, port in ports.items():
                vals = {"instance_id": instance.id, "purpose": purpose, "is_current": True}
                known = self.search([("port", "=", port)])
                if known:
                    known.write(vals)
                else:
                    self.create({"port": port, **vals})

    @api.model
    def _last_of(self, instance):
        """Return the ports that an instance's customer was told last, by field; it need not have them now."""
        last = [("instance_id", "=", instance.id), ("is_current", "=", True)]
        return {it.purpose: it.port for it in self.search(last)}

    @api.model
    def _of_others(self, instance_ids, among=None):
        """Return the set of ports that were given to customers of other instances, or those of `among`."""
        self.flush_model()
        self.env["microsaas.subscription"].flush_model(["instancia_id", "data_removed_at"])
        since = fields.Datetime.now() - timedelta(days=reserved_days(self.env))
        rows = self.env.execute_query(
            SQL(
                """SELECT port FROM microsaas_reserved_port AS reserved
                    WHERE instance_id != ALL(%s) AND %s
                      AND NOT EXISTS (SELECT FROM microsaas_subscription
                                       WHERE instancia_id = reserved.instance_id AND data_removed_at < %s)""",
                list(instance_ids),
                SQL("port = ANY(%s)", among) if among is not None else SQL("TRUE"),
                since,
            )
        )
        return {port for (port,) in rows}

    @api.model
    def _give_up_oldest(self, first, last, exclude):
        """Free the port from `first` to `last` whose instance's data went longest ago, and say so; 0 if there is none."""
        subscriptions = self.env["microsaas.subscription"].sudo().with_context(active_test=False)
        gone = subscriptions.search([("data_removed_at", "!=", False)], order="data_removed_at, id")
        for instance in gone.instancia_id:
            kept = self.search([("instance_id", "=", instance.id), ("port", "not in", list(exclude))])
            found = kept.filtered(lambda it: first <= it.port <= last)[:1]
            if found and found.port not in (instance.http_port, instance.longpolling_port):
                port = found.port
                _logger.warning("Port %s of removed instance %s is given away: the range is used up.", port, instance.id)
                instance.message_post(
                    body=self.env._("Port %s may get another customer: the range of ports is used up.", port)
                )
                found.unlink()
                return port
        return 0
