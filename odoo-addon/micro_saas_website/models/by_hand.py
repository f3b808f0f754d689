"""What people may write by hand of what this addon adds: see micro_saas/models/by_hand.py."""

from odoo import models

from odoo.addons.micro_saas.models.by_hand import BY_HAND, ByHand

BY_HAND.update({"microsaas.instance.name": {}, "sale.order": {}, "sale.order.line": {}})


class MicrosaasInstanceName(ByHand, models.Model):
    _inherit = "microsaas.instance.name"


class SaleOrder(ByHand, models.Model):
    _inherit = "sale.order"


class SaleOrderLine(ByHand, models.Model):
    _inherit = "sale.order.line"
