"""Instances that were spares: started before they were sold, under the number that they have now."""

from odoo import fields, models


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    from_spare = fields.Boolean(
        "Was kept ready",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="It was started before it was sold, and was given to its customer with the payment.",
    )

    def _claimed_vals(self, line, unit):
        vals = super()._claimed_vals(line, unit)
        plan = line.product_id.product_tmpl_id
        customer = self.new(self._add_server_vals(vals))._desired_customer()
        spare = self.env["microsaas.spare"]._take(plan, customer)
        return {**vals, **spare, "from_spare": bool(spare)}

    def _add_server_vals(self, vals):
        """Keep the identity of a spare: its data are marked with it."""
        added = super()._add_server_vals(vals)
        return {**added, "identity": vals["identity"]} if self._is_numbered(vals) else added

    def _prepare_create_values(self, vals_list):
        """Keep the number of a spare: a record created by others gets the next one."""
        prepared = super()._prepare_create_values(vals_list)
        for given, vals in zip(vals_list, prepared, strict=True):
            if self._is_numbered(given):
                vals["id"] = given["id"]
        return prepared

    def _is_numbered(self, vals):
        # Whoever writes by hand is refused an id before; an import that works with sudo gives a text.
        return self.env.su and isinstance(vals.get("id"), int)

    def _is_sold_anew(self, sold_as):
        """Tell whether a state of this database that was lost had sold the same spare to another unit.

        :param sold_as: as in `microsaas_adopt`
        """
        return self.from_spare and not self.was_ready and bool(sold_as) and self._sold_as() != sold_as

    def _desired(self):
        return {**super()._desired(), "from_spare": self.from_spare}
