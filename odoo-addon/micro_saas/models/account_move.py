from datetime import UTC, datetime, timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL, float_compare
from odoo.tools.sql import column_exists

from .account_move_line import OPEN_UNITS, SELLABLE_LINES, WHOLE_UNITS
from .alerts import close_activities, person_for, raise_activity
from .by_hand import ByHand
from .nudge import nudge
from .reason_sentences import hold_sentence
from .settings import in_payment_is_paid
from .values import finite

HOLD_ACTIVITY = "micro_saas.mail_activity_type_hold"
# Odoo's payment states of an invoice that the customer still has to pay.
OWED = ("not_paid", "partial", "blocked")
# For so long a customer may be on a payment provider's page; a transaction in draft that is older was given up.
ON_THE_PROVIDERS_PAGE = timedelta(hours=1)


class AccountMove(ByHand, models.Model):
    """What may become instances and why not; what became of its money; what the sidecar reads of it."""

    _inherit = "account.move"

    # -- fields ------------------------------------------------------------------------------------

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
        "Reason of the hold",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="No instance is created by itself.",
    )
    microsaas_hold_detail = fields.Char("Detail of the hold", readonly=True, copy=False)
    microsaas_hold_text = fields.Char(
        "Earlier words", readonly=True, copy=False, help="What an earlier version said, in English."
    )
    microsaas_hold_message = fields.Char("Hold", compute="_compute_microsaas_hold_message")
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

    def _init_column(self, column_name):
        """Keep what an earlier version has said of a hold, for which it has no detail."""
        super()._init_column(column_name)
        if column_name == "microsaas_hold_text" and column_exists(self.env.cr, self._table, "microsaas_hold_message"):
            self.env.cr.execute("UPDATE account_move SET microsaas_hold_text = microsaas_hold_message")

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("microsaas_hold", "microsaas_hold_detail", "microsaas_hold_text")
    @api.depends_context("lang")
    def _compute_microsaas_hold_message(self):
        for move in self:
            said = hold_sentence(self.env, move.microsaas_hold, move.microsaas_hold_detail)
            move.microsaas_hold_message = move.microsaas_hold and (move.microsaas_hold_text or said)

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

    # -- posting -----------------------------------------------------------------------------------

    def _post(self, soft=True):
        self._microsaas_write_service_days()
        posted = super()._post(soft)
        posted._microsaas_look_for_unlinked_credits()
        return posted

    def _microsaas_write_service_days(self):
        """A renewal pays for whole terms, and names the days that it pays for once it is posted."""
        for line in self.invoice_line_ids.filtered(lambda one: one.suscripcion_id and not one.microsaas_change_id):
            if line.move_id.move_type == "out_invoice":
                line.suscripcion_id._make_way_for_renewal()
                line._microsaas_check_terms()
                line._microsaas_write_period()

    def _microsaas_look_for_unlinked_credits(self):
        """A credit note of a plan that names no invoice leaves the instance as it is: a person has to look."""
        for credit in self.filtered(lambda move: move.move_type == "out_refund" and not move.reversed_entry_id):
            plans = credit._microsaas_plans()
            instances = self.env["odoo.docker.instance"].sudo().search(
                [
                    ("partner_id", "child_of", credit.commercial_partner_id.ids),
                    ("plan_id", "in", plans.ids),
                ]
            ) if plans else ()
            if instances:
                credit._microsaas_ask_about_unlinked(instances)

    def _microsaas_ask_about_unlinked(self, instances):
        note = self.env._(
            "This credit note names no invoice, so it takes no paid time away from %(instances)s. If it should, credit"
            " the invoice itself: open it and press Credit Note.",
            instances=", ".join(instances.mapped("name")),
        )
        person = self.invoice_user_id or self.env.ref("base.user_admin")
        self.activity_schedule("micro_saas.mail_activity_type_hold", note=note, user_id=person.id)

    # -- actions -----------------------------------------------------------------------------------

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

    # -- what may become an instance ---------------------------------------------------------------

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
        if self._microsaas_is_paid():
            return None
        if self.payment_state == "partial":
            return _("%s is paid only in part. Register the rest of the payment first.", name)
        if self.payment_state == "in_payment":
            return _("The bank has not confirmed the payment of %s yet.", name)
        return _("%s is not paid. Register its payment first.", name)

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

    # -- whether it is paid, when, and whether the money has stayed --------------------------------

    def _microsaas_is_paid(self):
        """Tell whether this invoice is paid: posted, and its money here, as the settings say what that means."""
        return self.state == "posted" and self._microsaas_payment_state() in self._microsaas_paid_states()

    def _microsaas_is_owed(self):
        """Tell whether the customer still has to pay this invoice."""
        return self.state == "posted" and self.payment_state in OWED

    def _microsaas_is_open(self):
        """Tell whether the payment of this invoice is still to come: it is a draft, owed, or its money is on its way."""
        is_on_its_way = self.payment_state == "in_payment" and not self._microsaas_is_paid()
        return self.state == "draft" or self._microsaas_is_owed() or (self.state == "posted" and is_on_its_way)

    def _microsaas_has_money_coming(self):
        """Tell whether a part of this invoice is paid already, or its payment is on the way."""
        if self.state != "posted" or self._microsaas_is_fully_reversed():
            return False
        is_begun = self.currency_id.compare_amounts(self.amount_residual, self.amount_total)
        return bool(is_begun) or self._microsaas_has_money_on_its_way()

    def _microsaas_has_money_on_its_way(self):
        """Tell whether a payment of this invoice, or of the rest of it, is on the way."""
        if self.state != "posted" or self._microsaas_is_fully_reversed():
            return False
        return not self._microsaas_is_owed() or any(
            one.state in ("pending", "authorized")
            or (one.state == "done" and not one.is_post_processed)
            or (one.state == "draft" and one.create_date >= fields.Datetime.now() - ON_THE_PROVIDERS_PAGE)
            for one in self._microsaas_transactions()
        )

    def _microsaas_transactions(self):
        """Return the transactions of payment providers that pay these invoices."""
        return self.sudo().transaction_ids

    @api.model
    def _microsaas_paid_states(self):
        return ("paid", "in_payment") if in_payment_is_paid(self.env) else ("paid",)

    @api.model
    def _microsaas_paid_sql(self):
        """Return as a condition on `move`, a posted row of this table, what `_microsaas_is_paid` tells of an invoice.

        But for what was reversed in full, which is not looked at here.
        """
        return SQL(
            """(move.payment_state IN %s
                       -- Settled by a credit, and not by its own: see _microsaas_payment_state.
                       OR (move.payment_state = 'reversed'
                           AND EXISTS (SELECT 1
                                         FROM account_move_line mine
                                         JOIN account_partial_reconcile partial ON partial.debit_move_id = mine.id
                                         JOIN account_move_line theirs ON theirs.id = partial.credit_move_id
                                         JOIN account_move credit ON credit.id = theirs.move_id
                                        WHERE mine.move_id = move.id
                                          AND credit.move_type = 'out_refund'
                                          AND credit.reversed_entry_id IS DISTINCT FROM move.id)))""",
            self._microsaas_paid_states(),
        )

    def _microsaas_is_fully_reversed(self):
        return float_compare(self._microsaas_reversed_ratio(), 1.0, precision_digits=6) >= 0

    def _microsaas_payment_state(self):
        """Return Odoo's payment state, but for what another invoice's credit has settled: that is paid.

        Odoo says `reversed` whenever credit notes alone have settled an invoice, whichever invoice they credit.
        """
        if self.payment_state == "reversed" and not self._microsaas_is_fully_reversed():
            return "paid"
        return self.payment_state or "not_paid"

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

    def _microsaas_money(self):
        """Return what decides whether this invoice is paid, as the sidecar reads it; False for no invoice."""
        return bool(self) and {
            "move_type": self.move_type,
            "state": self.state,
            "payment_state": self._microsaas_payment_state(),
            "reversed_ratio": self._microsaas_reversed_ratio(),
        }

    def _microsaas_reversed_ratio(self):
        """Return how much of this invoice was credited or sent back, from 0.0 to 1.0."""
        # What a change to a cheaper plan gives back takes no days away.
        credits = self.reversal_move_ids.filtered(
            lambda move: move.state == "posted"
            and move.line_ids.microsaas_change_id <= self.line_ids.microsaas_change_id
        )
        if not self.microsaas_approved:
            credits |= self._microsaas_unlinked_credits()
        if self.payment_state == "reversed" and self._microsaas_settling_credits() <= credits:
            return 1.0  # whatever the rates of two currencies make of it
        # A credit note and the money sent back for it are one thing, so the larger of the two counts.
        gone = max(
            sum(self._microsaas_in_its_currency(credit.amount_total, credit) for credit in credits),
            self._microsaas_sent_back(),
        )
        if not self.amount_total:
            return 0.0
        is_all = self.currency_id.compare_amounts(gone, self.amount_total) >= 0
        return 1.0 if is_all else gone / self.amount_total

    def _microsaas_in_its_currency(self, amount, other):
        """Return an amount of another document in this invoice's currency, at that document's date."""
        day = other.date if other._name == self._name else other.create_date.date()
        return other.currency_id._convert(amount, self.currency_id, self.company_id, day)

    def _microsaas_unlinked_credits(self):
        """Return the credit notes of the same plan that settle this invoice and do not say which invoice they credit.

        They may take this very sale back, or pay it with an older credit: only a person knows.
        """
        return self._microsaas_settling_credits().filtered(
            lambda move: not move.reversed_entry_id and move._microsaas_plans() & self._microsaas_plans()
        )

    def _microsaas_settling_credits(self):
        if self.payment_state != "reversed":
            return self.browse()
        return self._get_reconciled_amls().move_id.filtered(lambda move: move.move_type == "out_refund")

    def _microsaas_products(self):
        """Return the lines that ask for money; not sections, notes and taxes."""
        return self.invoice_line_ids.filtered(lambda line: line.display_type == "product")

    def _microsaas_plans(self):
        return self.invoice_line_ids.product_id.product_tmpl_id.filtered("es_plan_microsaas")

    def _microsaas_sent_back(self):
        """Return what payment providers have refunded: that leaves the invoice paid, without a credit note."""
        gone = 0.0
        for paid in self._microsaas_transactions():
            refunds = paid.child_transaction_ids.filtered(
                lambda transaction: transaction.operation == "refund" and transaction.state == "done"
            )
            share = self._microsaas_share_of(paid) if refunds else 0.0
            gone -= sum(share * self._microsaas_in_its_currency(refund.amount, refund) for refund in refunds)
        return gone

    def _microsaas_share_of(self, transaction):
        """Return which part of a payment transaction has paid this invoice, from 0.0 to 1.0."""
        moves = transaction.invoice_ids
        paid = {move: move._microsaas_paid_by(transaction.payment_id) for move in moves}
        if not any(paid.values()):  # not reconciled any more, or not yet
            paid = {move: move.amount_total for move in moves}
        total = sum(paid.values())
        return paid.get(self, 0.0) / total if total else 0.0

    def _microsaas_paid_by(self, payment):
        """Return how much of this invoice a payment has paid, in the company's currency."""
        partials = payment.move_id.line_ids.matched_debit_ids
        return sum(partials.filtered(lambda one: one.debit_move_id.move_id == self).mapped("amount"))

    # -- telling the sidecar -----------------------------------------------------------------------

    def _microsaas_touch(self, move_ids):
        """Note that something has happened to the money of invoices.

        Their instances become due in this very transaction, so that no payment is ever missed; the nudge after it
        is only for speed. May be called inside a flush.
        """
        nudge(self.env, self._name, move_ids)
        precommit = self.env.cr.precommit
        if "microsaas.touched" not in precommit.data:
            precommit.data["microsaas.touched"] = set()
            precommit.add(self.env["account.move"].sudo()._microsaas_make_due)
        precommit.data["microsaas.touched"].update(move_ids)

    def _microsaas_make_due(self):
        move_ids = self.env.cr.precommit.data.pop("microsaas.touched", ())
        changes = self.env["microsaas.plan.change"].sudo().search([("line_ids.move_id", "in", list(move_ids))])
        # The money has come, or gone, whatever becomes of a change.
        changes._review_apart()
        instance_ids = self.browse(move_ids)._microsaas_paid_instance_ids()
        self.env["odoo.docker.instance"].browse(instance_ids)._make_due()

    def _microsaas_paid_instance_ids(self):
        """Return the ids of the instances whose subscriptions these invoices pay for, or credit notes take from."""
        rows = self.env.execute_query(
            SQL(
                """WITH RECURSIVE line AS (
                       SELECT id, suscripcion_id, microsaas_origen_id
                         FROM account_move_line
                        WHERE move_id = ANY(%(ids)s)
                        UNION
                       SELECT origin.id, origin.suscripcion_id, origin.microsaas_origen_id
                         FROM account_move_line origin
                         JOIN line ON line.microsaas_origen_id = origin.id)
                   SELECT instance.id
                     FROM line JOIN odoo_docker_instance instance ON instance.linea_factura_id = line.id
                    UNION
                   SELECT subscription.instancia_id
                     FROM line JOIN microsaas_subscription subscription ON subscription.id = line.suscripcion_id
                    WHERE subscription.instancia_id IS NOT NULL
                    UNION
                   SELECT id FROM odoo_docker_instance WHERE factura_id = ANY(%(ids)s)""",
                ids=[*self.ids, *self.exists().reversed_entry_id.ids],
            )
        )
        return [instance_id for (instance_id,) in rows]

    # -- what the sidecar reads --------------------------------------------------------------------

    @api.model
    def _microsaas_unclaimed(self, limit):
        """Return at most `limit` ids of paid invoices with automatic plan units nobody has claimed; oldest first."""
        rows = self.env.execute_query(
            SQL(
                """SELECT move_id FROM (%s) AS unclaimed
                 GROUP BY move_id
                 ORDER BY (SELECT max(partial.create_date)
                             FROM account_move_line line
                             JOIN account_partial_reconcile partial ON partial.debit_move_id = line.id
                            WHERE line.move_id = unclaimed.move_id) NULLS FIRST, move_id
                    LIMIT %s""",
                self._microsaas_unclaimed_sql(),
                limit,
            )
        )
        return [move_id for (move_id,) in rows]

    def _microsaas_as_read(self):
        """Return all that decides about this invoice, `{}` for none; see `microsaas_invoice`."""
        return finite(self._microsaas_desired()) if self else {}

    def _microsaas_desired(self):
        return {
            "id": self.id,
            "name": self.name or "",
            "move_type": self.move_type,
            "state": self.state,
            "payment_state": self._microsaas_payment_state(),
            "in_payment_is_paid": in_payment_is_paid(self.env),
            "invoice_date": fields.Date.to_string(self.invoice_date) or "",
            "paid_day": fields.Date.to_string(self._microsaas_paid_day()),
            "partner_id": self.partner_id.id or 0,
            "approved": self.microsaas_approved,
            "hold": self.microsaas_hold or "",
            "reversed_ratio": self._microsaas_reversed_ratio(),
            "unlinked_credit": self._microsaas_unlinked_credits()[:1].name or "",
            "lines": self._microsaas_line_dicts(),
            "instance_ids": self._microsaas_paid_instance_ids(),
        }

    def _microsaas_line_dicts(self):
        lines = self.invoice_line_ids.filtered(lambda line: not line.suscripcion_id)
        claimed = lines._microsaas_claimed()
        backlog = self._microsaas_backlog(lines.product_id.product_tmpl_id)
        return [
            {
                "id": line.id,
                "display_type": line.display_type or "product",
                "quantity": line.quantity,
                "product_template_id": plan.id or 0,
                "price_subtotal": line.price_subtotal,
                "is_plan": plan.es_plan_microsaas,
                "provision": plan.microsaas_provision or "manual",
                "desde": fields.Date.to_string(plan.microsaas_desde) or "",
                "since_plan": line._microsaas_is_since_plan(),
                "may_renew": line._microsaas_may_renew().mapped("display_name"),
                "tried_before": line._microsaas_tried_before().mapped("display_name"),
                "claimed": claimed.get(line.id, []),
                "backlog": backlog.get(plan.id, 0),
            }
            for line in lines
            for plan in [line.product_id.product_tmpl_id]
        ]

    def _microsaas_backlog(self, plans):
        """Return `{plan id: units}` of the unclaimed automatic units of these plans on all invoices.

        Those held for being too many at once count: else holding the first would let the others through.
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT plan_id, sum(units)::int FROM (%s) AS unclaimed WHERE plan_id = ANY(%s) GROUP BY plan_id",
                self._microsaas_unclaimed_sql(holds=("", "TooManyClaims")),
                plans.ids,
            )
        )
        return dict(rows)

    def _microsaas_unclaimed_sql(self, holds=("",)):
        """Return a query of (move_id, plan_id, units): what is sold, paid and has no instance yet.

        :param holds: the reasons of holds that an invoice may have to be listed

        An invoice credited in full is no work; were it listed, it would crowd out the others for ever.
        """
        self.env.flush_all()
        # The planner takes this for heavy work; compiling it costs 200 times what running it does.
        self.env.cr.execute("SET LOCAL jit = off")
        admin = self.env.ref("base.user_admin", raise_if_not_found=False)
        return SQL(
            """SELECT line.move_id, plan.id AS plan_id,
                      greatest(line.whole_units - coalesce(line.microsaas_claimed, 0), 0) AS units
                 FROM product_template plan
                 JOIN product_product product ON product.product_tmpl_id = plan.id
                 JOIN (SELECT *, %(whole_units)s AS whole_units FROM account_move_line
                        WHERE %(open_units)s AND %(sellable)s) line
                   ON line.product_id = product.id
                 JOIN account_move move ON move.id = line.move_id
                 JOIN res_company company ON company.id = move.company_id
                 JOIN res_partner owner ON owner.id = company.partner_id
           CROSS JOIN LATERAL (SELECT coalesce(nullif(company.microsaas_tz, ''), nullif(owner.tz, ''), %(admin_tz)s) AS tz) zone
                WHERE plan.es_plan_microsaas
                  AND plan.microsaas_provision = 'automatic'
                  AND (line.quantity >= 1 OR NOT coalesce(move.microsaas_approved, false))
                  AND line.quantity < 'Infinity'  -- which NaN is not either
                  AND move.move_type = 'out_invoice'
                  AND move.state = 'posted'
                  AND %(paid)s
                  AND (move.microsaas_approved
                       OR move.invoice_date >= plan.microsaas_desde
                       -- Made since by the company's clock, dated by another: see _microsaas_is_since_plan.
                       OR (move.create_date AT TIME ZONE 'UTC' AT TIME ZONE zone.tz)::date
                          BETWEEN plan.microsaas_desde AND move.invoice_date + 1
                       -- Older, but paid since: a person is asked. What was paid before is history.
                       OR (move.write_date >= plan.microsaas_desde - 1
                           AND EXISTS (SELECT 1
                                         FROM account_move_line paid
                                         JOIN account_partial_reconcile partial ON partial.debit_move_id = paid.id
                                        WHERE paid.move_id = move.id
                                          AND (partial.create_date AT TIME ZONE 'UTC' AT TIME ZONE zone.tz)::date
                                              >= plan.microsaas_desde)))
                  AND coalesce(move.microsaas_hold, '') IN %(holds)s
                  AND (move.amount_total = 0
                       OR abs(move.amount_total_signed)
                          > (SELECT coalesce(sum(CASE WHEN credit.currency_id = move.currency_id
                                                      THEN credit.amount_total
                                                           * abs(move.amount_total_signed) / move.amount_total
                                                      ELSE abs(credit.amount_total_signed) END), 0)
                               FROM account_move credit
                              WHERE credit.reversed_entry_id = move.id
                                AND credit.state = 'posted'))""",
            whole_units=SQL(WHOLE_UNITS),
            open_units=SQL(OPEN_UNITS),
            sellable=SQL(SELLABLE_LINES),
            # As res.company._microsaas_tz.
            admin_tz=(admin and admin.sudo().tz) or "UTC",
            paid=self._microsaas_paid_sql(),
            holds=holds,
        )

    # -- holds, and what its customer waits for ----------------------------------------------------

    def _microsaas_hold(self, reason, detail):
        """Hold this invoice for a person to decide; see `microsaas_hold_invoice`."""
        if self and (self.microsaas_hold or "") != reason:
            self._microsaas_set_hold(reason, detail)

    def _microsaas_set_hold(self, reason, detail):
        self.write({"microsaas_hold": reason, "microsaas_hold_detail": detail, "microsaas_hold_text": False})
        close_activities(self, HOLD_ACTIVITY, self.env._("The hold is over."))
        for move in self.filtered("microsaas_hold"):
            person = person_for(self.env, move.invoice_user_id)
            office = move.with_context(lang=move.company_id.partner_id.lang)
            summary = office.env._("Approve this invoice")
            raise_activity(office, HOLD_ACTIVITY, person, summary, office.microsaas_hold_message)

    @api.model
    def _microsaas_is_held_for(self, customer):
        """Tell whether something that a customer (a commercial partner) has paid for waits for a person, who knows it."""
        held = self.search(
            [
                ("commercial_partner_id", "=", customer.id),
                ("microsaas_hold", "not in", (False, "")),
                ("payment_state", "in", self._microsaas_paid_states()),
            ]
        )
        return bool(held.activity_ids.filtered(lambda one: one.activity_type_id == self.env.ref(HOLD_ACTIVITY)))

    @api.model
    def _microsaas_is_coming_for(self, customer):
        """Tell whether a customer (a commercial partner) has paid for an instance that is about to be claimed."""
        query = SQL(
            """SELECT 1 FROM (%s) work JOIN account_move move ON move.id = work.move_id
                WHERE move.commercial_partner_id = %s LIMIT 1""",
            self._microsaas_unclaimed_sql(),
            customer.id,
        )
        return bool(self.env.execute_query(query))
