from odoo import fields, models
from odoo.release import version_info


class MicrosaasRenewal(models.Model):
    """One paid renewal: which invoice line moved which subscription from one last day to the next."""

    _name = "microsaas.renewal"
    _description = "Subscription renewal"
    _order = "fecha desc, id desc"

    subscription_id = fields.Many2one(
        "microsaas.subscription", "Subscription", required=True, ondelete="cascade", index=True
    )
    factura_id = fields.Many2one("account.move", "Invoice", required=True, ondelete="restrict")
    linea_factura_id = fields.Many2one(
        "account.move.line", "Invoice line", required=True, ondelete="restrict"
    )
    fecha = fields.Date("Renewed on", required=True)
    fecha_fin_anterior = fields.Date("Paid until, before")
    fecha_fin_nueva = fields.Date("Paid until, after", required=True)

    if version_info[0] >= 19:
        _line_uniq = models.Constraint(
            "UNIQUE(linea_factura_id)", "This invoice line has renewed a subscription already."
        )
    else:
        _sql_constraints = [
            (
                "line_uniq",
                "UNIQUE(linea_factura_id)",
                "This invoice line has renewed a subscription already.",
            )
        ]
