"""What a renewal costs and which days it pays for; what a subscription brings in by the month."""

from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import Command, api, fields, models

from .product_template import MONTHS


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    ingreso_mensual = fields.Monetary(
        "Monthly revenue",
        compute="_compute_ingreso_mensual",
        store=True,
        aggregator="sum",
        help="What was really invoiced for the last paid period, without taxes, by the month.",
    )

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

    def _last_invoiced_line(self):
        """Return the line that was paid for the last period, else the one it was first sold by; maybe none."""
        paid = self.periodo_ids.filtered(lambda period: period.linea_factura_id and not period.fecha_retirada)
        last = paid.sorted(lambda period: (period.fecha_fin_nueva, period.id))[-1:]
        return last.linea_factura_id or self.instancia_id.linea_factura_id

    def _agreed_line(self):
        """Return the line whose price the customer agreed to: the first sale's, or the latest that corrects it.

        None where nobody was invoiced, where the plan is another one by now, and where the sale was given away: who tries
        a plan for nothing has agreed to no price.
        """
        first = self.instancia_id.linea_factura_id
        corrections = first._microsaas_corrections().filtered(lambda line: line.parent_state == "posted")
        line = corrections.sorted("id")[-1:] or first
        same_plan = line.product_id == self.product_id
        return line if same_plan and line.price_subtotal > 0 else line.browse()

    def _renews_at_agreed_price(self):
        return bool(self._agreed_line()) and self.product_id.microsaas_renew_price != "list"

    def _renewal_pricelist(self):
        """Return the pricelist that a price of today is taken from, maybe none."""
        return self.partner_id.with_company(self.company_id).property_product_pricelist

    def _renewal_line_vals(self):
        """Return the values of the invoice line that prolongs this subscription by one term."""
        vals = {
            "product_id": self.product_id.id,
            "quantity": 1,
            "suscripcion_id": self.id,
            "sequence": 10,
        }
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
        pricelist = self._renewal_pricelist()
        if pricelist:
            currency = self._renewal_currency()
            vals["price_unit"] = pricelist._get_product_price(self.product_id, 1.0, currency=currency)
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
            if self._renews_at_agreed_price():
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
        months = MONTHS[self.product_id.duracion_suscripcion or "monthly"] * terms
        # What began on the 31st ends before the 31st again, not before the 28th of the February in between.
        begun = self.fecha_inicio or first
        passed = (first.year - begun.year) * 12 + first.month - begun.month
        anchor, passed = (begun, passed) if begun + relativedelta(months=passed) == first else (first, 0)
        return first, anchor + relativedelta(months=passed + months, days=-1)
