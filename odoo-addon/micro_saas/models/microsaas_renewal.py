from odoo import fields, models
from odoo.release import version_info

from .by_hand import ByHand

UNIQUE = "UNIQUE(subscription_id, linea_factura_id)"
UNIQUE_MESSAGE = "This invoice line has been counted for this subscription already."


class MicrosaasRenewal(ByHand, models.Model):
    """One paid period: which invoice line moved which subscription from one last day to the next.

    The first sale is one too (`es_primera`), perhaps without a line: then nobody was invoiced.
    """

    _name = "microsaas.renewal"
    _description = "Paid period"
    _order = "fecha desc, id desc"

    subscription_id = fields.Many2one(
        "microsaas.subscription", "Subscription", required=True, ondelete="cascade", index=True
    )
    es_primera = fields.Boolean("First sale")
    factura_id = fields.Many2one(related="linea_factura_id.move_id", string="Invoice", store=True)
    linea_factura_id = fields.Many2one("account.move.line", "Invoice line", ondelete="restrict")
    fecha = fields.Date("Counted on", required=True, default=fields.Date.context_today)
    fecha_fin_anterior = fields.Date("Paid until, before")
    fecha_fin_nueva = fields.Date("Paid until, after")
    dias = fields.Integer("Days")
    fecha_retirada = fields.Date("Taken back on", help="The payment, or a part of it, was given back on this day.")
    dias_retirados = fields.Integer("Days taken back")
    falta_desde = fields.Datetime(
        "Payment missing since", help="Nothing is done about it until the time of reconsideration is over."
    )

    if version_info[0] >= 19:
        _line_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("line_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def _days_taken(self):
        # Before a part could be taken back, all was.
        return self.dias_retirados or (self.dias if self.fecha_retirada else 0)

    def _days_in_effect(self):
        """Return how many days this period has added, without those that were taken back."""
        return self.dias - self._days_taken()

    def _counted(self):
        """Return the period as the sidecar reads it; False where there is none, or it has only been missed so far."""
        to_text = fields.Date.to_string
        return bool(self.fecha_fin_nueva) and {
            "before": to_text(self.fecha_fin_anterior) or "",
            "after": to_text(self.fecha_fin_nueva) or "",
            "days": self.dias,
            "taken": self._days_taken(),
            "taken_back_on": to_text(self.fecha_retirada) or "",
        }
