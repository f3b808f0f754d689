"""What the sidecar calls on plans. Each method is one transaction and answers without None."""

import hashlib
import json

from odoo import api, fields, models

from .nudge import nudge
from .sidecar import TERMS, check_sidecar, write_changed

# What the template databases of a plan depend on.
CONTENT = {"es_plan_microsaas", "plantilla_id", "microsaas_modules"}
# What the subscriptions of a plan depend on.
POLICY = {"microsaas_own_terms", "microsaas_refund", "microsaas_reconsider_hours", "microsaas_free", "list_price"} | {
    f"microsaas_{name}_days" for name in TERMS
}


class ProductTemplate(models.Model):
    _inherit = "product.template"

    microsaas_listo = fields.Boolean(
        "Prepared",
        readonly=True,
        copy=False,
        help="Its modules are installed in advance, so that an instance is ready in seconds.",
    )
    microsaas_listo_message = fields.Char("Why it is not prepared", readonly=True, copy=False)

    @api.model_create_multi
    def create(self, vals_list):
        products = super().create(vals_list)
        products.filtered("es_plan_microsaas")._microsaas_content_changed()
        return products

    def write(self, vals):
        result = super().write(vals)
        if vals.keys() & CONTENT:
            self.filtered("es_plan_microsaas")._microsaas_content_changed()
        if vals.keys() & POLICY:
            plans = self.filtered("es_plan_microsaas")
            if plans:
                self.env["odoo.docker.instance"]._review_all([("plan_id", "in", plans.ids)])
        return result

    def _microsaas_content_changed(self):
        if not self:
            return
        self.sudo().write({"microsaas_listo": False, "microsaas_listo_message": False})
        nudge(self.env, self._name, self.ids)

    def _microsaas_content(self):
        """Return a text that is another one when the plan's template databases must be."""
        self.ensure_one()
        repositories = [[row.url, row.branch or ""] for row in self.microsaas_repository_ids]
        content = [self.plantilla_id.code or "", self._microsaas_module_list(), repositories]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @api.model
    def microsaas_plans(self, plan_ids):
        """Return what the instances of plans are made from: a list of dicts, what is no plan left out.

        :param plan_ids: ids of product templates; empty: every plan that is not archived
        """
        check_sidecar(self.env)
        wanted = [("id", "in", plan_ids)] if plan_ids else []
        plans = self.sudo().search([("es_plan_microsaas", "=", True), *wanted])
        languages = [code for code, _name in self.env["res.lang"].get_installed()]
        return [
            {
                "id": plan.id,
                "template_code": plan.plantilla_id.code or "",
                "modules": plan._microsaas_module_list(),
                "languages": languages,
                "content": plan._microsaas_content(),
                "repositories": [row._as_desired() for row in plan.microsaas_repository_ids],
                "country_code": (plan.company_id or self.env.company).country_id.code or "",
            }
            for plan in plans
        ]

    @api.model
    def microsaas_report_plan(self, plan_id, is_ready, message, commits=(), content=""):
        """Say on a plan whether its modules are prepared.

        :param content: what `microsaas_plans` said that it is made of; edited meanwhile, the plan is prepared anew
        :param message: a sentence saying why not; empty while they are being prepared
        :param commits: what was fetched of its repositories: a list of dicts of `id` and `commit`
        :return: True
        """
        check_sidecar(self.env)
        plan = self.sudo().browse(plan_id).exists()
        if content and content != plan._microsaas_content():
            return True
        fetched = {row["id"]: row["commit"] for row in commits}
        for repository in plan.microsaas_repository_ids.filtered(lambda row: row.id in fetched):
            write_changed(repository, {"commit": fetched[repository.id]})
        write_changed(plan, {"microsaas_listo": is_ready, "microsaas_listo_message": message})
        return True
