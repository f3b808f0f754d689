from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from odoo.tools.misc import format_date
from odoo.tools.sql import column_exists, create_column

from .by_hand import COPIED, ByHand
from .values import whole_units

# In SQL what whole_units() and _microsaas_is_plan() say of a line; whether its product is a plan, its template knows.
WHOLE_UNITS = "floor(quantity)"
SALE_LINES = "display_type = 'product' AND suscripcion_id IS NULL"
SELLABLE_LINES = f"{SALE_LINES} AND price_subtotal >= 0"
# A line that somebody has to do with: it has whole units without an instance, or sells a part of one, which never gets one.
OPEN_UNITS = f"CASE WHEN quantity < 1 THEN ceil(quantity) ELSE {WHOLE_UNITS} END > coalesce(microsaas_claimed, 0)"


class AccountMoveLine(ByHand, models.Model):
    """A line that sells units of a plan, or terms of a subscription: its units, its names, its days, its money."""

    _inherit = "account.move.line"

    # -- fields ------------------------------------------------------------------------------------

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
    microsaas_change_id = fields.Many2one(
        "microsaas.plan.change",
        "Change of plan",
        ondelete="restrict",
        index="btree_not_null",
        readonly=True,
        copy=False,
        help="This line pays for another plan until the last paid day; it prolongs no subscription and creates no instance.",
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
    microsaas_service_start = fields.Date("Service from", readonly=True, copy=False)
    microsaas_service_end = fields.Date("Service until", readonly=True, copy=False)

    # -- columns and index -------------------------------------------------------------------------

    def _auto_init(self):
        # On a company's whole history the new columns are empty, which means none; computing them would take minutes.
        for name in ("microsaas_claimed", "microsaas_months"):
            if not column_exists(self.env.cr, "account_move_line", name):
                create_column(self.env.cr, "account_move_line", name, "int4")
        return super()._auto_init()

    def init(self):
        super().init()
        # The poll asks for unclaimed units twice a minute: it must not read what was claimed long ago.
        self.env.cr.execute(
            f"""DROP INDEX IF EXISTS account_move_line_microsaas_unclaimed_index;
                CREATE INDEX IF NOT EXISTS account_move_line_microsaas_open_units_index
                    ON account_move_line (product_id)
                 WHERE {OPEN_UNITS} AND {SALE_LINES}"""
        )

    # -- computed fields ---------------------------------------------------------------------------

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

    # -- write and copy ----------------------------------------------------------------------------

    def write(self, vals):
        result = super().write(vals)
        if "suscripcion_id" in vals:
            self.move_id._microsaas_touch(self.move_id.ids)
        return result

    def copy_data(self, default=None):
        """A duplicated invoice remembers the plan lines it comes from: it may be meant to renew what they sold."""
        self._microsaas_note_copied()
        result = super().copy_data(default)
        if not self.env.context.get("include_business_fields"):  # what a credit note does, see _microsaas_corrections
            for line, vals in zip(self, result, strict=True):
                if line._microsaas_is_plan() or line.microsaas_change_id:
                    vals["microsaas_duplicado_id"] = line.id
                if line.microsaas_change_id:
                    # A part of a term at a part of its price renews nothing.
                    vals["suscripcion_id"] = False
        return result

    def _copy_data_extend_business_fields(self, values):
        """A credit note, or what corrects a reversed invoice, remembers the lines it comes from."""
        super()._copy_data_extend_business_fields(values)
        values["microsaas_origen_id"] = self.id
        if self.microsaas_change_id:
            values["microsaas_change_id"] = self.microsaas_change_id.id
        self._microsaas_note_copied()

    def _microsaas_note_copied(self):
        # Odoo copies an invoice in the name of whoever presses the button. What it copies from, only this server
        # can have noted in this transaction: a client calls one method in one transaction.
        self.env.cr.precommit.data.setdefault(COPIED, set()).update(self.ids)

    def _written_by_server(self, vals):
        copied = self.env.cr.precommit.data.get(COPIED, ())
        written = {name for name in ("microsaas_origen_id", "microsaas_duplicado_id") if vals.get(name) in copied}
        origin = self.browse(vals["microsaas_origen_id"] if "microsaas_origen_id" in written else []).sudo()
        if origin.microsaas_change_id and vals.get("microsaas_change_id") == origin.microsaas_change_id.id:
            written.add("microsaas_change_id")
        return written

    # -- what it sells -----------------------------------------------------------------------------

    def _microsaas_is_plan(self):
        """Tell whether paid units of this line are instances; in SQL, SELLABLE_LINES."""
        self.ensure_one()
        return (
            self.display_type == "product"
            and self.product_id.es_plan_microsaas
            and not self.suscripcion_id
            and self.price_subtotal >= 0
        )

    def _microsaas_units(self):
        """Return how many instances this line sells: whole units only."""
        return whole_units(self.quantity) if self._microsaas_is_plan() else 0

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

    def _microsaas_tried_before(self):
        """Return the invoices by which the customer has had the trial that this line sells, none for what is no trial.

        One that sells several units of it is among them itself. A customer is a company with its contacts, or whoever has the
        same e-mail address.
        """
        if not (self._microsaas_is_plan() and self.product_id.product_tmpl_id._microsaas_is_trial()):
            return self.move_id.browse()
        customer, email = self.move_id.commercial_partner_id, self.move_id.partner_id.email_normalized
        same_customer = [("move_id.commercial_partner_id", "=", customer.id)]
        if email:
            same_customer = ["|", *same_customer, ("move_id.partner_id.email_normalized", "=", email)]
        # The earlier line is the first one, whichever is looked at first.
        earlier = self.sudo().search(
            [
                ("product_id", "in", self.product_id.product_tmpl_id.product_variant_ids.ids),
                ("id", "<", self.id),
                ("parent_state", "=", "posted"),
                ("move_id.move_type", "=", "out_invoice"),
                ("move_id.company_id", "=", self.company_id.id),
                ("suscripcion_id", "=", False),
                *same_customer,
            ]
        ).filtered(lambda line: line._microsaas_units() and line not in self.microsaas_origen_id)
        return (earlier.move_id | self.move_id) if self._microsaas_units() > 1 else earlier.move_id

    def _microsaas_ordered_by(self):
        """Return the person who ordered this line; an order knows, see micro_saas_website."""
        return self.move_id.partner_id

    def _microsaas_made_at(self):
        """Return when this line was made, which no other line that gets its number shares."""
        return self.create_date.isoformat(sep=" ", timespec="microseconds")

    def _microsaas_name(self, unit):
        """Return the name that was chosen for a unit, counted from 1; empty where none was."""
        names = (self.microsaas_names or "").split(",")
        return names[unit - 1].strip() if 0 < unit <= len(names) else ""

    # -- units that have an instance ---------------------------------------------------------------

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

    # -- what became of its money ------------------------------------------------------------------

    def _microsaas_corrections(self):
        """Return the lines that sell the units of these anew, after their invoice was reversed."""
        corrections = self.microsaas_copia_ids.filtered(
            lambda line: line.move_id.move_type == "out_invoice" and not line.suscripcion_id
        )
        return corrections | corrections._microsaas_corrections() if corrections else corrections

    def _microsaas_money(self):
        """Return what decides whether this line is paid, as the sidecar reads it."""
        return {**self.move_id._microsaas_money(), "reversed_ratio": self._microsaas_reversed_ratio()}

    def _microsaas_reversed_ratio(self):
        """Return how much of this line was credited or sent back, from 0.0 to 1.0."""
        of_the_move = self.move_id._microsaas_reversed_ratio()
        credits = self.microsaas_copia_ids.filtered(
            lambda line: line.move_id.move_type == "out_refund" and line.parent_state == "posted"
        )
        if of_the_move >= 1.0 or not self.price_subtotal:
            return of_the_move
        gone = sum(
            self.move_id._microsaas_in_its_currency(line.price_subtotal, line.move_id) for line in credits
        )
        return min(gone / self.price_subtotal, 1.0)

    # -- what it renews ----------------------------------------------------------------------------

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

    def _microsaas_terms(self):
        """Return how many terms of its plan a renewal line pays for."""
        return whole_units(self.quantity)

    def _microsaas_check_terms(self):
        if self.quantity != self._microsaas_terms() or not self.quantity:
            raise UserError(
                self.env._(
                    "“%(line)s” renews subscription %(subscription)s: its quantity is the number of terms, so it must"
                    " be 1, 2, 3 …, not %(quantity)s. For less, lower the price instead.",
                    line=(self.name or "").partition("\n")[0],
                    subscription=self.suscripcion_id.name,
                    quantity=self.quantity,
                )
            )

    def _microsaas_write_period(self):
        """Write the days of service on renewal lines, also as text, in place of those written before."""
        for line in self.filtered("suscripcion_id"):
            before = line._microsaas_period_text()
            name = (line.name or "").removesuffix(before).rstrip("\n") if before else line.name or ""
            line._microsaas_write_days(*line.suscripcion_id.sudo()._next_period(line._microsaas_terms() or 1))
            line.name = f"{name}\n{line._microsaas_period_text()}"

    def _microsaas_write_days(self, first, last):
        """Write the days of service on these lines."""
        vals = {"microsaas_service_start": first, "microsaas_service_end": last}
        if "deferred_start_date" in self._fields:  # Odoo's own deferred revenue
            vals |= {"deferred_start_date": first, "deferred_end_date": last}
        self.sudo().write(vals)  # not by hand: whoever posts the invoice may not choose the days

    def _microsaas_period_text(self):
        if not self.microsaas_service_start:
            return ""
        lang = self.move_id.partner_id.lang
        first, last = (
            format_date(self.env, day, lang_code=lang)
            for day in (self.microsaas_service_start, self.microsaas_service_end)
        )
        return self.with_context(lang=lang).env._("Service from %(first)s to %(last)s", first=first, last=last)

    def _microsaas_leave_draft(self, why):
        """Take these lines out of the one draft that they are on; cancel the draft if nothing is left.

        :param why: a sentence for the draft's chatter
        """
        move = self.move_id
        if move._microsaas_products() - self:
            self.unlink()
        else:
            move.button_cancel()
        move.message_post(body=why)
