"""How many started instances of a plan are kept ready, and what they are made from."""

import hashlib
import json
import re
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .nudge import nudge
from .values import finite

AUTOMATIC = -1
MAX_SPARES = 20
# What was sold so lately may be sold again soon.
LATELY = timedelta(days=30)
# Such as es_ES, es_419, sr@latin: the sidecar reads no others.
LANGUAGE_CODE = re.compile(r"[A-Za-z]{2,3}(_[A-Za-z0-9]+)?(@[A-Za-z]+)?")


class ProductTemplate(models.Model):
    _inherit = "product.template"

    microsaas_spares = fields.Integer(
        "Kept ready",
        default=AUTOMATIC,
        help="How many Odoos of this plan are started before they are sold: whoever pays gets one of them, and can log in"
        " at once. Each takes as much of the server's memory as a running one. -1: one, if the plan was sold within the"
        " last 30 days. 0: none.",
    )

    @api.constrains("microsaas_spares")
    def _check_microsaas_spares(self):
        if any(not AUTOMATIC <= plan.microsaas_spares <= MAX_SPARES for plan in self):
            raise ValidationError(
                self.env._(
                    "From 0 to %s Odoos of a plan are kept ready (-1: one, if it was sold lately).", MAX_SPARES
                )
            )

    def write(self, vals):
        result = super().write(vals)
        if "microsaas_spares" in vals:
            nudge(self.env, self._name, self.filtered("es_plan_microsaas").ids)
        return result

    # -- how many ----------------------------------------------------------------------------------

    @api.model
    def _microsaas_recent_sales(self):
        """Return how many units of plans got their instance within the last 30 days, as `{plan id: units}`."""
        self.env["odoo.docker.instance"].flush_model(["linea_factura_id"])
        self.env["account.move.line"].flush_model(["product_id"])
        rows = self.env.execute_query(
            SQL(
                """SELECT product.product_tmpl_id, count(*) FROM odoo_docker_instance AS instance
                     JOIN account_move_line AS line ON line.id = instance.linea_factura_id
                     JOIN product_product AS product ON product.id = line.product_id
                    WHERE instance.create_date > %s GROUP BY product.product_tmpl_id""",
                fields.Datetime.now() - LATELY,
            )
        )
        return dict(rows)

    def _microsaas_wanted_spares(self, recent_sales):
        """Return how many spares of this plan are wanted now.

        :param recent_sales: how many units of it were sold lately
        """
        # Only the sidecar's own claim takes one.
        if not self.microsaas_listo or self.microsaas_provision != "automatic":
            return 0
        return min(recent_sales, 1) if self.microsaas_spares == AUTOMATIC else self.microsaas_spares

    # -- what they are made from -------------------------------------------------------------------

    def _microsaas_made_from(self):
        """Return all that a spare of this plan is made from, but for the image."""
        self.ensure_one()
        return finite(
            {
                "template_code": self.plantilla_id.code or "",
                "memory_mb": self.microsaas_memory_mb,
                "cpus": self.microsaas_cpus,
                "modules": self._microsaas_module_list(),
                "repositories": [row._as_desired() for row in self.microsaas_repository_ids],
                # A code that anybody typed goes to a command line: of what is none, customers get no spare.
                "languages": [code for code in self._microsaas_languages() if LANGUAGE_CODE.fullmatch(code)],
                "country_code": self._microsaas_country_code(),
            }
        )

    def _microsaas_spare_content(self):
        """Return a text that is another one when a spare of this plan must be made anew."""
        return hashlib.sha256(json.dumps(self._microsaas_made_from(), sort_keys=True).encode()).hexdigest()

    @api.model
    def _microsaas_plans(self, plan_ids):
        sales = self._microsaas_recent_sales()
        rows = super()._microsaas_plans(plan_ids)
        return [{**row, **self.browse(row["id"])._microsaas_stock(sales.get(row["id"], 0))} for row in rows]

    def _microsaas_stock(self, recent_sales):
        """Return what `microsaas_plans` says of the spares of this plan."""
        return {
            "spares": self._microsaas_wanted_spares(recent_sales),
            "recent_sales": recent_sales,
            "spare_content": self._microsaas_spare_content(),
        }
