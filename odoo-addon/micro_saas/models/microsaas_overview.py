"""The owner's page: what a seller reads in the morning, of one company. Nothing of it is stored; each number is one query."""

import json
from datetime import timedelta

from babel.dates import format_timedelta
from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.tools import SQL, format_date
from odoo.tools.misc import babel_locale_parse, get_lang

from .account_move import OWED
from .microsaas_backup_watch import PROVEN_WITHIN
from .odoo_docker_instance_situation import SITUATIONS

MONEY = "account.group_account_invoice,account.group_account_readonly"
# So far back what was sold and lost is counted, so far ahead what a cancelled subscription is about to end.
LATELY, SOON = timedelta(days=30), timedelta(days=7)
# How many things that need attention the page itself lists.
MOST_LISTED = 8
MONTHS_DRAWN = 12
# What is gone is history.
COUNTED = [situation for situation, _label in SITUATIONS if situation != "gone"]

INSTANCES, SUBSCRIPTIONS = "micro_saas.odoo_docker_instance_action", "micro_saas.microsaas_subscription_action"
ACTIONS = {
    "attention": "micro_saas.microsaas_attention_action",
    "mail": "micro_saas.microsaas_attention_action",
    "update": INSTANCES,
    "sold": SUBSCRIPTIONS,
    "lost": SUBSCRIPTIONS,
    "expiring": SUBSCRIPTIONS,
    "unpaid": "account.action_move_out_invoice_type",
    "revenue": "micro_saas.microsaas_revenue_action",
}
# Those of the actions would hide what was counted.
CONTEXTS = {"revenue": {"search_default_so_far": 1}, "unpaid": {"default_move_type": "out_invoice"}}


class MicrosaasOverview(models.Model):
    """One row a company, made of `res.company`. Who may not read invoices sees no money."""

    _name = "microsaas.overview"
    _description = "Overview"
    _auto = False
    _depends = {"res.company": ["currency_id"]}

    company_id = fields.Many2one("res.company", "Company", readonly=True)
    currency_id = fields.Many2one("res.currency", "Currency", readonly=True)

    # -- what needs attention, and the first steps -------------------------------------------------

    attention_ids = fields.Many2many("microsaas.attention", string="Needs attention", compute="_compute_attention")
    attention_count = fields.Integer("Things that need attention", compute="_compute_attention")
    attention_more = fields.Integer("More of them", compute="_compute_attention")
    is_new = fields.Boolean("Nothing sold yet", compute="_compute_first_steps", compute_sudo=True)
    has_sidecar = fields.Boolean("The sidecar is connected", compute="_compute_first_steps", compute_sudo=True)
    has_mail_server = fields.Boolean("Mails can leave", compute="_compute_first_steps", compute_sudo=True)
    has_plan = fields.Boolean("There is a plan", compute="_compute_first_steps", compute_sudo=True)
    is_plan_prepared = fields.Boolean("A plan is prepared", compute="_compute_first_steps", compute_sudo=True)

    # -- money -------------------------------------------------------------------------------------

    sold_count = fields.Integer("Sold", compute="_compute_sales", help="Subscriptions first invoiced in the last 30 days.")
    lost_count = fields.Integer(
        "Lost", compute="_compute_sales", help="Subscriptions that were suspended or removed in the last 30 days, and still are."
    )
    expiring_count = fields.Integer(
        "Expiring", compute="_compute_sales", help="They run, and end soon unless they are renewed; cancelled ones too."
    )
    unpaid_count = fields.Integer("Unpaid invoices", compute="_compute_unpaid", groups=MONEY)
    sold_amount = fields.Monetary("Sold, by the month", compute="_compute_sales", groups=MONEY)
    lost_amount = fields.Monetary("Lost, by the month", compute="_compute_sales", groups=MONEY)
    expiring_amount = fields.Monetary("Expiring, by the month", compute="_compute_sales", groups=MONEY)
    unpaid_amount = fields.Monetary("Owed", compute="_compute_unpaid", groups=MONEY)
    revenue_now = fields.Monetary(
        "Recurring revenue",
        compute="_compute_revenue",
        groups=MONEY,
        help="What the services of today bring in by the month, as invoiced, without taxes.",
    )
    revenue_before = fields.Monetary("Recurring revenue at the end of last month", compute="_compute_revenue", groups=MONEY)
    revenue_graph = fields.Text("Recurring revenue by month", compute="_compute_revenue", groups=MONEY)

    # -- instances and what protects them ----------------------------------------------------------

    error_count = fields.Integer("In error", compute="_compute_situations")
    suspended_count = fields.Integer("Suspended", compute="_compute_situations")
    restoring_count = fields.Integer("Being restored", compute="_compute_situations")
    updating_count = fields.Integer("Being updated", compute="_compute_situations")
    preparing_count = fields.Integer("Being prepared", compute="_compute_situations")
    starting_count = fields.Integer("Starting", compute="_compute_situations")
    stopping_count = fields.Integer("Stopping", compute="_compute_situations")
    running_count = fields.Integer("Running", compute="_compute_situations")
    asleep_count = fields.Integer("Asleep", compute="_compute_situations")
    stopped_count = fields.Integer("Stopped", compute="_compute_situations")
    unstarted_count = fields.Integer("Not started yet", compute="_compute_situations")
    removed_count = fields.Integer("Removed, data kept", compute="_compute_situations")
    failed_mail_count = fields.Integer("Mails that did not leave", compute="_compute_attention")
    update_count = fields.Integer("Newer versions", compute="_compute_attention")
    sidecar_text = fields.Char("Sidecar", compute="_compute_protection", compute_sudo=True)
    backup_text = fields.Char("Backups", compute="_compute_protection", compute_sudo=True)
    manager_backup_text = fields.Char("This Odoo itself", compute="_compute_protection", compute_sudo=True)

    # -- rows --------------------------------------------------------------------------------------

    @property
    def _table_query(self):
        return SQL("SELECT id, id AS company_id, currency_id FROM res_company")

    @api.depends("company_id")
    @api.depends_context("lang")
    def _compute_display_name(self):
        for page in self:
            page.display_name = self.env._("Overview")

    # -- what needs attention ----------------------------------------------------------------------

    def _compute_attention(self):
        for page in self:
            rows, mine = self.env["microsaas.attention"], page._domain_of("attention")
            counts = {kind: (rows_of, total) for kind, rows_of, total in rows._read_group(mine, ["kind"], ["__count", "count:sum"])}
            page.attention_count = sum(rows_of for rows_of, _total in counts.values())
            page.attention_ids = rows.search(mine, limit=MOST_LISTED) if counts else rows
            page.attention_more = page.attention_count - len(page.attention_ids)
            page.failed_mail_count = counts.get("mail", (0, 0))[1]
            page.update_count = counts.get("update", (0, 0))[1]

    def _compute_first_steps(self):
        sidecar = self.env["microsaas.sidecar"]._one()
        for page in self:
            instances = self.env["odoo.docker.instance"].with_context(active_test=False)
            plans = self.env["product.template"].search([
                ("es_plan_microsaas", "=", True), ("company_id", "in", (False, page.company_id.id))
            ])
            page.is_new = not instances.search_count([("company_id", "=", page.company_id.id)], limit=1)
            page.has_sidecar = bool(sidecar.heard_at)
            page.has_mail_server = not self.env["ir.mail_server"]._microsaas_is_missing()
            page.has_plan = bool(plans)
            page.is_plan_prepared = any(plans.mapped("microsaas_listo"))

    # -- money -------------------------------------------------------------------------------------

    def _compute_sales(self):
        for page in self:
            for part in ("sold", "lost", "expiring"):
                [(count, amount)] = self.env["microsaas.subscription"]._read_group(
                    page._domain_of(part), [], ["__count", "ingreso_mensual:sum"]
                )
                page[f"{part}_count"], page[f"{part}_amount"] = count, amount

    def _compute_unpaid(self):
        for page in self:
            [(count, amount)] = self.env["account.move"]._read_group(
                page._domain_of("unpaid"), [], ["__count", "amount_residual_signed:sum"]
            )
            page.unpaid_count, page.unpaid_amount = count, amount

    def _compute_revenue(self):
        for page in self:
            this = page.company_id._microsaas_today().replace(day=1)
            months = [this - relativedelta(months=ago) for ago in reversed(range(MONTHS_DRAWN))]
            amounts = self.env["microsaas.revenue"]._of_months(page.company_id, months)
            page.revenue_now, page.revenue_before = amounts[this], amounts[months[-2]]
            page.revenue_graph = json.dumps([page._bars(months, amounts)]) if any(amounts.values()) else False

    def _bars(self, months, amounts):
        """Return a series as Odoo's own widget of its dashboards draws it; the last bar, of today, in another colour."""
        return {
            "key": self.env._("Recurring revenue"),
            "values": [
                {
                    "label": format_date(self.env, month, date_format="MMM"),
                    "value": self.currency_id.round(amounts[month]),
                    "type": "future" if month == months[-1] else "past",
                }
                for month in months
            ],
        }

    # -- instances and what protects them ----------------------------------------------------------

    def _compute_situations(self):
        instances = self.env["odoo.docker.instance"]
        instances._flush_situation()
        # Counted for the company of the page, which the reader may read: without the record rules, which hide nothing of it.
        rows = self.env.execute_query(
            SQL(
                """SELECT company_id, %s AS situation, count(*) FROM odoo_docker_instance
                    WHERE company_id = ANY(%s) AND staging_of_id IS NULL GROUP BY 1, 2""",
                instances.sudo()._situation_sql(),
                self.company_id.ids,
            )
        )
        counts = {(company_id, situation): count for company_id, situation, count in rows}
        for page in self:
            for situation in COUNTED:
                page[f"{situation}_count"] = counts.get((page.company_id.id, situation), 0)

    def _compute_protection(self):
        sidecar = self.env["microsaas.sidecar"]._one()
        for page in self:
            page.sidecar_text = self.env._("heard of %s ago", self._age(sidecar.heard_at)) if sidecar.heard_at else False
            page.backup_text = page._backup_sentence()
            page.manager_backup_text = bool(sidecar.manager_backup_since) and self._ages(
                sidecar.manager_backup_at, sidecar.manager_proof_at
            )

    def _backup_sentence(self):
        """Return how many of a company's instances have a proven backup, and how old the oldest proof is; False where none is made."""
        watch = self.env["microsaas.backup.watch"]
        if not watch._first_known():
            return False
        [[total, proven, never, oldest]] = self.env.execute_query(
            SQL(
                """SELECT count(*), count(*) FILTER (WHERE last_proof >= %s AND last_backup >= %s),
                          count(*) FILTER (WHERE last_proof IS NULL), min(last_proof)
                     FROM (%s) AS newest WHERE company_id = %s""",
                fields.Datetime.now() - PROVEN_WITHIN,
                fields.Datetime.now() - PROVEN_WITHIN,
                watch._newest_sql(),
                self.company_id.id,
            )
        )
        if not total:
            return self.env._("no instance has had a night yet")
        sentences = [
            self.env._(
                "%(proven)s of %(total)s instances proven within %(hours)s hours",
                proven=proven,
                total=total,
                hours=int(PROVEN_WITHIN.total_seconds() // 3600),
            )
        ]
        if oldest:
            sentences.append(self.env._("the oldest proof is %s old", self._age(oldest)))
        if never:
            sentences.append(self.env._("%s never proven", never))
        return ", ".join(sentences)

    def _ages(self, backup, proof):
        if not backup:
            return self.env._("no backup yet")
        made = self.env._("backed up %s ago", self._age(backup))
        proven = self.env._("proven %s ago", self._age(proof)) if proof else self.env._("never proven")
        return f"{made}, {proven}"

    @api.model
    def _age(self, moment):
        """Return how long ago a moment was, such as “27 hours”, in the language of the context."""
        age = max(fields.Datetime.now() - moment, timedelta(minutes=1))
        return format_timedelta(age, threshold=3, locale=babel_locale_parse(get_lang(self.env).code))

    # -- who may open it ---------------------------------------------------------------------------

    @api.model
    def _allow_to_readers(self):
        """Let whoever reads the page run the menu's action, which Odoo otherwise allows to those who may write."""
        action = self.env.ref("micro_saas.microsaas_overview_action_page").sudo()
        groups = "group_ids" if "group_ids" in action._fields else "groups_id"  # 19, 18
        readers = self.env.ref("micro_saas.group_microsaas_user") | self.env.ref("account.group_account_invoice")
        action[groups] = readers

    # -- the places --------------------------------------------------------------------------------

    @api.model
    def action_page(self):
        """Open the page of the company that one works in.

        :return: an act_window
        """
        action = self.env["ir.actions.act_window"]._for_xml_id("micro_saas.microsaas_overview_action")
        return {**action, "res_id": self.env.company.id}

    def action_open(self):
        """Open what a number of the page counts: the context's `part` says which.

        :return: an act_window, whose records are those that were counted
        """
        self.ensure_one()
        part = self.env.context.get("part")
        if part not in (*ACTIONS, *COUNTED):
            return self.action_page()
        action = self.env["ir.actions.act_window"]._for_xml_id(ACTIONS.get(part, INSTANCES))
        context = {"active_test": False} if part in COUNTED else CONTEXTS.get(part, {})
        return {**action, "domain": self._domain_of(part), "context": context}

    def _domain_of(self, part):
        """Return the domain of what a number of the page counts, and what its press shows."""
        self.ensure_one()
        today, company = self.company_id._microsaas_today(), ("company_id", "=", self.company_id.id)
        lately = fields.Datetime.to_string(fields.Datetime.now() - LATELY)
        match part:
            case "attention":
                return [("company_id", "in", (self.company_id.id, False))]
            case "mail":
                return [company, ("kind", "=", "mail")]
            case "update":
                return [company, ("is_update_available", "=", True)]
            case "sold":
                # Its subscription is made once an invoice is paid; what was given away has none.
                return [company, ("factura_id", "!=", False), ("create_date", ">=", lately)]
            case "lost":
                return [company, "|", ("suspended_at", ">=", lately), ("hidden_at", ">=", lately)]
            case "expiring":
                soon = fields.Date.to_string(today + SOON)
                cancelled = ["&", ("state", "=", "cancelled"), ("fecha_fin", "<=", soon)]
                return [company, ("suspended_at", "=", False), "|", ("state", "=", "expiring_soon"), *cancelled]
            case "unpaid":
                owed = [("state", "=", "posted"), ("payment_state", "in", OWED), ("move_type", "=", "out_invoice")]
                return [company, *owed, ("line_ids.microsaas_months", ">", 0)]
            case "revenue":
                return [company]
            case _:
                return [company, ("situation", "=", part), ("staging_of_id", "=", False)]
