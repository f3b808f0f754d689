from datetime import UTC, datetime

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL, float_compare

from .nudge import nudge
from .sidecar import in_payment_is_paid


class AccountMove(models.Model):
    _inherit = "account.move"

    instancia_ids = fields.One2many("odoo.docker.instance", "factura_id", "Instances")
    instancia_count = fields.Integer(
        "Number of instances", compute="_compute_instancia_count", compute_sudo=True
    )
    subscription_count = fields.Integer(
        "Number of subscriptions", compute="_compute_subscription_count", compute_sudo=True
    )
    microsaas_can_provision = fields.Boolean(
        "An instance may be created", compute="_compute_microsaas_can_provision", compute_sudo=True
    )
    microsaas_hold = fields.Char(
        "Reason of the hold", readonly=True, copy=False, help="No instance is created by itself."
    )
    microsaas_hold_message = fields.Char("Hold", readonly=True, copy=False)
    microsaas_approved = fields.Boolean("Approved for MicroSaaS", readonly=True, copy=False)
    microsaas_progress = fields.Selection(
        [
            ("preparing", "The instances are being prepared"),
            ("older", "Older than the plan"),
        ],
        "What becomes of it",
        compute="_compute_microsaas_progress",
        compute_sudo=True,
    )

    @api.depends("instancia_ids.active")
    def _compute_instancia_count(self):
        for move in self:
            move.instancia_count = len(move.instancia_ids.filtered("active"))

    @api.depends("instancia_ids.subscription_ids", "line_ids.suscripcion_id")
    def _compute_subscription_count(self):
        for move in self:
            move.subscription_count = len(move._microsaas_subscriptions())

    @api.depends("state", "payment_state", "reversal_move_ids.state", "instancia_ids")
    def _compute_microsaas_can_provision(self):
        for move in self:
            refused = move._microsaas_refusal() or move._microsaas_all_taken()
            move.microsaas_can_provision = not refused

    @api.depends("microsaas_can_provision", "microsaas_hold", "microsaas_approved", "instancia_ids.state")
    def _compute_microsaas_progress(self):
        for move in self:
            coming = move.instancia_ids.filtered(
                lambda one: one.state == "draft" and one.desired_state == "running" and one.active
            )
            move.microsaas_progress = move._microsaas_what_is_coming() or ("preparing" if coming else False)

    def _microsaas_what_is_coming(self):
        """Return what the sidecar will do by itself about the units that have no instance: a word of the field, or False."""
        if not self.microsaas_can_provision or self.microsaas_hold:
            return False
        lines = {line for line, _unit in self._microsaas_free_units()}
        automatic = [line for line in lines if line.product_id.microsaas_provision == "automatic"]
        if not automatic:
            return False
        is_older = not self.microsaas_approved and not any(line._microsaas_is_since_plan() for line in automatic)
        return "older" if is_older else "preparing"

    def _compute_payment_state(self):
        """Nudge the sidecar: of all hooks, only this one sees money both coming and going back."""
        result = super()._compute_payment_state()
        sales = self.filtered(lambda move: move.move_type in ("out_invoice", "out_refund"))
        ids = {*sales._ids, *sales.reversed_entry_id._ids}
        # Runs inside a flush, also for records not saved yet: collect their ids and no more.
        self._microsaas_touch({move_id for move_id in ids if isinstance(move_id, int)})
        return result

    # -- buttons -------------------------------------------------------------------------------

    def action_crear_instancia(self):
        """Open the form of a new instance, filled from this invoice.

        :return: an act_window of `odoo.docker.instance`
        :raise UserError: not a paid customer invoice, or all its units are taken
        """
        self.ensure_one()
        self._check_can_provision()
        line, unit = self._microsaas_next_unit()
        instances = self.env["odoo.docker.instance"]
        template = line.product_id.plantilla_id or self.env["docker.compose.template"]._default_template()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("New instance"),
            "res_model": "odoo.docker.instance",
            "view_mode": "form",
            "views": [(False, "form")],
            "context": {
                "default_partner_id": self.partner_id.id,
                "default_factura_id": self.id,
                "default_name": line._microsaas_name(unit) or instances._default_name(self.partner_id),
                "default_template_id": template.id,
            },
        }

    def action_ver_instancias(self):
        """Open this invoice's instance, or the list of them.

        :return: an act_window of `odoo.docker.instance`
        """
        self.ensure_one()
        return self._microsaas_open(
            self.instancia_ids, "micro_saas.odoo_docker_instance_action", [("factura_id", "=", self.id)]
        )

    def action_ver_suscripciones(self):
        """Open the subscription that this invoice began or renews, or the list of them.

        :return: an act_window of `microsaas.subscription`
        """
        self.ensure_one()
        subscriptions = self._microsaas_subscriptions()
        return self._microsaas_open(
            subscriptions, "micro_saas.microsaas_subscription_action", [("id", "in", subscriptions.ids)]
        )

    def action_microsaas_approve(self):
        """Release the hold: the sidecar goes on with this invoice.

        :return: True
        """
        moves = self._microsaas_decide(self.env._("Approved: the instances of this invoice are created."))
        moves.microsaas_approved = True
        return True

    def action_microsaas_renews(self):
        """Say that this copy of an invoice renews the subscriptions of the lines it was copied from.

        :return: True
        :raise UserError: what they sold has ended, a line stands for several subscriptions, or its quantity is no number
            of terms
        """
        self.ensure_one()
        lines = self.invoice_line_ids.filtered(lambda line: line.sudo()._microsaas_may_renew())
        subscriptions = {line: line.sudo()._microsaas_may_renew() for line in lines}
        for line, renewed in subscriptions.items():
            if len(renewed) > 1:
                raise UserError(
                    self.env._(
                        "“%(line)s” was copied from a line of several instances: %(names)s. Reset the invoice to"
                        " draft, write a line for each, and choose the subscription that it renews.",
                        line=line.product_id.name,
                        names=", ".join(renewed.instancia_id.mapped("name")),
                    )
                )
        if not lines:
            raise UserError(self.env._("There is nothing that %s could renew any more.", self.display_name))
        names = ", ".join(renewed.name for renewed in subscriptions.values())
        self._microsaas_decide(self.env._("This invoice renews %s.", names))
        for line, renewed in subscriptions.items():
            line.sudo().suscripcion_id = renewed
            line.sudo()._microsaas_check_terms()
        return True

    def _microsaas_decide(self, body):
        """Note what a person has decided about held invoices, and let the sidecar go on. Return them with sudo."""
        if not self.env.user.has_group("micro_saas.group_microsaas_user"):
            raise AccessError(self.env._("Only MicroSaaS users approve an invoice."))
        self.check_access("read")
        moves = self.sudo()
        moves._microsaas_set_hold("", "")
        for move in moves:
            move.message_post(body=body)
        nudge(self.env, self._name, self.ids)
        return moves

    def _microsaas_open(self, records, action, domain):
        action = self.env["ir.actions.act_window"]._for_xml_id(action)
        if len(records) == 1:
            return {**action, "view_mode": "form", "views": [(False, "form")], "res_id": records.id}
        return {**action, "domain": domain, "context": {}}

    def _microsaas_subscriptions(self):
        return self.instancia_ids.subscription_ids | self.line_ids.suscripcion_id

    # -- rules ---------------------------------------------------------------------------------

    def _check_can_provision(self):
        """Refuse what must not become an instance.

        :raise UserError: one sentence saying which condition is not met
        """
        for move in self:
            refusal = move._microsaas_refusal()
            if refusal:
                raise UserError(refusal)

    def _microsaas_refusal(self):
        """Return why no instance may be created from this invoice, as a sentence; None if one may."""
        _, name = self.env._, self.display_name
        if self.move_type == "out_refund":
            return _("%s is a credit note. Create the instance from a customer invoice.", name)
        if self.move_type != "out_invoice":
            return _("%s is not a customer invoice.", name)
        if not self.partner_id:
            return _("%s has no customer. Choose one first.", name)
        if self.state == "draft":
            return _("%s is still a draft. Confirm it and register its payment first.", name)
        if self.state == "cancel":
            return _("%s is cancelled.", name)
        if self._microsaas_is_fully_reversed():
            return _("%s was refunded or credited.", name)
        payment_state = self._microsaas_payment_state()
        if payment_state == "partial":
            return _("%s is paid only in part. Register the rest of the payment first.", name)
        if payment_state == "in_payment" and not in_payment_is_paid(self.env):
            return _("The bank has not confirmed the payment of %s yet.", name)
        if payment_state not in ("paid", "in_payment"):
            return _("%s is not paid. Register its payment first.", name)
        return None

    def _microsaas_paid_states(self):
        return ("paid", "in_payment") if in_payment_is_paid(self.env) else ("paid",)

    def _microsaas_is_fully_reversed(self):
        return float_compare(self._microsaas_reversed_ratio(), 1.0, precision_digits=6) >= 0

    def _microsaas_free_units(self):
        """Return `[(line, unit)]` of the plan units sold here that have no instance, in order."""
        lines = self.invoice_line_ids.filtered(lambda line: line._microsaas_units())
        claimed = lines._microsaas_claimed()
        return [
            (line, unit)
            for line in lines.sorted(lambda line: (line.sequence, line.id))
            for unit in range(1, line._microsaas_units() + 1)
            if unit not in claimed.get(line.id, ())
        ]

    def _microsaas_all_taken(self):
        """Tell whether this invoice sells plans and every unit has its instance."""
        sells = any(line._microsaas_units() for line in self.invoice_line_ids)
        return sells and not self._microsaas_free_units()

    def _microsaas_next_unit(self):
        """Return `(line, unit)` for the next instance; no line and unit 0 if no plan is sold here.

        :raise UserError: every unit has an instance
        """
        self.invoice_line_ids._microsaas_serialize_claims()
        if self._microsaas_all_taken():
            raise UserError(
                self.env._("Every unit sold on %s has its instance already.", self.display_name)
            )
        return next(iter(self._microsaas_free_units()), (self.env["account.move.line"], 0))

    def _microsaas_paid_at(self):
        """Return when the payment was reconciled, in seconds since 1970; for a free invoice, its posting."""
        self.env["account.partial.reconcile"].flush_model()
        [(seconds,)] = self.env.execute_query(
            SQL(
                """SELECT extract(epoch FROM coalesce(max(partial.create_date), max(line.write_date)))
                     FROM account_move_line line
                LEFT JOIN account_partial_reconcile partial ON partial.debit_move_id = line.id
                    WHERE line.move_id = %s""",
                self.id,
            )
        )
        return float(seconds)

    def _microsaas_paid_day(self):
        """Return the day of the payment, in the company's time zone."""
        return self._microsaas_day_of(datetime.fromtimestamp(self._microsaas_paid_at(), UTC))

    def _microsaas_day_of(self, moment):
        """Return which day a moment, in UTC, is in the company's time zone."""
        tz = self.company_id._microsaas_tz()
        return fields.Datetime.context_timestamp(self.with_context(tz=tz), moment.replace(tzinfo=None)).date()
