import hashlib
import json
import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .by_hand import ByHand
from .nudge import nudge
from .reason_sentences import plan_sentence
from .settings import RECONSIDER_HOURS, TERMS, check_terms
from .values import write_changed

MONTHS = {"monthly": 1, "quarterly": 3, "biannual": 6, "annual": 12}
# What the template databases of a plan depend on.
CONTENT = {"es_plan_microsaas", "plantilla_id", "microsaas_modules"}
# What the subscriptions of a plan depend on.
POLICY = {"microsaas_own_terms", "microsaas_refund", "microsaas_reconsider_hours", "microsaas_free", "list_price"} | {
    f"microsaas_{name}_days" for name in TERMS
}
# What is changed inside its instances' Odoos while they run.
LIVE = {"microsaas_users"}


class ProductTemplate(ByHand, models.Model):
    """A product that is a plan: what its instances are made of, and the terms of their subscriptions."""

    _inherit = "product.template"

    # -- fields: what its instances are made of ----------------------------------------------------

    es_plan_microsaas = fields.Boolean(
        "MicroSaaS plan", help="Each paid unit of this product is one Odoo instance for the customer."
    )
    duracion_suscripcion = fields.Selection(
        [
            ("monthly", "1 month"),
            ("quarterly", "3 months"),
            ("biannual", "6 months"),
            ("annual", "12 months"),
        ],
        "Subscription term",
        default="monthly",
    )
    plantilla_id = fields.Many2one(
        "docker.compose.template", "Instance template", ondelete="restrict", index="btree_not_null"
    )
    microsaas_provision = fields.Selection(
        [("automatic", "As soon as the invoice is paid"), ("manual", "By hand, from the invoice")],
        "Creation of instances",
        default="automatic",
    )
    microsaas_memory_mb = fields.Integer("Memory (MB)", help="0: what the template gives.")
    microsaas_cpus = fields.Float("Processors", help="0: what the template gives.")
    microsaas_sleep_hours = fields.Float(
        "Sleeps after (hours)",
        help="After so many hours without a visitor an instance is stopped, and frees its memory. The next visitor, or"
        " its own scheduled work, starts it again within seconds. 0: never. It needs a door (the sidecar's door.domain).",
    )
    microsaas_modules = fields.Char(
        "Installed modules",
        help="Technical names separated by commas, for example: account,website_sale",
    )
    microsaas_repository_ids = fields.One2many(
        "odoo.docker.repository",
        "plan_id",
        "Repositories",
        copy=False,  # by copy(): whoever copies a product need not be a MicroSaaS user
        help="Addons that the plan's instances are made with; their modules can be installed from the start.",
    )
    microsaas_change_ids = fields.Many2many(
        "product.template",
        "microsaas_plan_change_rel",
        "plan_id",
        "other_id",
        "Customers may change to",
        domain="[('es_plan_microsaas', '=', True), ('id', '!=', id)]",
        copy=False,
        help="Plans that customers of this one change to by themselves. Sellers change to any plan of the same template.",
    )
    microsaas_desde = fields.Date(
        "Plan since", help="Invoices older than this day never create an instance by themselves."
    )
    microsaas_listo = fields.Boolean(
        "Prepared",
        readonly=True,
        copy=False,
        help="Its modules are installed in advance, so that an instance is ready in seconds.",
    )
    microsaas_listo_reason = fields.Char("Why not, in one word", readonly=True, copy=False)
    microsaas_listo_detail = fields.Char("What that is about", readonly=True, copy=False)
    microsaas_listo_message = fields.Char("Why it is not prepared", compute="_compute_microsaas_listo_message")
    microsaas_preparation = fields.Selection(
        [("preparing", "Being prepared"), ("prepared", "Prepared"), ("failed", "Failed")],
        "Preparation",
        compute="_compute_microsaas_preparation",
        help="Its modules are installed in advance, so that an instance is ready in seconds. Sold meanwhile, it takes"
        " some minutes.",
    )
    microsaas_running_count = fields.Integer("Running", compute="_compute_microsaas_running_count")

    # -- fields: the terms of its subscriptions ----------------------------------------------------

    microsaas_own_terms = fields.Boolean(
        "Own days", help="Otherwise the days of the MicroSaaS settings apply to this plan."
    )
    microsaas_notice_days = fields.Integer("Notice before the end", default=TERMS["notice"])
    microsaas_grace_days = fields.Integer("Grace after the end", default=TERMS["grace"])
    microsaas_retention_days = fields.Integer("Data kept", default=TERMS["retention"])
    microsaas_final_notice_days = fields.Integer("Final notice", default=TERMS["final_notice"])
    microsaas_refund = fields.Selection(
        [
            ("suspend", "Take the paid period back"),
            ("warn", "Ask a person"),
            ("ignore", "Do nothing"),
        ],
        "When the payment is given back",
        default="suspend",
    )
    microsaas_reconsider_hours = fields.Integer(
        "Reconsideration (hours)",
        default=RECONSIDER_HOURS,
        help="How long a payment may be missing, un-reconciled for a correction for example, before anything is done"
        " about it. A full credit note or refund does not wait.",
    )
    microsaas_renew_days = fields.Integer(
        "Invoiced ahead (days)",
        default=14,
        help="Days before the end on which it is made; 0: when the customer or you renew.",
    )
    microsaas_free = fields.Selection(
        [("continue", "Continues quietly"), ("end", "Ends quietly")],
        "When it costs nothing",
        default="continue",
        help="What becomes of a subscription without a price when its term ends. Nobody is reminded or invoiced; the"
        " customer is told before data are removed.",
    )
    microsaas_renew_issue = fields.Selection(
        [("draft", "In draft, with a link to renew"), ("posted", "Posted")],
        "Renewal invoice",
        default="draft",
        required=True,
        help="A posted invoice is owed, with its taxes, by customers who leave as well. A draft is posted when the"
        " customer follows the link of the mail and renews.",
    )
    microsaas_renew_price = fields.Selection(
        [("agreed", "The agreed price"), ("list", "The price of today")],
        "Renewed at",
        default="agreed",
        required=True,
        help="Agreed: price, discount, taxes and currency of the first invoice. Today's: of the customer's pricelist.",
    )

    microsaas_update_from = fields.Float(
        "Updates from",
        default=2.0,
        help="The hour of the day, where your company is, from which an update at night may interrupt an instance.",
    )
    microsaas_update_until = fields.Float(
        "Updates until",
        default=5.0,
        help="After this hour no update is begun; one that is under way comes to its end.",
    )

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("microsaas_listo_reason", "microsaas_listo_detail")
    @api.depends_context("lang")
    def _compute_microsaas_listo_message(self):
        for plan in self:
            said = plan_sentence(self.env, plan.microsaas_listo_reason, plan.microsaas_listo_detail)
            plan.microsaas_listo_message = said or False

    @api.depends("es_plan_microsaas", "microsaas_listo", "microsaas_listo_reason")
    def _compute_microsaas_preparation(self):
        for plan in self:
            unready = "failed" if plan.microsaas_listo_reason else "preparing"
            plan.microsaas_preparation = plan.es_plan_microsaas and ("prepared" if plan.microsaas_listo else unready)

    def _compute_microsaas_running_count(self):
        domain = [("plan_id", "in", self.ids), ("desired_state", "=", "running")]
        groups = self.env["odoo.docker.instance"].sudo()._read_group(domain, ["plan_id"], ["__count"])
        counts = {plan.id: count for plan, count in groups}
        for plan in self:
            plan.microsaas_running_count = counts.get(plan.id, 0)

    # -- constraints and onchange ------------------------------------------------------------------

    @api.constrains("microsaas_reconsider_hours", *(f"microsaas_{name}_days" for name in TERMS))
    def _check_microsaas_terms(self):
        for plan in self:
            check_terms(self.env, plan._microsaas_own_days())

    @api.constrains("microsaas_memory_mb", "microsaas_cpus")
    def _check_microsaas_limits(self):
        for product in self:
            if product.microsaas_memory_mb and product.microsaas_memory_mb < 128:
                raise ValidationError(
                    self.env._("An instance needs 128 MB of memory or more (0: the template's).")
                )
            if product.microsaas_cpus < 0:
                raise ValidationError(self.env._("Processors cannot be negative."))

    @api.constrains("microsaas_sleep_hours")
    def _check_microsaas_sleep_hours(self):
        if any(product.microsaas_sleep_hours < 0 for product in self):
            raise ValidationError(self.env._("The hours until an instance sleeps cannot be negative (0: never)."))

    @api.constrains("microsaas_update_from", "microsaas_update_until")
    def _check_microsaas_update_window(self):
        for product in self:
            hours = (product.microsaas_update_from, product.microsaas_update_until)
            if not all(0 <= hour < 24 for hour in hours) or hours[0] == hours[1]:
                raise ValidationError(
                    self.env._("Updates need two different hours of the day to begin between, from 00:00 to 23:59.")
                )

    @api.constrains("microsaas_modules")
    def _check_microsaas_modules(self):
        for product in self:
            for module in product._microsaas_module_list():
                if not re.fullmatch(r"[a-z0-9_]+", module):
                    raise ValidationError(
                        self.env._(
                            "“%s” is not the technical name of a module. Write names such as"
                            " account,website_sale separated by commas.",
                            module,
                        )
                    )

    @api.onchange("es_plan_microsaas")
    def _onchange_es_plan_microsaas(self):
        if self.es_plan_microsaas:
            self.type = "service"
            self.plantilla_id = self.plantilla_id or self.plantilla_id._default_template()

    # -- create, write, copy -----------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        products = super().create(vals_list)
        plans = products.filtered("es_plan_microsaas")
        plans._microsaas_complete_plan()
        plans._microsaas_content_changed()
        return products

    def write(self, vals):
        result = super().write(vals)
        if vals.get("es_plan_microsaas"):
            self._microsaas_complete_plan()
        elif "es_plan_microsaas" in vals:
            self.filtered("microsaas_desde").microsaas_desde = False
        if vals.keys() & CONTENT:
            self.filtered("es_plan_microsaas")._microsaas_content_changed()
        if vals.keys() & (POLICY | LIVE):
            plans = self.filtered("es_plan_microsaas")
            if plans:
                self.env["odoo.docker.instance"]._review_all([("plan_id", "in", plans.ids)])
        return result

    def copy(self, default=None):
        copies = super().copy(default)
        for plan, copied in zip(self.sudo(), copies, strict=True):
            plan.microsaas_repository_ids.copy({"plan_id": copied.id})
        return copies

    def _microsaas_complete_plan(self):
        """Fill what a plan cannot do without: the day it began, a template; and it is a service."""
        for plan in self:
            if plan.type != "service":
                # The product form and a variant bring a type of their own; nothing of a plan is delivered.
                plan.type = "service"
            if not plan.microsaas_desde:
                plan.microsaas_desde = fields.Date.context_today(plan)
            if not plan.plantilla_id:
                plan.plantilla_id = plan.plantilla_id._default_template()

    # -- terms -------------------------------------------------------------------------------------

    def _microsaas_own_days(self):
        days = {name: self[f"microsaas_{name}_days"] for name in TERMS}
        return {**days, "reconsider": self.microsaas_reconsider_hours}

    def _microsaas_terms(self, company):
        """Return the days of this plan and what it does about money given back, as the sidecar reads them.

        :param company: whose days apply where the plan has none of its own
        """
        days = self._microsaas_own_days() if self.microsaas_own_terms else company._microsaas_terms()
        return {**days, "refund": self.microsaas_refund or "suspend"}

    def _microsaas_is_trial(self):
        """Tell whether this plan is to be tried: it costs nothing, and ends by itself."""
        return not self.list_price and self.microsaas_free == "end"

    def _microsaas_term_label(self):
        """Return the term of this plan's subscriptions in the reader's language: `3 months`."""
        terms = dict(self._fields["duracion_suscripcion"]._description_selection(self.env))
        return terms[self.duracion_suscripcion or "monthly"]

    # -- content, and whether it is prepared -------------------------------------------------------

    def _microsaas_module_list(self):
        """Return the technical names of the modules to install, in the order written."""
        return [name.strip() for name in (self.microsaas_modules or "").split(",") if name.strip()]

    def _microsaas_content_changed(self):
        if not self:
            return
        self.sudo().write({"microsaas_listo": False, "microsaas_listo_reason": False, "microsaas_listo_detail": False})
        nudge(self.env, self._name, self.ids)

    def _microsaas_content(self):
        """Return a text that is another one when the plan's template databases must be."""
        self.ensure_one()
        repositories = [[row.url, row.branch or ""] for row in self.microsaas_repository_ids]
        content = [self.plantilla_id.code or "", self._microsaas_module_list(), repositories]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @api.model
    def _microsaas_plans(self, plan_ids):
        """Return what the instances of plans are made from; see `microsaas_plans`."""
        wanted = [("id", "in", plan_ids)] if plan_ids else []
        plans = self.search([("es_plan_microsaas", "=", True), *wanted])
        return [
            {
                "id": plan.id,
                "template_code": plan.plantilla_id.code or "",
                "modules": plan._microsaas_module_list(),
                "languages": self._microsaas_languages(),
                "content": plan._microsaas_content(),
                "repositories": [row._as_desired() for row in plan.microsaas_repository_ids],
                "country_code": plan._microsaas_country_code(),
            }
            for plan in plans
        ]

    @api.model
    def _microsaas_languages(self):
        """Return the codes of the languages that instances can be sold in."""
        return [code for code, _name in self.env["res.lang"].get_installed()]

    def _microsaas_country_code(self):
        """Return the code of the country whose modules this plan's template databases have; "" for none."""
        return (self.company_id or self.env.company).country_id.code or ""

    def _microsaas_apply_report(self, is_ready, reason, detail, commits, content):
        """Write whether this plan's modules are prepared; see `microsaas_report_plan`."""
        if content and content != self._microsaas_content():
            return  # edited meanwhile: it is prepared anew
        fetched = {row["id"]: row["commit"] for row in commits}
        for repository in self.microsaas_repository_ids.filtered(lambda row: row.id in fetched):
            write_changed(repository, {"commit": fetched[repository.id]})
        said = {"microsaas_listo_reason": reason, "microsaas_listo_detail": detail}
        write_changed(self, {"microsaas_listo": is_ready, **said})
