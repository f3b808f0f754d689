"""What the sidecar reads and writes of a subscription. Its policy is the sidecar's: src/instance/subscription.ts."""

import math

from odoo import fields, models

from .product_template import MONTHS
from .sidecar import write_changed

MOMENTS = ("suspended_at", "final_notice_at", "archived_at", "data_removed_at", "hidden_at")
REPORTED = {"state", "fecha_inicio", "fecha_fin", "reason", "archive", *MOMENTS}


class MicrosaasSubscription(models.Model):
    _inherit = "microsaas.subscription"

    def _desired(self):
        """Return the subscription as the sidecar reads it; False where there is none."""
        if not self:
            return False
        plan = self.product_id.product_tmpl_id
        return {
            "id": self.id,
            "state": self.state,
            "fecha_inicio": fields.Date.to_string(self.fecha_inicio) or "",
            "fecha_fin": fields.Date.to_string(self.fecha_fin) or "",
            "reason": self.reason or "",
            "terms": plan._microsaas_terms(),
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
            "months": self._months(line) * (1 if of_the_sale else max(math.floor(line.quantity), 0)),
            "money": line._microsaas_money() if line else self.factura_id._microsaas_money(),
            "sold": bool(line and of_the_sale) and self._sold_unit(line),
            "replaces": line.microsaas_origen_id.id or 0,
            "counted": counted[:1]._counted(),
        }

    def _months(self, line):
        plans = (line.product_id | self.product_id).filtered("es_plan_microsaas")
        return MONTHS[plans[:1].duracion_suscripcion or "monthly"]

    def _sold_unit(self, line):
        instance = self.instancia_id
        siblings = instance.linea_factura_id.microsaas_instance_ids
        removed = siblings.filtered(lambda sibling: sibling.desired_state == "removed")
        return {
            "unit": instance.unidad,
            "quantity": line.quantity,
            "removed": removed.mapped("unidad"),
        }

    def _apply_change(self, change):
        """Write what the sidecar decided: all of it or nothing.

        :param change: dict with any of `state`, `fecha_inicio`, `fecha_fin`, `reason`, `archive`, the moments,
            `periods` ([{"line_id", "is_first", "before", "after", "days", "taken_back_on"}]) and
            `notices` ([{"kind", "period"}])
        """
        write_changed(self, {name: change[name] for name in REPORTED & change.keys()})
        for period in change.get("periods", []):
            self._count(period)
        for notice in change.get("notices", []):
            self.env["microsaas.notice"]._tell(self, notice["kind"], notice["period"])

    def _forget_the_way_down(self):
        """The data are back: the next way down begins at its top."""
        self.write({**dict.fromkeys(MOMENTS, False), "reason": False})

    def _count(self, period):
        is_first = period["is_first"]
        known = self.periodo_ids.filtered(
            lambda it: it.es_primera if is_first else it.linea_factura_id.id == period["line_id"]
        )
        vals = {
            "fecha_fin_anterior": period["before"] or False,
            "fecha_fin_nueva": period["after"],
            "dias": period["days"],
            "fecha_retirada": period["taken_back_on"] or False,
        }
        line = {"linea_factura_id": period["line_id"] or False, "es_primera": is_first}
        if known:
            known.write(vals)
        else:
            known.create({"subscription_id": self.id, **line, **vals})
