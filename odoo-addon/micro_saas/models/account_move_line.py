import math
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from odoo.tools.sql import column_exists, create_column

# A line that somebody has to do with: it has whole units without an instance, or sells a part of one, which never gets one.
OPEN_UNITS = "CASE WHEN quantity < 1 THEN ceil(quantity) ELSE floor(quantity) END > coalesce(microsaas_claimed, 0)"


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    suscripcion_id = fields.Many2one(
        "microsaas.subscription",
        "Renewed subscription",
        ondelete="restrict",
        index="btree_not_null",
        help="This line prolongs a subscription; it creates no instance.",
    )
    microsaas_origen_id = fields.Many2one(
        "account.move.line",
        "Reversed line",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="The line that this one credits, or corrects after its invoice was reversed.",
    )
    microsaas_copia_ids = fields.One2many("account.move.line", "microsaas_origen_id", "Credited or corrected by")

    microsaas_duplicado_id = fields.Many2one(
        "account.move.line",
        "Copied from",
        ondelete="set null",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="The line of the invoice that this one was duplicated from.",
    )

    microsaas_names = fields.Char(
        "Instance names",
        help="Separated by commas, one for each unit in order. A unit without one is named after the customer.",
    )
    microsaas_instance_ids = fields.One2many(
        "odoo.docker.instance",
        "linea_factura_id",
        "Instances",
        context={"active_test": False},
    )
    microsaas_months = fields.Integer(
        "Months of a unit",
        compute="_compute_microsaas_months",
        store=True,
        aggregator=None,
        help="The plan's term when this line was made. A term that is changed later changes nothing here.",
    )
    microsaas_claimed = fields.Integer(
        "Units with an instance",
        compute="_compute_microsaas_claimed",
        store=True,
        recursive=True,
        aggregator=None,
    )

    @api.depends("product_id", "suscripcion_id")
    def _compute_microsaas_months(self):
        for line in self:
            plan = line.product_id if line.product_id.es_plan_microsaas else line.suscripcion_id.product_id
            line.microsaas_months = plan._microsaas_months()

    @api.depends("microsaas_instance_ids", "microsaas_origen_id.microsaas_claimed")
    def _compute_microsaas_claimed(self):
        claimed = self._microsaas_claimed()
        for line in self:
            line.microsaas_claimed = len(claimed.get(line._origin.id, ()))

    def _auto_init(self):
        # On a company's whole history the new columns are empty, which means none; computing them would take minutes.
        for name in ("microsaas_claimed", "microsaas_months"):
            if not column_exists(self.env.cr, "account_move_line", name):
                create_column(self.env.cr, "account_move_line", name, "int4")
        return super()._auto_init()

    def init(self):
        super().init()
        # The sweep looks for unclaimed units every few seconds: it must not read what was claimed long ago.
        self.env.cr.execute(
            f"""DROP INDEX IF EXISTS account_move_line_microsaas_unclaimed_index;
                CREATE INDEX IF NOT EXISTS account_move_line_microsaas_open_units_index
                    ON account_move_line (product_id)
                 WHERE {OPEN_UNITS} AND display_type = 'product' AND suscripcion_id IS NULL"""
        )

    def copy_data(self, default=None):
        """A duplicated invoice remembers the plan lines it comes from: it may be meant to renew what they sold."""
        result = super().copy_data(default)
        if not self.env.context.get("include_business_fields"):  # what a credit note does, see _microsaas_corrections
            for line, vals in zip(self, result, strict=True):
                if line._microsaas_is_plan():
                    vals["microsaas_duplicado_id"] = line.id
        return result

    def _microsaas_may_renew(self):
        """Return the subscriptions that this line may be meant to renew: of what the line it was copied from has sold.

        None for another customer, and none that have ended.
        """
        source, customer = self.microsaas_duplicado_id, self.move_id.commercial_partner_id
        subscriptions = self.env["microsaas.subscription"]
        while source and not subscriptions:
            subscriptions = source.suscripcion_id | source.microsaas_instance_ids.subscription_ids
            source = source.microsaas_duplicado_id
        return subscriptions.filtered(
            lambda one: one._can_be_renewed()
            and one.partner_id.commercial_partner_id == customer
            and one.product_id == self.product_id
            and one.instancia_id.desired_state != "removed"
        )

    def _microsaas_ordered_by(self):
        """Return the person who ordered this line; an order knows, see micro_saas_website."""
        return self.move_id.partner_id

    def _microsaas_is_since_plan(self):
        """Tell whether this line sells a plan: it was invoiced since the product became one.

        The day of an invoice may be another zone's, as the shop's is UTC's. So what was made since then, by the
        company's clock, and dated the day it was made counts too; what was dated back does not.
        """
        since, day = self.product_id.product_tmpl_id.microsaas_desde, self.move_id.invoice_date
        if not since or not day:
            return False
        made = self.move_id._microsaas_day_of(self.move_id.create_date)
        return day >= since or (made >= since and day >= made - timedelta(days=1))

    def _microsaas_is_plan(self):
        """Tell whether paid units of this line are instances."""
        self.ensure_one()
        return (
            self.display_type == "product"
            and self.product_id.es_plan_microsaas
            and not self.suscripcion_id
            and self.price_subtotal >= 0
        )

    def _microsaas_units(self):
        """Return how many instances this line sells: whole units only."""
        if not (self._microsaas_is_plan() and math.isfinite(self.quantity)):
            return 0
        return max(math.floor(self.quantity), 0)

    def _microsaas_name(self, unit):
        """Return the name that was chosen for a unit, counted from 1; empty where none was."""
        names = (self.microsaas_names or "").split(",")
        return names[unit - 1].strip() if 0 < unit <= len(names) else ""

    def _microsaas_claimed(self):
        """Return `{line id: [units]}` of the units that have an instance, also a removed one."""
        groups = self.env["odoo.docker.instance"].sudo().with_context(active_test=False)._read_group(
            [("linea_factura_id", "in", self.ids)], ["linea_factura_id"], ["unidad:array_agg"]
        )
        claimed = {line.id: sorted(units) for line, units in groups}
        # What corrects a reversed line sells the same units, which have their instances.
        for line in self.filtered("microsaas_origen_id"):
            inherited = line.microsaas_origen_id._microsaas_claimed().get(line.microsaas_origen_id.id, ())
            claimed[line.id] = sorted({*claimed.get(line.id, ()), *inherited})
        return claimed

    def _microsaas_check_unit(self, unit):
        if not 1 <= unit <= self._microsaas_units():
            raise UserError(
                self.env._(
                    "Invoice %(invoice)s sells no unit %(unit)s on this line.",
                    invoice=self.move_id.display_name,
                    unit=unit,
                )
            )

    def _microsaas_serialize_claims(self):
        """Let one transaction at a time claim units of these lines.

        A transaction that lost the race would not see the winner's row in its snapshot. Touching the line makes it
        fail to serialize instead, and Odoo runs it again on a fresh snapshot.
        """
        if self:
            self.env.cr.execute(
                SQL("UPDATE account_move_line SET quantity = quantity WHERE id IN %s", self._ids)
            )
