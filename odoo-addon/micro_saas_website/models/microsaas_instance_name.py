"""The names that customers choose for the instances they are about to buy."""

from datetime import timedelta

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.tools import mute_logger

from odoo.addons.micro_saas.models.by_hand import BY_HAND, ByHand
from odoo.addons.micro_saas.models.subdomain import broken_rule, candidates

BY_HAND["microsaas.instance.name"] = {}

# How long a name chosen in a cart is kept for that cart, once somebody else asks for it.
KEPT_IN_CART = timedelta(hours=1)


class MicrosaasInstanceName(ByHand, models.Model):
    """What one unit of an order line shall be called; reserved for it, or only wished when somebody was faster.

    Two orders never hold the same reserved name: a unique index says so, whatever runs at the same time.
    """

    _name = "microsaas.instance.name"
    _description = "Name chosen for an instance"
    _order = "order_line_id, unit"

    order_line_id = fields.Many2one(
        "sale.order.line", "Order line", required=True, ondelete="cascade", index=True
    )
    unit = fields.Integer(required=True, help="Which unit of the order line this is, from 1.")
    name = fields.Char(required=True)
    reserved = fields.Boolean(help="Nobody else can have it.")
    is_given = fields.Boolean(help="Its instance has it as its subdomain: from then on that says whose it is.")
    chosen_at = fields.Datetime(required=True, default=fields.Datetime.now)

    _unit_uniq = models.Constraint("UNIQUE(order_line_id, unit)", "This unit has a name already.")
    _reserved_uniq = models.UniqueIndex("(name) WHERE reserved")

    def init(self):
        """Mark the names that instances of an earlier version have got."""
        super().init()
        self.env.cr.execute(
            """UPDATE microsaas_instance_name AS chosen SET is_given = TRUE
                 FROM microsaas_subdomain AS subdomain
                 JOIN odoo_docker_instance AS instance ON instance.id = subdomain.instance_id
                 JOIN sale_order_line_invoice_rel AS sold ON sold.invoice_line_id = instance.linea_factura_id
                WHERE subdomain.name = chosen.name AND sold.order_line_id = chosen.order_line_id AND chosen.reserved"""
        )

    @api.model
    def _choose(self, line, unit, name):
        """Keep a name for a unit of an order line; empty: no wish, one is suggested when the order is confirmed.

        A name that cannot be had is kept as a wish, so that the cart shows it with what is wrong.

        :return: a sentence saying why it cannot be had; empty if it is reserved now, or if there is no wish
        """
        row = self.search([("order_line_id", "=", line.id), ("unit", "=", unit)])
        name = (name or "").strip()[:100]
        if not name:
            row.unlink()
            return ""
        problem = self._problem(name, line, unit)
        if not problem and not self._reserve(row, line, unit, name):
            problem = self._taken_sentence(name)
        if problem:
            row._put(line, unit, name, reserved=False)
        return problem

    @api.model
    def _reserve(self, row, line, unit, name):
        """Try to reserve; the database decides between two that try at the same time. Return whether it succeeded."""
        try:
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                self._release(name, line, unit)
                row._put(line, unit, name, reserved=True)
                self.flush_model()
        except UniqueViolation:
            return False
        return True

    def _put(self, line, unit, name, reserved):
        now = fields.Datetime.now()
        values = {"name": name, "reserved": reserved, "chosen_at": now}
        if self:
            self.write(values)
        else:
            self.create({"order_line_id": line.id, "unit": unit, **values})

    @api.model
    def _release(self, name, line, unit):
        """Turn a reservation that no longer counts into a mere wish."""
        other = self._holder(name, line, unit)
        if other and not other._counts():
            other.reserved = False
            other.flush_recordset()

    def _counts(self):
        """Tell whether a reservation still keeps others off: not that of a cancelled order or a forgotten cart."""
        order = self.order_line_id.order_id
        if self.is_given or order.state == "cancel":
            return False
        if order.state != "draft" or not order.website_id:
            return True
        return order._microsaas_is_being_paid() or self.chosen_at > fields.Datetime.now() - KEPT_IN_CART

    @api.model
    def _holder(self, name, line, unit):
        """Return the row of another unit that has this name reserved; maybe none."""
        row = self.search([("name", "=", name), ("reserved", "=", True)], limit=1)
        return row.filtered(lambda one: one.order_line_id != line or one.unit != unit)

    # -- what may be chosen --------------------------------------------------------------------

    @api.model
    def _problem(self, name, line, unit):
        """Return why this unit cannot be called so, as a sentence for the customer; empty if it can."""
        is_taken = self._is_taken(name, line, unit)
        return broken_rule(self.env, name) or (is_taken and self._taken_sentence(name)) or ""

    def _taken_sentence(self, name):
        return self.env._("“%s” is taken.", name)

    @api.model
    def _is_taken(self, name, line, unit):
        holder = self._holder(name, line, unit)
        if holder and holder._counts():
            return True
        subdomains = self.env["microsaas.subdomain"].sudo()
        return subdomains._is_taken(name, self.env["odoo.docker.instance"])

    @api.model
    def _suggestion(self, wish, line, unit, but=()):
        """Return the free name that is nearest to what was wished (any text), and is none of `but`."""
        if broken_rule(self.env, next(candidates(wish))):
            wish = line.order_id._microsaas_default_wish()
        return next(
            name for name in candidates(wish) if name not in but and not self._problem(name, line, unit)
        )
