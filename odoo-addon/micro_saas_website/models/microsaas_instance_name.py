"""The names that customers choose for the instances they are about to buy."""

import re
import unicodedata
from datetime import timedelta

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.tools import mute_logger

from odoo.addons.micro_saas.models.by_hand import BY_HAND, ByHand

BY_HAND["microsaas.instance.name"] = {}

SHORTEST, LONGEST = 3, 40
# Letters, digits and single dashes inside: what a host name may be, should it become one.
ALLOWED = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
RESERVED = frozenset(
    """admin administrator api app assets autodiscover backup blog cdn demo dev dns ftp git help imap localhost
    login mail manager master mx ns ns1 ns2 odoo pop portal postgres proxy root shop sidecar smtp ssh ssl staging
    static status support system test vpn web webmail webmaster www""".split()
)
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
    chosen_at = fields.Datetime(required=True, default=fields.Datetime.now)

    _unit_uniq = models.Constraint("UNIQUE(order_line_id, unit)", "This unit has a name already.")
    _reserved_uniq = models.UniqueIndex("(name) WHERE reserved")

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
        if order.state == "cancel":
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
        _ = self.env._
        if len(name) < SHORTEST or len(name) > LONGEST:
            return _("A name has %(shortest)s to %(longest)s characters.", shortest=SHORTEST, longest=LONGEST)
        if not ALLOWED.fullmatch(name):
            return _("Use small letters without accents, digits and dashes only.")
        if name in RESERVED:
            return _("“%s” is reserved.", name)
        if self._is_taken(name, line, unit):
            return self._taken_sentence(name)
        return ""

    def _taken_sentence(self, name):
        return self.env._("“%s” is taken.", name)

    @api.model
    def _is_taken(self, name, line, unit):
        holder = self._holder(name, line, unit)
        if holder and holder._counts():
            return True
        instances = self.env["odoo.docker.instance"].with_context(active_test=False)
        return bool(instances.search_count([("name", "=ilike", name)], limit=1))

    @api.model
    def _as_name(self, text):
        """Return any text in the letters that a name may have; never empty, with room for a number behind it."""
        plain = unicodedata.normalize("NFKD", text or "").encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: LONGEST - 5].rstrip("-")
        return name if len(name) >= SHORTEST else f"odoo-{name}".strip("-")

    @api.model
    def _suggestion(self, wish, line, unit, but=()):
        """Return the free name that is nearest to what was wished (any text), and is none of `but`."""
        base = self._as_name(wish)
        if base in RESERVED:
            base = self._as_name(line.order_id._microsaas_default_wish())
        candidates = (base if number == 1 else f"{base}-{number}" for number in range(1, 10_000))
        return next(
            name for name in candidates if name not in but and not self._problem(name, line, unit)
        )
