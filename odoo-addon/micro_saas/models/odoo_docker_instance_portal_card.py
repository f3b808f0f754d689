"""What the customer decides about their saved cards: whether, and with which, an instance renews by itself."""

from odoo import SUPERUSER_ID, models
from odoo.exceptions import UserError


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def _portal_card(self, user):
        """Return what the page says about renewing by itself; `{}` for who may not act, and where it cannot. Call it with sudo.

        :return: dict of `card` (the name of the chosen one, maybe empty), `chosen` (its id), `sentence` (what is charged when,
            or why it is not), `cards` (those that can be chosen instead)
        """
        self.ensure_one()
        subscription = self.subscription_ids[:1]
        token = subscription.renew_token_id
        if not (subscription and self._may_act(user) and (token or subscription._can_have_card())):
            return {}
        cards = subscription._can_have_card() and subscription._cards_of(user.partner_id) - token
        if not (token or cards):
            return {}
        problem = token and subscription._card_problem(*subscription._renewal_to_charge())
        sentence = token and (problem or subscription._charge_sentence())
        return {"card": subscription.card_name, "chosen": token.id, "sentence": sentence, "cards": cards or token.browse()}

    def _choose_card_by_customer(self, user, token_id):
        """Have it renew by itself with a saved card of theirs, or with none. Call it with sudo.

        :param token_id: of the card; 0: none
        :raise UserError: the card is not theirs, or cannot be charged here; it cannot renew by itself
        """
        # Not as the customer: what is done now may make invoices later, and mails.
        subscription = self.subscription_ids[:1].with_user(SUPERUSER_ID)
        if not token_id:
            subscription._forget_card(self.env._("%s switched it off in the portal.", user.name))
            return
        token = subscription._cards_of(user.partner_id).filtered(lambda one: one.id == token_id)
        if not token:
            raise UserError(self.env._("This card cannot be chosen."))
        subscription._choose_card(token, user.partner_id)
