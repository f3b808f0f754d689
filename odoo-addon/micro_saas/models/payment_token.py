from odoo import models


class PaymentToken(models.Model):
    _inherit = "payment.token"

    def get_linked_records_info(self):
        """Name the Odoos that renew with this card too: who is about to delete it reads which."""
        linked = super().get_linked_records_info()
        subscriptions = self.env["microsaas.subscription"].sudo().search([("renew_token_id", "=", self.id)])
        return linked + [
            {
                "description": self.env._("Renews by itself"),
                "id": subscription.id,
                "name": subscription.instancia_id.name or subscription.name,
                "url": subscription._portal_url(),
            }
            for subscription in subscriptions
        ]
