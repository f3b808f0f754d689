"""The TCP ports of instances: suggested, unique, replaced when somebody was faster; a customer's for good."""

from odoo import api, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .sidecar import PORT_RANGES, check_sidecar, port_range


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def init(self):
        super().init()
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
        result = super().write(vals)
        if vals.keys() & {*PORT_RANGES, "was_ready"}:
            self.filtered("was_ready")._reserve_ports()
        return result

    def _reserve_ports(self):
        """Keep for good what customers know as their address."""
        reserved = self.env["microsaas.reserved.port"].sudo()
        for instance in self:
            ports = {purpose: instance[purpose] for purpose in PORT_RANGES if instance[purpose]}
            if not ports or instance._ports_last() == ports:
                continue
            reserved.search([("instance_id", "=", instance.id)]).is_current = False
            for purpose, port in ports.items():
                vals = {"instance_id": instance.id, "purpose": purpose, "is_current": True}
                known = reserved.search([("port", "=", port)])
                if known:
                    known.write(vals)
                else:
                    reserved.create({"port": port, **vals})

    def _ports_last(self):
        """Return the ports that this instance's customer was told last, by field; it need not have them now."""
        last = [("instance_id", "=", self.id), ("is_current", "=", True)]
        return {it.purpose: it.port for it in self.env["microsaas.reserved.port"].sudo().search(last)}

    def _ports_before(self):
        """Return the ports that this instance had last, as values to write, where nobody else has them."""
        ports = self._ports_last()
        return {} if self._ports_in_use(among=list(ports.values())) else ports

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
        """Return the set of TCP ports that other instances hold or once gave their customers, or those of `among` (a list).

        Flushes nothing: a constraint must say who holds a port before the index only says that somebody does.
        """
        rows = self.env.execute_query(
            SQL(
                """SELECT port FROM odoo_docker_instance,
                          LATERAL (VALUES (http_port), (longpolling_port)) AS ports (port)
                    WHERE port > 0 AND id != ALL(%s) AND %s""",
                self._origin.ids,
                SQL("port = ANY(%s)", among) if among is not None else SQL("TRUE"),
            )
        )
        reserved = self.env["microsaas.reserved.port"].sudo()._of_others(self._origin.ids, among)
        return {port for (port,) in rows} | reserved

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
        free = next((port for port in range(first, last + 1) if port not in taken), 0)
        return free or self.env["microsaas.reserved.port"].sudo()._give_up_oldest(first, last, exclude)

    def _replace_taken_ports(self, vals):
        """Return the ports of `vals` that another instance took meanwhile, with a free one instead."""
        return {
            field: self._free_port(field)
            for field in PORT_RANGES
            if vals.get(field) and self._ports_in_use(among=[vals[field]])
        }
