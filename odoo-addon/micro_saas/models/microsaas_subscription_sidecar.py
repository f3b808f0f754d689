"""What the sidecar reads and writes of a subscription. Its policy is the sidecar's: src/instance/subscription.ts."""

import math

from odoo import fields, models

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
            "months": self._months(line) * (1 if of_the_sale else max(math.floor(line.quantity), 0)),
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
        is_paid = line.parent_state == "posted" and line.move_id._microsaas_payment_state() in ("paid", "in_payment")
        return line.move_id._microsaas_paid_at() if is_paid else 0

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
            `periods` ([{"line_id", "is_first", "before", "after", "days", "taken", "taken_back_on",
            "missing_since"}]) and `notices` ([{"kind", "period"}])
        """
        for sentence in self._sentences_of(change):
            self._message_log(body=sentence, author_id=self.env.user.partner_id.id)
        write_changed(self, {name: change[name] for name in REPORTED & change.keys()})
        for period in change.get("periods", []):
            self._count(period)
        for notice in change.get("notices", []):
            self.env["microsaas.notice"]._tell(self, notice["kind"], notice["period"])

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
            sentences.append(_("Data removed, for retention is over. The archive is %s.", archive))
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
