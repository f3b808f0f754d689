from odoo import models


class PaymentToken(models.Model):
    _inherit = "payment.token"

    def get_linked_records_info(self):
        """Name the Odoos that renew with this card too: who is about to delete it reads which.

        Odoo lets anybody ask this of any card. Only whose it is, and who sells, read the names.
        """
        linked = super().get_linked_records_info()
        user = self.env.user
        is_theirs = self.sudo().partner_id in user.partner_id | user.partner_id.commercial_partner_id
        if not (self.env.su or is_theirs or user.has_group("micro_saas.group_microsaas_user")):
            return linked
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
