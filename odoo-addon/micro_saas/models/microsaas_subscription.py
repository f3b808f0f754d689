import logging
from datetime import timedelta
from urllib.parse import urlsplit

from dateutil.relativedelta import relativedelta
from psycopg2.errors import SerializationFailure

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, RedirectWarning, UserError
from odoo.tools import SQL, consteq, email_normalize, format_amount, formataddr, hmac, mute_logger

from .by_hand import ByHand
from .product_template import MONTHS
from .values import write_changed

_logger = logging.getLogger(__name__)

SUBSCRIPTION_ACTIVITY = "micro_saas.mail_activity_type_subscription"
ENDED = ("cancelled", "removed")
# When each stage of dunning was reached; empty while it was not.
MOMENTS = ("suspended_at", "final_notice_at", "archived_at", "data_removed_at", "hidden_at")
# The fields that the sidecar's change gives as they are stored.
REPORTED = {"state", "fecha_inicio", "fecha_fin", "reason", "archive", *MOMENTS}
# As many digits of a backup's id `microsaas backups` shows, and takes.
SHOWN_DIGITS = 12


def shown_backup(name):
    """Return how people read the name of a last backup; an earlier version's is an archive's, `<instance>-<time>`."""
    return name if "-" in name else name[:SHOWN_DIGITS]


class MicrosaasSubscription(ByHand, models.Model):
    """How long an instance is paid for. The sidecar moves `state` and the dates; people see, renew and cancel.

    What becomes of it is decided by the sidecar, from what `_desired` says; `_apply_change` writes it down.
    """

    _name = "microsaas.subscription"
    _description = "Subscription"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _check_company_auto = True

    # -- fields ------------------------------------------------------------------------------------

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
    renewal_line_ids = fields.One2many(
        "account.move.line", "suscripcion_id", "Renewal lines", domain=[("microsaas_change_id", "=", False)]
    )
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
    archived_at = fields.Datetime("Last backup made", readonly=True, copy=False)
    hidden_at = fields.Datetime("Removed by a person", readonly=True, copy=False)
    data_removed_at = fields.Datetime("Data removed", readonly=True, copy=False, index=True)
    archive = fields.Char(
        "Last backup",
        readonly=True,
        copy=False,
        help="The id of the backup that was made before the data were removed; of earlier versions, the name of an archive on the"
        " sidecar's host.",
    )
    restore_command = fields.Char("Command that restores it", compute="_compute_restore_command")
    ingreso_mensual = fields.Monetary(
        "Monthly revenue",
        compute="_compute_ingreso_mensual",
        store=True,
        aggregator="sum",
        help="What was really invoiced for the last paid period, without taxes, by the month.",
    )

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("archive", "instancia_id.erased_at")
    def _compute_restore_command(self):
        for subscription in self:
            if subscription.instancia_id.sudo().erased_at:
                subscription.restore_command = False
                continue
            name = subscription.archive or ""
            # Without a last backup there may be one of a night.
            of_backup = f"{subscription.instancia_id.id} {shown_backup(name) or 'latest'} --yes"
            subscription.restore_command = f"microsaas restore {name if '-' in name else of_backup}"

    @api.depends("fecha_fin", "company_id")
    def _compute_dias_restantes(self):
        for subscription in self:
            today = subscription.company_id._microsaas_today()
            end = subscription.fecha_fin
            subscription.dias_restantes = (end - today).days if end else 0

    @api.depends(
        "product_id.duracion_suscripcion", "instancia_id.linea_factura_id.price_subtotal",
        "periodo_ids.linea_factura_id.price_subtotal", "periodo_ids.fecha_retirada",
    )
    def _compute_ingreso_mensual(self):
        for subscription in self:
            line = subscription._last_invoiced_line()
            # The quantity of a sale is its units, that of a renewal its terms: each is one term of one instance.
            amount = line.price_subtotal / line.quantity if line.quantity else 0.0
            subscription.ingreso_mensual = line.currency_id._convert(
                amount / (subscription._months(line) or 1),
                subscription.currency_id,
                subscription.company_id,
                line.move_id.invoice_date or fields.Date.context_today(subscription),
            ) if amount else 0.0

    # -- create and write --------------------------------------------------------------------------

    def _add_server_vals(self, vals):
        """Give a subscription its number."""
        vals = super()._add_server_vals(vals)
        if vals.get("name", "/") != "/":
            return vals
        sequence = self.env["ir.sequence"].with_company(vals.get("company_id", self.env.company.id))
        return {**vals, "name": sequence.next_by_code("microsaas.subscription") or "/"}

    def write(self, vals):
        result = super().write(vals)
        if vals.keys() & {"state", "fecha_inicio", "fecha_fin", "product_id"}:
            self.instancia_id._wish_changed()
        if vals.keys() & {"fecha_fin", "suspended_at", "data_removed_at"}:
            # Whether it may be suspended or removed was asked about what it was before.
            self.env["microsaas.brake"].sudo()._forget(self)
        if vals.get("state") in ENDED or vals.get("hidden_at") or vals.get("data_removed_at"):
            self.sudo()._drop_open_renewals()
        return result

    # -- actions -----------------------------------------------------------------------------------

    def action_renovar(self):
        """Open the renewal invoice: the one that waits for its payment, else a new one in draft.

        :return: an act_window of the invoice
        :raise UserError: cancelled, or without a plan or a customer to invoice
        """
        self.ensure_one()
        self._check_user()
        move = self._renewal_invoice(self.env._("%s pressed Renew.", self.env.user.name))
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
            if not subscription._can_undo_cancellation():
                raise UserError(
                    self.env._(
                        "Subscription %s is not cancelled, or its paid time is over: nothing can be undone.",
                        subscription.name,
                    )
                )
            subscription.state = "active" if subscription.fecha_inicio else "draft"
        return True

    def _can_undo_cancellation(self):
        end = self.fecha_fin
        is_over = self.suspended_at or (end and end < self.company_id._microsaas_today())
        return self.state == "cancelled" and not is_over

    def _can_be_cancelled_by_customer(self):
        """Tell whether there are paid days that the customer could still let run out."""
        is_going_on = self.state in ("active", "expiring_soon", "paused") and not self.suspended_at
        return is_going_on and bool(self.fecha_fin) and self.fecha_fin >= self.company_id._microsaas_today()

    def _check_user(self):
        if not (self.env.su or self.env.user.has_group("micro_saas.group_microsaas_user")):
            raise AccessError(self.env._("Only MicroSaaS users renew or cancel subscriptions."))
        self.check_access("read")

    def _days_of_grace(self):
        terms = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)
        return 0 if self.state == "cancelled" else terms["grace"]

    # -- what it costs -----------------------------------------------------------------------------

    def _is_free(self):
        """Tell whether this subscription costs nothing: neither when it was sold nor when it would be renewed."""
        if not self.product_id or self.product_id.lst_price:
            return False
        change = self._agreed_change()
        return not (change.price if change else self.sudo().instancia_id.linea_factura_id.price_subtotal)

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

    def _last_invoiced_line(self):
        """Return the line that was paid for the last period, else the one it was first sold by; maybe none."""
        paid = self.periodo_ids.filtered(lambda period: period.linea_factura_id and not period.fecha_retirada)
        last = paid.sorted(lambda period: (period.fecha_fin_nueva, period.id))[-1:]
        return last.linea_factura_id or self.instancia_id.linea_factura_id

    def _agreed_line(self):
        """Return the line whose price the customer agreed to: the first sale's, or the latest that corrects it.

        None where nobody was invoiced, where the plan is another one by now, and where the sale was given away: who tries
        a plan for nothing has agreed to no price. Who has changed plan has agreed to that change's price.
        """
        first = self.instancia_id.linea_factura_id
        corrections = first._microsaas_corrections().filtered(lambda line: line.parent_state == "posted")
        line = corrections.sorted("id")[-1:] or first
        same_plan = line.product_id == self._plan_to_renew() and not self._agreed_change()
        return line if same_plan and line.price_subtotal > 0 else line.browse()

    def _renews_at_agreed_price(self):
        return bool(self._agreed_line()) and self._plan_to_renew().microsaas_renew_price != "list"

    def _renewal_pricelist(self):
        """Return the pricelist that a price of today is taken from, maybe none."""
        return self.partner_id.with_company(self.company_id).property_product_pricelist

    def _renewal_line_vals(self):
        """Return the values of the invoice line that prolongs this subscription by one term."""
        vals = {**self._price_of_today_vals(self._plan_to_renew()), "suscripcion_id": self.id, "sequence": 10}
        agreed_price = self._price_agreed_by_change()
        if agreed_price is not None:
            return {**vals, "price_unit": agreed_price}
        if self._renews_at_agreed_price():
            line = self._agreed_line()
            return {
                **vals,
                "name": line.name,
                "price_unit": line.price_unit,
                "discount": line.discount,
                "product_uom_id": line.product_uom_id.id,
                "tax_ids": [Command.set(line.tax_ids.filtered("active").ids)],
                "analytic_distribution": line.analytic_distribution,
            }
        return vals

    def _price_of_today_vals(self, product):
        """Return the values of an invoice line of one term of a plan at its price of today."""
        vals, pricelist = {"product_id": product.id, "quantity": 1}, self._renewal_pricelist()
        if pricelist:
            currency = self._renewal_currency()
            vals["price_unit"] = pricelist._get_product_price(product, 1.0, currency=currency)
        return vals

    def _renewal_currency(self):
        first = self.instancia_id.linea_factura_id.move_id
        return first.currency_id or self._renewal_pricelist().currency_id or self.company_id.currency_id

    def _renewal_move_vals(self):
        """Return what the whole renewal invoice takes over from the first sale; renewals that agree in it may share one."""
        first = self._agreed_line().move_id or self.instancia_id.linea_factura_id.move_id
        vals = {
            "move_type": "out_invoice",
            "partner_id": self.partner_id.id,
            "currency_id": self._renewal_currency().id,
            # Whoever sold it sells the renewal too, not the robot or the customer that has it made.
            "invoice_user_id": (first or self.factura_id).invoice_user_id.id,
        }
        if first and first.partner_id == self.partner_id:
            vals["partner_shipping_id"] = first.partner_shipping_id.id
            vals["invoice_payment_term_id"] = first.invoice_payment_term_id.id
            if self._renews_at_agreed_price() or self._price_agreed_by_change() is not None:
                vals["fiscal_position_id"] = first.fiscal_position_id.filtered("active").id
            if first.journal_id.active:
                vals["journal_id"] = first.journal_id.id
        return vals

    def _renewal_amount(self):
        """Return what a renewal by one term would cost with taxes, in `_renewal_currency`; nothing is written."""
        move = self.env["account.move"].with_company(self.company_id).new(
            {**self._renewal_move_vals(), "invoice_line_ids": [Command.create(self._renewal_line_vals())]}
        )
        return move.invoice_line_ids[:1].price_total

    def _next_period(self, terms=1):
        """Return `(first, last)`, the days that the next renewal pays for when it is paid today.

        :param terms: how many terms of the plan are bought at once
        """
        goes_on = self.fecha_fin and not self.suspended_at
        first = self.fecha_fin + timedelta(days=1) if goes_on else self.company_id._microsaas_today()
        months = self._plan_to_renew()._microsaas_months() or MONTHS["monthly"]
        anchor, passed = self._anchor(first)
        return first, anchor + relativedelta(months=passed + months * terms, days=-1)

    def _anchor(self, first):
        """Return `(day, months)`: the day that periods are counted from, and how many months later `first` is.

        What began on the 31st ends before the 31st again, not before the 28th of the February in between.
        """
        begun = self.fecha_inicio or first
        passed = (first.year - begun.year) * 12 + first.month - begun.month
        return (begun, passed) if begun + relativedelta(months=passed) == first else (first, 0)

    # -- one open renewal invoice for each ---------------------------------------------------------

    def _open_renewal_invoice(self):
        """Return the renewal invoice that still waits for its payment, maybe none."""
        return self.sudo().renewal_line_ids.move_id.filtered(
            lambda move: move.move_type == "out_invoice"
            and move._microsaas_is_open()
            and not move._microsaas_is_fully_reversed()
        ).sorted("id")[:1]

    def _renewal_invoice(self, why):
        """Return the open invoice of one subscription; make it, in draft, if there is none.

        :raise UserError: cancelled, data removed, or without a plan or a customer to invoice
        """
        self._serialize_renewals()
        return self._open_renewal_invoice() or self._create_renewal_invoice(why)

    def _serialize_renewals(self):
        """Let one transaction at a time make a renewal invoice of these subscriptions.

        Who lost the race would not see the winner's invoice in their snapshot. Touching the row makes them fail to
        serialize instead, and Odoo runs them again on a fresh snapshot.
        """
        self.flush_recordset()
        self.env.cr.execute(
            SQL("UPDATE microsaas_subscription SET write_date = write_date WHERE id IN %s", self._ids)
        )

    def _create_renewal_invoice(self, why):
        """Return one new draft that renews all of these subscriptions; they agree in `_renewal_key`."""
        for subscription in self:
            subscription._check_renewable()
        lang = self.partner_id.lang
        move = self.env["account.move"].sudo().with_company(self.company_id).with_context(lang=lang).create(
            {
                **self[0]._renewal_move_vals(),
                "invoice_origin": ", ".join(self.mapped("name")),
                "invoice_line_ids": [
                    Command.create(subscription._renewal_line_vals()) for subscription in self.sorted("id")
                ],
            }
        )
        move.invoice_line_ids._microsaas_write_period()
        for subscription in self.sudo():
            body = self.env._("Renewal invoice made, %(amount)s: %(why)s", amount=move.currency_id.format(move.amount_total), why=why)
            subscription.message_post(body=body)
        move.message_post(body=why)
        return move

    def _check_renewable(self):
        if self.state in ENDED:
            raise UserError(self.env._("Subscription %s is cancelled.", self.name))
        self.instancia_id._check_not_erased()
        if self.data_removed_at:
            raise UserError(
                self.env._(
                    "The data of subscription %s were removed. The operator can restore them: %s",
                    self.name,
                    self.restore_command,
                )
            )
        if not (self.product_id and self.partner_id):
            raise UserError(
                self.env._("Subscription %s has no plan or no customer to invoice.", self.name)
            )

    def _can_be_renewed(self):
        has_ended = self.state in ENDED or self.data_removed_at
        return bool(self.product_id and self.partner_id) and not has_ended and not self._is_free()

    def _issue_renewal_invoice(self, why=""):
        """Return the posted renewal invoice that waits for its payment; issue it if there is none.

        :param why: a sentence for the chatter: who or what wants it
        :raise UserError: cancelled, data removed, or without a plan or a customer to invoice
        """
        self.ensure_one()
        move = self._renewal_invoice(why or self.env._("The renewal was asked for."))
        if move.state == "draft":
            move.action_post()
        return move

    # -- what the customer pays --------------------------------------------------------------------

    def _invoice_to_pay(self):
        """Return the posted invoice whose payment keeps the instance running, the oldest; maybe none.

        The first sale's own one when its payment was cancelled: nobody pays for one month by two invoices.
        """
        first = self.sudo().instancia_id.linea_factura_id
        moves = (first | first._microsaas_corrections() | self.sudo().renewal_line_ids).move_id
        return moves.filtered(
            lambda move: move.move_type == "out_invoice"
            and move._microsaas_is_owed()
            and not move._microsaas_is_fully_reversed()
        ).sorted("id")[:1]

    def _posted_invoice(self):
        """Return the posted invoice that is to be paid, or whose money is on the way; maybe none."""
        return self._invoice_to_pay() or self._open_renewal_invoice().filtered(lambda move: move.state == "posted")

    def _pay_url(self):
        """Return where the customer pays; empty if there is nothing to pay, or nothing they are asked for.

        Without a posted invoice it is a page that says what a renewal costs; the invoice is made and posted there, when
        the customer wants it: a lapse alone makes nobody owe anything.
        """
        posted = self._posted_invoice()
        if posted:
            return posted.get_base_url() + posted.get_portal_url()
        if self.data_removed_at or not self._can_be_paid():
            return ""
        return self.get_base_url() + self._renewal_path()

    def _renewal_path(self):
        """Return the path of the page that says what a renewal costs, or leads on to the invoice that is to be paid."""
        return f"/my/renew/{self.id}/{self._renewal_token()}"

    def _renewal_token(self):
        """Return what opens this subscription's page to renew; it is worth no more than that."""
        return hmac(self.env(su=True), "microsaas-renew", self.ids)

    def _is_renewal_token(self, token):
        return consteq(self._renewal_token(), token)

    def _renewed_together(self):
        """Return this subscription and those that one invoice may renew with it: same customer, terms and last day."""
        others = self.sudo().search(
            [
                ("partner_id", "=", self.partner_id.id),
                ("company_id", "=", self.company_id.id),
                ("fecha_fin", "=", self.fecha_fin),
                ("id", "!=", self.id),
                ("state", "not in", ("draft", *ENDED)),
            ]
        ).filtered(
            lambda other: other._can_be_renewed()
            and not (other._open_renewal_invoice() or other._invoice_to_pay() or other._waiting_changes())
            and other._renewal_key() == self._renewal_key()
        )
        return self | others

    def _renewal_key(self):
        """Return what subscriptions agree in that one invoice renews."""
        plan = self.product_id.product_tmpl_id
        vals = self._renewal_move_vals() if self.product_id and self.partner_id else {"id": self.id}
        return (self.company_id, self.fecha_fin, plan.microsaas_renew_issue, tuple(sorted(vals.items())))

    def _renew_together(self, why):
        """Return the posted invoice of these subscriptions: the first one's open one, else one new one for all."""
        self._serialize_renewals()
        move = self[0]._open_renewal_invoice()
        if not move:
            move = self.filtered(lambda one: not one._open_renewal_invoice())._create_renewal_invoice(why)
        if move.state == "draft":
            move.action_post()
        return move

    # -- renewal invoices made ahead of the end ----------------------------------------------------

    @api.model
    def _cron_issue_renewals(self):
        """Make the renewal invoices that plans want some days ahead; one that fails holds up no other."""
        for group in self._due_for_renewal().grouped(lambda one: one._renewal_key()).values():
            try:
                # Somebody renews one of them in this moment: then it has its invoice already.
                with mute_logger("odoo.sql_db"), self.env.cr.savepoint():
                    group._renew_ahead()
            except SerializationFailure:
                _logger.info("Somebody else renews %s.", ", ".join(group.mapped("name")))
            except (UserError, RedirectWarning) as error:
                for subscription in group:
                    _logger.warning("No renewal invoice for %s: %s", subscription.name, error)
                    subscription._ask_people("invoiceFailed")

    def _due_for_renewal(self):
        """Return the subscriptions whose plans want an invoice by today; an archived plan goes on for who has it."""
        plans = self.env["product.template"].with_context(active_test=False)
        due = self.browse()
        for plan in plans.search([("microsaas_renew_days", ">", 0)]):
            candidates = self.search(
                [
                    ("product_id", "in", plan.product_variant_ids.ids),
                    ("state", "in", ("active", "expiring_soon", "paused")),
                    # The days are the company's; nowhere is it later than a day after UTC's.
                    ("fecha_fin", "<=", fields.Date.today() + timedelta(days=plan.microsaas_renew_days + 1)),
                ]
            )
            days = timedelta(days=plan.microsaas_renew_days)
            due |= candidates.filtered(
                lambda one, days=days: one.fecha_fin <= one.company_id._microsaas_today() + days
                and not (one._is_free() or one._will_be_free())
            )
        return due

    def _renew_ahead(self):
        self._serialize_renewals()
        todo = self.filtered(lambda one: not one._open_renewal_invoice())
        if not todo:
            return
        plan = todo[0].product_id
        why = self.env._("Plan %(plan)s renews %(days)s days ahead.", plan=plan.name, days=plan.microsaas_renew_days)
        move = todo._create_renewal_invoice(why)
        # Whoever was sent the invoice of a dearer plan pays that one first, or withdraws it.
        if plan.microsaas_renew_issue == "posted" and not todo._waiting_changes():
            move.action_post()

    # -- renewal invoices of leavers ---------------------------------------------------------------

    def _drop_open_renewals(self):
        """Nobody is to owe for what has ended: take its drafts back; a posted invoice is an accountant's decision."""
        for subscription in self:
            for line in subscription.renewal_line_ids.filtered(lambda line: line.move_id.move_type == "out_invoice"):
                if line.parent_state == "draft":
                    line._microsaas_leave_draft(
                        self.env._("Subscription %s has ended: it is not renewed here any more.", subscription.name)
                    )
            open_move = subscription._open_renewal_invoice()
            if open_move:
                is_paying = open_move._microsaas_has_money_on_its_way()
                subscription._ask_people("leaverPays" if is_paying else "leaverOwes")

    # -- what the mails say ------------------------------------------------------------------------

    def _mail_from(self):
        """Return who writes to the customer: the company, by an address that its mail server may use.

        A mail without a sender never leaves.
        """
        company = self.company_id.sudo()
        if company.email_formatted:
            return company.email_formatted
        servers = self.env["ir.mail_server"].sudo()
        address = email_normalize(company.default_from_email or servers._get_default_from_address())
        address = address or servers._microsaas_sender()
        host = urlsplit(self.get_base_url()).hostname or "localhost"
        return formataddr((company.name, address or f"noreply@{host}"))

    def _mail_reply_to(self):
        """Return where the customer's answer goes: to whoever sold it, else to the company."""
        return self._mail_contact() or self._mail_from()

    def _mail_contact(self):
        """Return the address that customers write to; empty if the company has none."""
        company = self.company_id.sudo()
        return company.email or company.catchall_email or ""

    def _portal_url(self):
        """Return the customer's own page about the instance."""
        return f"{self.get_base_url()}/my/instances/{self.instancia_id.id}"

    def _amount_to_pay(self):
        """Return what the customer would pay behind `_pay_url`, with its currency; empty if there is nothing to pay."""
        move = self._invoice_to_pay()
        if move:
            return format_amount(self.env, move.amount_residual, move.currency_id)
        if not self._pay_url():
            return ""
        draft = self._open_renewal_invoice()
        if draft:
            return format_amount(self.env, draft.amount_total, draft.currency_id)
        return format_amount(self.env, self._renewal_amount(), self._renewal_currency())

    def _amount_paid(self):
        """Return what the last period was invoiced at, with taxes and currency; empty if nobody was invoiced for it."""
        line = self.sudo()._last_invoiced_line()
        return format_amount(self.env, line.price_total, line.currency_id) if line else ""

    def _data_removed_on(self):
        """Return the day on which the data go when the final notice is given today."""
        days = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)["final_notice"]
        return self.company_id._microsaas_today() + timedelta(days=days)

    def _data_kept_until(self):
        """Return the day until which the data of a suspended or removed instance are kept, one that is suspended today too."""
        days = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)["retention"]
        since = self.hidden_at or self.suspended_at or fields.Datetime.now()
        zone = self.with_context(tz=self.company_id._microsaas_tz())
        return fields.Date.context_today(zone, since) + timedelta(days=days)

    def _data_kept_after_end(self):
        """Return the day until which the data are kept where nothing is paid for after the last paid day."""
        days = self.product_id.product_tmpl_id._microsaas_terms(self.company_id)["retention"]
        return self.fecha_fin + timedelta(days=1 + days)

    # -- asking people -----------------------------------------------------------------------------

    def _ask_people(self, kind):
        """Ask a person to look at this subscription, by an activity.

        :param kind: `refundWarning`, `paidThoughRemoved`, `paidAfterRemoval`, `noAddress`, `mailFailed`,
            `invoiceFailed`, `leaverOwes`, `leaverPays`, `changePaidLate`, `changeShared`, `changeUnpaid`,
            `changeUndone` or `changeWantsUpdate`
        """
        _ = self.env._
        summary = {
            "refundWarning": _("The payment was given back; the instance goes on running"),
            "paidThoughRemoved": _("Paid though it was removed: restore it, or give the money back"),
            "paidAfterRemoval": _("Paid after its data were removed: restore it, or give the money back"),
            "noAddress": _("The customer has no e-mail address and was not told"),
            "invoiceFailed": _("The renewal invoice could not be made: press Renew to see why"),
            "mailFailed": _("A mail to the customer could not be made: check its template"),
            "leaverPays": _(
                "It ended while a renewal is being paid: once the money is here its days count, and it ends after them; credit nothing before"
            ),
            "leaverOwes": _("It ended while a renewal invoice is unpaid: credit the invoice, or ask for the money"),
            "changePaidLate": _("A change of plan was paid that cannot be made any more: give the money back, or change it by hand"),
            "changeShared": _("A change of plan was withdrawn whose invoice has other lines too: credit what is not owed any more"),
            "changeUnpaid": _("The payment of a change of plan was given back; the new plan stays"),
            "changeWantsUpdate": _("Its new plan has modules that it lacks: press Update at night on the instance"),
            "changeUndone": _("The payment of a change of plan was given back: the plan before is back"),
        }[kind]
        person = self.factura_id.invoice_user_id or self.env.ref("base.user_admin")
        asked = self.activity_ids.filtered(lambda activity: activity.summary == summary)
        if not asked:
            self.activity_schedule(SUBSCRIPTION_ACTIVITY, summary=summary, user_id=person.id)

    # -- what the sidecar reads --------------------------------------------------------------------

    def _desired(self):
        """Return the subscription as `microsaas_desired` gives it; False where there is none."""
        if not self:
            return False
        plan = self.product_id.product_tmpl_id
        return {
            "id": self.id,
            "state": self.state,
            "fecha_inicio": fields.Date.to_string(self.fecha_inicio) or "",
            "fecha_fin": fields.Date.to_string(self.fecha_fin) or "",
            "reason": self.reason or "",
            "terms": {
                **plan._microsaas_terms(self.company_id),
                "free": (plan.microsaas_free or "continue") if self._is_free() else "",
            },
            "periods": self._period_dicts(),
            "told": [f"{notice.kind} {notice.period or ''}" for notice in self.notice_ids],
            **{moment: fields.Datetime.to_string(self[moment]) or "" for moment in MOMENTS},
        }

    def _period_dicts(self):
        """Return every line that pays for this subscription: the first sale, its corrections, the renewals."""
        first = self.instancia_id.linea_factura_id
        corrections = first._microsaas_corrections()
        renewals = self.renewal_line_ids.filtered(
            lambda line: line.move_id.move_type == "out_invoice" and line.display_type == "product"
        )
        return [
            self._period(first, is_first=True),
            *[self._period(line) for line in (corrections - renewals | renewals).sorted("id")],
        ]

    def _period(self, line, is_first=False):
        of_the_sale = is_first or not line.suscripcion_id
        counted = self.periodo_ids.filtered(lambda period: period.linea_factura_id == line)
        if is_first:
            counted = self.periodo_ids.filtered("es_primera")
        return {
            "line_id": line.id or 0,
            "is_first": is_first,
            "months": self._months(line) * (1 if of_the_sale else line._microsaas_terms()),
            "money": line._microsaas_money() if line else self.factura_id._microsaas_money(),
            "sold": bool(line and of_the_sale) and self._sold_unit(line),
            "replaces": line.microsaas_origen_id.id or 0,
            "paid_at": self._paid_at(line) if line and not (is_first or counted) else 0,
            "counted": counted[:1]._counted(),
            "missing_since": fields.Datetime.to_string(counted[:1].falta_desde) or "",
        }

    def _months(self, line):
        """Return the months that a unit of this line was sold for; 0 without a plan, for that has no end."""
        plan = line.product_id if line.product_id.es_plan_microsaas else self.product_id
        # A line from before its months were kept has none of its own.
        return line.microsaas_months or plan._microsaas_months()

    def _paid_at(self, line):
        """Return when the invoice of this line was paid, in seconds since 1970; 0 if it is not."""
        return line.move_id._microsaas_paid_at() if line.move_id._microsaas_is_paid() else 0

    def _sold_unit(self, line):
        instance = self.instancia_id
        siblings = instance.linea_factura_id.microsaas_instance_ids
        removed = siblings.filtered(lambda sibling: sibling.desired_state == "removed")
        return {
            "unit": instance.unidad,
            "quantity": line.quantity,
            "removed": removed.mapped("unidad"),
        }

    # -- what the sidecar has decided --------------------------------------------------------------

    def _apply_change(self, change):
        """Write what the sidecar decided; see `microsaas_report`."""
        for sentence in self._sentences_of(change):
            self._message_log(body=sentence, author_id=self.env.user.partner_id.id)
        write_changed(self, {name: change[name] for name in REPORTED & change.keys()})
        for period in change.get("periods", []):
            self._count(period)
        for notice in change.get("notices", []):
            self.env["microsaas.notice"]._tell(self, notice["kind"], notice["period"])

    def _count(self, period):
        is_first = period["is_first"]
        known = self.periodo_ids.filtered(
            lambda it: it.es_primera if is_first else it.linea_factura_id.id == period["line_id"]
        )
        vals = {
            "fecha_fin_anterior": period["before"] or False,
            "fecha_fin_nueva": period["after"] or False,
            "dias": period["days"],
            "fecha_retirada": period["taken_back_on"] or False,
            "dias_retirados": period["taken"],
            "falta_desde": period["missing_since"] or False,
        }
        line = {"linea_factura_id": period["line_id"] or False, "es_primera": is_first}
        if known:
            known.write(vals)
        else:
            known.create({"subscription_id": self.id, **line, **vals})

    def _sentences_of(self, change):
        """Return what is done by itself and why, for the chatter: who is its author."""
        _ = self.env._
        sentences = []
        end = change.get("fecha_fin")
        if end and fields.Date.to_date(end) != self.fecha_fin:
            values = {"before": self.fecha_fin or "–", "after": end, "why": self._why_moved(change)}
            sentences.append(_("Paid until %(after)s instead of %(before)s: %(why)s.", **values))
        if change.get("suspended_at") and not self.suspended_at:
            reasons = dict(self._fields["reason"]._description_selection(self.env))
            why = reasons.get(change.get("reason") or self.reason) or ""
            sentences.append(_("Suspended, its data are kept: %s.", why))
        if change.get("suspended_at") is False and self.suspended_at:
            sentences.append(_("No longer suspended: it is paid for again, or was removed and restored."))
        if change.get("data_removed_at") and not self.data_removed_at:
            archive = change.get("archive") or self.archive or "–"
            sentences.append(_("Data removed, for retention is over. The last backup is %s.", shown_backup(archive)))
        return sentences

    def _why_moved(self, change):
        """Return why the last paid day moves, as the end of a sentence."""
        _ = self.env._
        reasons = []
        for period in change.get("periods", []):
            line = self.env["account.move.line"].browse(period["line_id"] or [])
            invoice = line.move_id.name or _("no invoice")
            if period["taken_back_on"]:
                reasons.append(_("the payment of %s is missing or was given back", invoice))
            elif period["after"]:
                reasons.append(_("%s is paid", invoice) if not period["is_first"] else _("%s began", invoice))
        return ", ".join(reasons) or _("a free plan goes on")

    def _reset_dunning(self):
        """The data are back: dunning begins again with its first stage."""
        self.write({**dict.fromkeys(MOMENTS, False), "reason": False})
