import logging
from datetime import timedelta

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError

from .product_template import MONTHS

_logger = logging.getLogger(__name__)

# Payment states of an invoice that waits for its money.
OPEN = ("not_paid", "partial")
SUBSCRIPTION_ACTIVITY = "micro_saas.mail_activity_type_subscription"


class MicrosaasSubscription(models.Model):
    """How long an instance is paid for. The sidecar moves `state` and the dates; people see, renew and cancel."""

    _name = "microsaas.subscription"
    _description = "Subscription"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char("Number", required=True, readonly=True, copy=False, default="/")
    company_id = fields.Many2one(
        "res.company", "Company", required=True, index=True, default=lambda self: self.env.company
    )
    partner_id = fields.Many2one("res.partner", "Customer", index=True)
    instancia_id = fields.Many2one(
        "odoo.docker.instance", "Instance", ondelete="cascade", index=True, check_company=True
    )
    factura_id = fields.Many2one(
        "account.move", "First invoice", ondelete="restrict", index=True, check_company=True
    )
    product_id = fields.Many2one("product.product", "Plan", ondelete="restrict", index=True)
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("active", "Active"),
            ("paused", "Paused"),
            ("expiring_soon", "Expiring soon"),
            ("expired", "Expired"),
            ("cancelled", "Cancelled"),
            ("removed", "Removed"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        tracking=True,
    )
    fecha_inicio = fields.Date("Since", copy=False, tracking=True)
    fecha_fin = fields.Date("Paid until", copy=False, tracking=True, help="The last paid day.")
    dias_restantes = fields.Integer(
        "Days left", compute="_compute_dias_restantes", help="Below zero: days of grace used."
    )
    periodo_ids = fields.One2many("microsaas.renewal", "subscription_id", "Paid periods")
    renovacion_ids = fields.One2many(
        "microsaas.renewal", "subscription_id", "Renewals", domain=[("es_primera", "=", False)]
    )
    renewal_line_ids = fields.One2many("account.move.line", "suscripcion_id", "Renewal lines")
    notice_ids = fields.One2many("microsaas.notice", "subscription_id", "Notices")
    currency_id = fields.Many2one(related="company_id.currency_id")
    ingreso_mensual = fields.Monetary(
        "Monthly revenue", compute="_compute_ingreso_mensual", store=True, aggregator="sum"
    )

    reason = fields.Selection(
        [
            ("Expired", "The paid time is over"),
            ("Refunded", "The payment was given back"),
            ("Cancelled", "Cancelled, and the paid time is over"),
        ],
        "Why it is suspended",
        readonly=True,
        copy=False,
        tracking=True,
    )
    suspended_at = fields.Datetime("Suspended", readonly=True, copy=False, index=True)
    final_notice_at = fields.Datetime("Final notice", readonly=True, copy=False)
    archived_at = fields.Datetime("Archived", readonly=True, copy=False)
    hidden_at = fields.Datetime("Removed by a person", readonly=True, copy=False)
    data_removed_at = fields.Datetime("Data removed", readonly=True, copy=False, index=True)
    archive = fields.Char("Archive", readonly=True, copy=False, help="On the sidecar's host.")

    @api.depends("fecha_fin", "company_id")
    def _compute_dias_restantes(self):
        for subscription in self:
            today = subscription.company_id._microsaas_today()
            end = subscription.fecha_fin
            subscription.dias_restantes = (end - today).days if end else 0

    @api.depends("product_id.list_price", "product_id.duracion_suscripcion")
    def _compute_ingreso_mensual(self):
        for subscription in self:
            plan = subscription.product_id
            months = MONTHS[plan.duracion_suscripcion or "monthly"]
            subscription.ingreso_mensual = plan.list_price / months

    @api.model_create_multi
    def create(self, vals_list):
        sequence = self.env["ir.sequence"]
        for vals in vals_list:
            if vals.get("name", "/") == "/":
                company = vals.get("company_id", self.env.company.id)
                code = sequence.with_company(company).next_by_code("microsaas.subscription")
                vals["name"] = code or "/"
        return super().create(vals_list)

    def write(self, vals):
        result = super().write(vals)
        if vals.keys() & {"state", "fecha_inicio", "fecha_fin"}:
            self.instancia_id._wish_changed()
        if vals.keys() & {"fecha_fin", "suspended_at", "data_removed_at"}:
            # Whether it may go down was asked about what it was before.
            self.env["microsaas.brake"].sudo()._forget(self)
        return result

    def action_renovar(self):
        """Open the renewal invoice: the one that waits for its payment, else a new one in draft.

        :return: an act_window of the invoice
        :raise UserError: cancelled, or without a plan or a customer to invoice
        """
        self.ensure_one()
        self._check_user()
        move = self._open_renewal_invoice() or self._create_renewal_invoice()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": move.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }

    def action_cancelar(self):
        """Cancel: nothing more is invoiced, and the instance stops after the last paid day, today where there is none.

        :return: True
        """
        self._check_user()
        for subscription in self.sudo().filtered(lambda sub: sub.state != "cancelled"):
            vals = {"state": "cancelled"}
            if subscription.fecha_inicio and not subscription.fecha_fin:
                vals["fecha_fin"] = subscription.company_id._microsaas_today()
            subscription.write(vals)
        return True

    def action_reanudar(self):
        """Undo a cancellation before the last paid day is over.

        :return: True
        :raise UserError: it is not cancelled, or has ended
        """
        self._check_user()
        for subscription in self.sudo():
            end = subscription.fecha_fin
            is_over = subscription.suspended_at or (end and end < subscription.company_id._microsaas_today())
            if subscription.state != "cancelled" or is_over:
                raise UserError(
                    self.env._(
                        "Subscription %s is not cancelled, or its paid time is over: nothing can be undone.",
                        subscription.name,
                    )
                )
            subscription.state = "active" if subscription.fecha_inicio else "draft"
        return True

    def _open_renewal_invoice(self):
        """Return the renewal invoice that still waits for its payment, maybe none."""
        return self.sudo().renewal_line_ids.move_id.filtered(
            lambda move: move.move_type == "out_invoice"
            and move.state != "cancel"
            and move.payment_state in OPEN
        )[:1]

    def _create_renewal_invoice(self):
        if self.state == "cancelled":
            raise UserError(self.env._("Subscription %s is cancelled.", self.name))
        if self.data_removed_at:
            raise UserError(
                self.env._(
                    "The data of subscription %s were removed. The operator can restore them from the archive %s.",
                    self.name,
                    self.archive or "",
                )
            )
        if not (self.product_id and self.partner_id):
            raise UserError(
                self.env._("Subscription %s has no plan or no customer to invoice.", self.name)
            )
        line = {"product_id": self.product_id.id, "quantity": 1, "suscripcion_id": self.id}
        move = self.env["account.move"].sudo().with_company(self.company_id)
        return move.create(
            {
                "move_type": "out_invoice",
                "partner_id": self.partner_id.id,
                "invoice_origin": self.name,
                "invoice_line_ids": [Command.create(line)],
            }
        )

    def _issue_renewal_invoice(self):
        """Return the posted renewal invoice that waits for its payment; issue it if there is none.

        :raise UserError: cancelled, data removed, or without a plan or a customer to invoice
        """
        self.ensure_one()
        move = self._open_renewal_invoice() or self._create_renewal_invoice()
        if move.state == "draft":
            move.action_post()
        return move

    def _invoice_to_pay(self):
        """Return the posted invoice whose payment keeps the instance running, the oldest; maybe none.

        The first sale's own one when its payment was cancelled: nobody pays for one month by two invoices.
        """
        first = self.sudo().instancia_id.linea_factura_id
        moves = (first | first._microsaas_corrections() | self.sudo().renewal_line_ids).move_id
        return moves.filtered(
            lambda move: move.move_type == "out_invoice"
            and move.state == "posted"
            and move.payment_state in OPEN
        ).sorted("id")[:1]

    def _ask_to_pay(self):
        """Make sure that the customer has something to pay, where a payment would help."""
        if self._can_be_paid() and not self._invoice_to_pay():
            self._issue_renewal_invoice()

    def _pay_url(self):
        """Return where the customer pays; empty if there is nothing to pay."""
        move = self._invoice_to_pay()
        return move and move.get_base_url() + move.get_portal_url()

    def _data_removed_on(self):
        """Return the day on which the data go when the final notice is given today."""
        days = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)["final_notice"]
        return self.company_id._microsaas_today() + timedelta(days=days)

    def _data_kept_until(self):
        """Return the day until which the data of a suspended or removed instance are kept, one that goes down today too."""
        days = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)["retention"]
        since = self.hidden_at or self.suspended_at or fields.Datetime.now()
        zone = self.with_context(tz=self.company_id._microsaas_tz())
        return fields.Date.context_today(zone, since) + timedelta(days=days)

    @api.model
    def _cron_issue_renewals(self):
        """Issue the renewal invoices that plans want some days ahead; one that fails holds up no other."""
        plans = self.env["product.template"].search([("microsaas_renew_days", ">", 0)])
        for plan in plans:
            ahead = timedelta(days=plan.microsaas_renew_days)
            due = self.search(
                [
                    ("product_id.product_tmpl_id", "=", plan.id),
                    ("state", "in", ("active", "expiring_soon", "paused")),
                    # Nowhere on earth is it later than tomorrow; the company's own day decides below.
                    ("fecha_fin", "<=", fields.Date.today() + timedelta(days=1) + ahead),
                ]
            ).filtered(
                lambda sub, ahead=ahead: sub.fecha_fin <= sub.company_id._microsaas_today() + ahead
                and not sub._is_free()
            )
            for subscription in due:
                try:
                    with self.env.cr.savepoint():
                        subscription._issue_renewal_invoice()
                except UserError as error:
                    _logger.warning("No renewal invoice for %s: %s", subscription.name, error)
                    subscription._ask_people("invoiceFailed")

    def _ask_people(self, kind):
        """Ask a person to look at this subscription, by an activity.

        :param kind: `refundWarning`, `paidThoughRemoved`, `paidAfterRemoval`, `noAddress`, `mailFailed` or
            `invoiceFailed`
        """
        _ = self.env._
        summary = {
            "refundWarning": _("The payment was given back; the instance goes on running"),
            "paidThoughRemoved": _("Paid though it was removed: restore it, or give the money back"),
            "paidAfterRemoval": _("Paid after its data were removed: restore it, or give the money back"),
            "noAddress": _("The customer has no e-mail address and was not told"),
            "invoiceFailed": _("The renewal invoice could not be made: press Renew to see why"),
            "mailFailed": _("A mail to the customer could not be made: check its template"),
        }[kind]
        person = self.factura_id.invoice_user_id or self.env.ref("base.user_admin")
        asked = self.activity_ids.filtered(lambda activity: activity.summary == summary)
        if not asked:
            self.activity_schedule(SUBSCRIPTION_ACTIVITY, summary=summary, user_id=person.id)

    def _check_user(self):
        if not (self.env.su or self.env.user.has_group("micro_saas.group_microsaas_user")):
            raise AccessError(self.env._("Only MicroSaaS users renew or cancel subscriptions."))
        self.check_access("read")

    # -- what it costs -------------------------------------------------------------------------

    def _is_free(self):
        """Tell whether this subscription costs nothing: neither when it was sold nor when it would be renewed."""
        sold_for = self.sudo().instancia_id.linea_factura_id.price_subtotal
        return bool(self.product_id) and not self.product_id.lst_price and not sold_for

    def _goes_on_by_itself(self):
        """Tell whether nothing but a person ends this subscription."""
        continues = self._is_free() and self.product_id.microsaas_free != "end" and self.state != "cancelled"
        return continues or not self.fecha_fin

    def _can_be_paid(self):
        """Tell whether a payment keeps the instance, or brings it back.

        Whoever cancelled, was given the money back or had the instance removed is asked for none; where there is no
        plan or no customer, nobody can be asked; and what costs nothing would be paid as soon as it is posted.
        """
        has_ended = self.state in ("cancelled", "removed") or self.reason == "Refunded"
        return bool(self.product_id and self.partner_id) and not has_ended and not self._is_free()
