from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

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

    def _ask_people(self, kind):
        """Ask a person to look at this subscription, by an activity.

        :param kind: `refundWarning`, `paidThoughRemoved`, `paidAfterRemoval`, `noAddress`, `mailFailed`,
            `invoiceFailed` or `leaverOwes`
        """
        _ = self.env._
        summary = {
            "refundWarning": _("The payment was given back; the instance goes on running"),
            "paidThoughRemoved": _("Paid though it was removed: restore it, or give the money back"),
            "paidAfterRemoval": _("Paid after its data were removed: restore it, or give the money back"),
            "noAddress": _("The customer has no e-mail address and was not told"),
            "invoiceFailed": _("The renewal invoice could not be made: press Renew to see why"),
            "mailFailed": _("A mail to the customer could not be made: check its template"),
            "leaverOwes": _("It ended while a renewal invoice is unpaid: credit the invoice, or ask for the money"),
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
