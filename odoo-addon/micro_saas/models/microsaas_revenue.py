"""Recurring revenue: what the services that were invoiced bring in by the month, as of the end of each month."""

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL

# What is sold for longer counts as sold for a hundred years.
MOST_MONTHS = 1200


class MicrosaasRevenue(models.Model):
    """One invoice line in one month: its amount divided by the months that it was sold for.

    A month counts the lines whose days of service hold its last day, the present one those that hold today: so each
    subscription counts once a month, whichever day it is renewed on, and a line in as many months as it was sold for. What
    credits or corrects a line takes its days, so that it lowers the months that the line has raised. ADR 19.
    """

    _name = "microsaas.revenue"
    _description = "Recurring revenue"
    _auto = False
    _order = "month desc, id"
    _rec_name = "move_id"
    # What decides about a row, to be flushed before it is read.
    _depends = {
        "account.move": ["move_type", "invoice_date", "date", "payment_state"],
        "account.move.line": [
            *("balance", "company_id", "display_type", "move_id", "parent_state", "partner_id", "product_id", "quantity"),
            *("microsaas_months", "microsaas_origen_id", "microsaas_service_start", "microsaas_service_end", "suscripcion_id"),
            "microsaas_change_id",
        ],
        "microsaas.subscription": ["fecha_inicio", "instancia_id"],
        "odoo.docker.instance": ["linea_factura_id"],
    }

    month = fields.Date(readonly=True, help="Its first day.")
    amount = fields.Monetary("By the month", readonly=True, aggregator="sum", help="Without taxes, in the company's currency.")
    kind = fields.Selection(
        [("sale", "First sale"), ("renewal", "Renewal"), ("credit", "Credit note")], "What", readonly=True
    )
    move_id = fields.Many2one("account.move", "Invoice", readonly=True)
    partner_id = fields.Many2one("res.partner", "Customer", readonly=True)
    product_id = fields.Many2one("product.product", "Plan", readonly=True)
    payment_state = fields.Selection(related="move_id.payment_state")
    service_start = fields.Date("Service from", readonly=True)
    service_end = fields.Date("Service until", readonly=True)
    company_id = fields.Many2one("res.company", "Company", readonly=True)
    currency_id = fields.Many2one("res.currency", "Currency", readonly=True)

    def init(self):
        super().init()
        # A company may have invoiced much else.
        self.env.cr.execute(
            """CREATE INDEX IF NOT EXISTS account_move_line_microsaas_plan_index
                   ON account_move_line (move_id) WHERE microsaas_months > 0"""
        )

    @property
    def _table_query(self):
        # The planner takes this for heavy work; compiling it costs several times what running it does.
        self.env.cr.execute("SET LOCAL jit = off")
        today = self.env.company._microsaas_today()
        return SQL(
            """SELECT service.id::bigint * 1000 + month.number AS id, month.first AS month, service.amount, service.kind,
                      service.move_id, service.partner_id, service.product_id, service.company_id, company.currency_id,
                      service.first AS service_start, service.last AS service_end
                 FROM (%(services)s) service
                 JOIN res_company company ON company.id = service.company_id
           CROSS JOIN LATERAL (
                      SELECT number, (date_trunc('month', service.first) + make_interval(months => number))::date AS first
                        FROM generate_series(0, service.months) AS number) month
                WHERE CASE month.first WHEN %(this_month)s THEN %(today)s
                           ELSE (month.first + interval '1 month' - interval '1 day')::date END
                      BETWEEN service.first AND service.last""",
            services=self._services_sql(),
            today=today,
            this_month=today.replace(day=1),
        )

    @api.model
    def _services_sql(self):
        """Return a query of the lines that count: by the month, from the `first` to the `last` day of service."""
        return SQL(
            """WITH RECURSIVE chain AS (  -- a line, and those that it credits or corrects
                      SELECT id, microsaas_origen_id AS origin FROM account_move_line
                       WHERE microsaas_origen_id IS NOT NULL AND microsaas_months > 0
                       UNION
                      SELECT chain.id, line.microsaas_origen_id FROM chain JOIN account_move_line line ON line.id = chain.origin
                       WHERE line.microsaas_origen_id IS NOT NULL),
                    begun AS (  -- a line of a first sale, and when its instances first answered
                      SELECT instance.linea_factura_id AS line_id, min(subscription.fecha_inicio) AS day
                        FROM odoo_docker_instance instance
                        JOIN microsaas_subscription subscription ON subscription.instancia_id = instance.id
                       GROUP BY instance.linea_factura_id),
                    credited AS (  -- a line, and the days and months of what it credits in the end
                      SELECT chain.id, nullif(sold.microsaas_months, 0) AS months, sold.suscripcion_id, sold.quantity,
                             coalesce(sold.microsaas_service_start, begun.day, sale.invoice_date, sale.date) AS first,
                             sold.microsaas_service_end AS last
                        FROM chain
                        JOIN account_move_line sold ON sold.id = chain.origin AND sold.microsaas_origen_id IS NULL
                        JOIN account_move sale ON sale.id = sold.move_id
                   LEFT JOIN begun ON begun.line_id = sold.id)
               SELECT line.id, line.move_id, line.partner_id, line.product_id, line.company_id,
                      CASE WHEN move.move_type = 'out_refund' THEN 'credit'
                           WHEN line.suscripcion_id IS NOT NULL THEN 'renewal' ELSE 'sale' END AS kind,
                      -- What another plan costs more is paid for the days that are left of the present one.
                      -line.balance / CASE WHEN line.microsaas_change_id IS NULL THEN term.months
                                           ELSE (coalesce(credited.last, line.microsaas_service_end) - term.first + 1)
                                                * 12 / 365.2425 END AS amount,
                      term.months, term.first,
                      coalesce(CASE WHEN credited.id IS NULL THEN line.microsaas_service_end ELSE credited.last END,
                               (term.first + make_interval(months => term.months) - interval '1 day')::date) AS last
                 FROM account_move_line line
                 JOIN account_move move ON move.id = line.move_id
            LEFT JOIN credited ON credited.id = line.id
            LEFT JOIN begun ON begun.line_id = line.id
           CROSS JOIN LATERAL (
                      SELECT coalesce(credited.first, line.microsaas_service_start, begun.day, move.invoice_date, move.date) AS first,
                             CASE WHEN line.microsaas_change_id IS NOT NULL
                                  THEN (coalesce(credited.last, line.microsaas_service_end)
                                        - coalesce(credited.first, line.microsaas_service_start)) / 28 + 1 ELSE
                             -- no quantity, however large, may be in the way of all the others
                             least(coalesce(credited.months, line.microsaas_months)
                                   * CASE WHEN credited.id IS NOT NULL AND credited.suscripcion_id IS NOT NULL
                                          THEN greatest(floor(credited.quantity), 1)
                                          WHEN credited.id IS NULL AND line.suscripcion_id IS NOT NULL
                                          THEN greatest(floor(line.quantity), 1) ELSE 1 END,
                                   %(most)s)::int END AS months) term
                WHERE line.microsaas_months > 0
                  AND line.parent_state = 'posted'
                  AND line.display_type = 'product'
                  AND line.balance != 0
                  AND move.move_type IN ('out_invoice', 'out_refund')""",
            most=MOST_MONTHS,
        )

    @api.model
    def _of_months(self, company, months):
        """Return `{month: amount}` of one company, which is 0 where nothing comes in.

        It is what the rows add up to; but lines of the same days are added up before they are divided into months.

        :param months: the first days of theirs, in order
        :raise AccessError: the user may not read invoices
        """
        self.check_access("read")
        self.env.flush_all()
        self.env.cr.execute("SET LOCAL jit = off")
        today = company._microsaas_today()
        ends = [today if month == today.replace(day=1) else month + relativedelta(months=1, days=-1) for month in months]
        rows = self.env.execute_query(
            SQL(
                """SELECT month.ending, sum(service.amount)
                     FROM (SELECT first, last, sum(amount) AS amount FROM (%s) services
                            WHERE company_id = ANY(%s) AND last >= %s GROUP BY first, last) service
                     JOIN unnest(%s::date[]) AS month(ending) ON month.ending BETWEEN service.first AND service.last
                    GROUP BY month.ending""",
                self._services_sql(),
                (company & self.env.companies).ids,
                ends[0],
                ends,
            )
        )
        amounts = dict(rows)
        return {month: float(amounts.get(end, 0.0)) for month, end in zip(months, ends, strict=True)}

    def action_open(self):
        """Open the invoice.

        :return: an act_window
        """
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }
