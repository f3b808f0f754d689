from odoo import Command, fields

from odoo.addons.micro_saas.tests.common import MicroSaasCommon


class ShopCommon(MicroSaasCommon):
    """The plan of MicroSaasCommon in a shop: carts, and orders as salespeople write them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan.write({"invoice_policy": "order", "taxes_id": False})
        cls.website = cls.env["website"].sudo().search([], limit=1)
        cls.website.company_id = cls.env.company  # an order of the shop belongs to its website's company

    def _order(self, quantity=1, in_shop=True, **vals):
        return self.env["sale.order"].sudo().create(
            {
                "partner_id": self.partner.id,
                "website_id": self.website.id if in_shop else False,
                "order_line": [
                    Command.create({"product_id": self.plan.id, "product_uom_qty": quantity})
                ],
                **vals,
            }
        )

    def _choose(self, order, name, unit=1):
        return self.env["microsaas.instance.name"].sudo()._choose(order.order_line[:1], unit, name)

    def _invoice_of(self, order):
        order.action_confirm()
        move = order._create_invoices()
        move.invoice_date = fields.Date.today()
        move.action_post()
        return move

    def _pending_payment(self, order):
        provider = self.env["payment.provider"].sudo().search([], limit=1)
        return self.env["payment.transaction"].sudo().create(
            {
                "provider_id": provider.id,
                "payment_method_id": self.env["payment.method"].sudo().search([], limit=1).id,
                "reference": f"pending payment of {order.name}",
                "amount": 30,
                "currency_id": order.currency_id.id,
                "partner_id": self.partner.id,
                "state": "pending",
                "sale_order_ids": [Command.set(order.ids)],
            }
        )
