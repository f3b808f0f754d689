"""The TCP ports of instances: suggested, unique, replaced when somebody was faster."""

from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .sidecar import PORT_RANGES, check_sidecar, port_range


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def init(self):
        # Partial: any number of instances may have no port yet.
        for field in PORT_RANGES:
            self.env.cr.execute(
                SQL(
                    "CREATE UNIQUE INDEX IF NOT EXISTS %s ON odoo_docker_instance (%s) WHERE %s > 0",
                    SQL.identifier(f"odoo_docker_instance_{field}_uniq"),
                    SQL.identifier(field),
                    SQL.identifier(field),
                )
            )

    def write(self, vals):
        if vals.keys() & PORT_RANGES.keys():
            # The constraint reads the database: it must know what was freed earlier in this transaction.
            self.flush_model(list(PORT_RANGES))
        return super().write(vals)

    @api.constrains("http_port", "longpolling_port")
    def _check_ports(self):
        for instance in self:
            ports = [port for port in (instance.http_port, instance.longpolling_port) if port]
            if any(not 1024 <= port <= 65535 for port in ports):
                raise ValidationError(self.env._("A port is a number from 1024 to 65535."))
            if len(set(ports)) < len(ports):
                raise ValidationError(
                    self.env._("The HTTP port and the longpolling port must differ.")
                )
            for port in ports:
                if port in instance._ports_in_use(among=ports):
                    raise ValidationError(
                        self.env._("Port %s belongs to another instance already.", port)
                    )

    @api.onchange("name")
    def onchange_name(self):
        """Suggest the lowest free pair of TCP ports where none is set.

        :return: `{}`
        """
        for instance in self:
            if instance.name:
                for field in PORT_RANGES:
                    instance[field] = instance[field] or instance._free_port(field)
        return {}

    def _ports_in_use(self, among=None):
        """Return the set of TCP ports that other instances hold in the database, or those of `among` (a list).

        Flushes nothing: a constraint must say who holds a port before the index only says that somebody does.
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT port FROM odoo_docker_instance,
                          LATERAL (VALUES (http_port), (longpolling_port)) AS ports (port)
                    WHERE port > 0 AND id != ALL(%s) AND %s""",
                self._origin.ids,
                SQL("port = ANY(%s)", among) if among else SQL("TRUE"),
            )
        )
        return {port for (port,) in rows}

    @api.model
    def microsaas_suggest_ports(self, exclude):
        """Suggest to the sidecar the lowest pair of TCP ports that no instance has.

        :param exclude: list of ports that the host uses for something else
        :return: dict of `http_port` and `longpolling_port`, 0 where a range is used up
        """
        check_sidecar(self.env)
        return {field: self.sudo()._free_port(field, exclude) for field in PORT_RANGES}

    def _free_port(self, field, exclude=()):
        """Return the lowest free TCP port for `field`, 0 if there is none (the sidecar then says so)."""
        first, last = port_range(self.env, field)
        self.flush_model(list(PORT_RANGES))
        taken = self._ports_in_use().union(exclude)
        return next((port for port in range(first, last + 1) if port not in taken), 0)

    def _replace_taken_ports(self, vals):
        """Return the ports of `vals` that another instance took meanwhile, with a free one instead."""
        return {
            field: self._free_port(field)
            for field in PORT_RANGES
            if vals.get(field) and self._ports_in_use(among=[vals[field]])
        }
