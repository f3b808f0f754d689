from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError

from .product_template import MONTHS


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
    renovacion_ids = fields.One2many("microsaas.renewal", "subscription_id", "Renewals")
    renewal_line_ids = fields.One2many("account.move.line", "suscripcion_id", "Renewal lines")

    @api.depends("fecha_fin", "company_id")
    def _compute_dias_restantes(self):
        for subscription in self:
            tz = subscription.company_id.partner_id.tz or "UTC"
            today = fields.Date.context_today(subscription.with_context(tz=tz))
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
        """Cancel: nothing more is invoiced, and the instance stops after the last paid day.

        :return: True
        """
        self._check_user()
        self.sudo().filtered(lambda sub: sub.state != "cancelled").write({"state": "cancelled"})
        return True

    def _open_renewal_invoice(self):
        """Return the renewal invoice that still waits for its payment, maybe none."""
        open_states = ("not_paid", "partial")
        return self.sudo().renewal_line_ids.move_id.filtered(
            lambda move: move.move_type == "out_invoice"
            and move.state != "cancel"
            and move.payment_state in open_states
        )[:1]

    def _create_renewal_invoice(self):
        if self.state == "cancelled":
            raise UserError(self.env._("Subscription %s is cancelled.", self.name))
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

    def _renewal_invoice_to_pay(self):
        """Return the renewal invoice, posted: the customer renews by herself and pays at once.

        :raise UserError: cancelled, or without a plan or a customer to invoice
        """
        self.ensure_one()
        move = self.env["account.move"].sudo().browse(self.sudo().action_renovar()["res_id"])
        if move.state == "draft":
            move.action_post()
        return move

    def _check_user(self):
        if not (self.env.su or self.env.user.has_group("micro_saas.group_microsaas_user")):
            raise AccessError(self.env._("Only MicroSaaS users renew or cancel subscriptions."))
        self.check_access("read")

    def _desired(self):
        """Return the subscription as the sidecar reads it; False where there is none."""
        return bool(self) and {
            "id": self.id,
            "state": self.state,
            "fecha_inicio": fields.Date.to_string(self.fecha_inicio) or "",
            "fecha_fin": fields.Date.to_string(self.fecha_fin) or "",
            "months": MONTHS[self.product_id.duracion_suscripcion or "monthly"],
        }
