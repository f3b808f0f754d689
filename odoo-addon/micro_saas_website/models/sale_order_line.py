from odoo import fields, models

from odoo.addons.micro_saas.models.by_hand import BY_HAND, ByHand
from odoo.addons.micro_saas.models.door import door_suffix
from odoo.addons.micro_saas.models.values import whole_units

BY_HAND["sale.order.line"] = {}

# Nobody names more than these one by one; an order of more waits for approval anyway.
NAMED_UNITS = 20


class SaleOrderLine(ByHand, models.Model):
    _inherit = "sale.order.line"

    microsaas_name_ids = fields.One2many("microsaas.instance.name", "order_line_id", "Instance names")

    def unlink(self):
        """Leave a plan in the shop's order that is being paid, or the money would buy nothing.

        The shop takes lines out by itself when their product is archived, whatever payments are on their way.
        """
        kept = self.filtered(
            lambda line: line._microsaas_units()
            and line.order_id.website_id
            and line.order_id._microsaas_is_being_paid()
        )
        return super(SaleOrderLine, self - kept).unlink()

    def _microsaas_units(self):
        """Return how many instances this line sells: whole units only."""
        self.ensure_one()
        is_plan = not self.display_type and self.product_id.es_plan_microsaas
        return whole_units(self.product_uom_qty) if is_plan else 0

    def _microsaas_door_suffix(self):
        """Return what makes an address of the chosen name; empty without a door."""
        return door_suffix(self.env)

    def _microsaas_named_units(self):
        return range(1, min(self._microsaas_units(), NAMED_UNITS) + 1)

    def _microsaas_name_fields(self):
        """Return one dict for each unit that is named in the cart: `unit`, `name`, `problem`, `suggestion`."""
        self.ensure_one()
        names = self.env["microsaas.instance.name"].sudo()
        rows = {row.unit: row for row in self.sudo().microsaas_name_ids}
        wish, suggested, result = self.order_id._microsaas_default_wish(), set(), []
        for unit in self._microsaas_named_units():
            row = rows.get(unit, names)
            suggestion = names._suggestion(row.name or wish, self, unit, but=suggested)
            suggested.add(suggestion)
            # A name that has become free meanwhile is no problem any more.
            problem = names._problem(row.name, self, unit) if row and not row.reserved else ""
            result.append(
                {"unit": unit, "name": row.name or "", "problem": problem, "suggestion": suggestion}
            )
        return result

    def _microsaas_name_units(self):
        """Give every unit a reserved name: the one that was chosen, else a free one near it.

        What is paid is served, so a name that was lost meanwhile never stops an order.
        """
        names = self.env["microsaas.instance.name"].sudo()
        for line in self:
            wish, tried = line.order_id._microsaas_default_wish(), set()
            rows = {row.unit: row for row in line.sudo().microsaas_name_ids}
            for unit in line._microsaas_named_units():
                row = rows.get(unit, names)
                if row.reserved:
                    continue
                lost, problem = row.name, True
                while problem:  # somebody may take the suggestion in the same moment
                    name = names._suggestion(lost or wish, line, unit, but=tried)
                    tried.add(name)
                    problem = names._choose(line, unit, name)
                if lost and lost != name:
                    line.order_id.message_post(
                        body=self.env._("“%(lost)s” could not be used: the instance is called “%(name)s”.", lost=lost, name=name)
                    )

    def _prepare_invoice_line(self, **optional_values):
        values = super()._prepare_invoice_line(**optional_values)
        units = self._microsaas_units()
        if units and not self.is_downpayment:
            self._microsaas_name_units()
            # Invoiced in parts, each part carries the names of its own units.
            first = whole_units(self.qty_invoiced)
            last = first + whole_units(values.get("quantity") or 0)
            rows = self.sudo().microsaas_name_ids.sorted("unit")
            names = [row.name for row in rows if first < row.unit <= last]
            values["microsaas_names"] = ",".join(names)
        return values
