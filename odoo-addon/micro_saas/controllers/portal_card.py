import re

from odoo.http import request, route

from .portal import InstancePortal


class InstanceCard(InstancePortal):
    """Whether a customer's instance renews by itself, and with which of their saved cards."""

    @route("/my/instances/<int:instance_id>/card", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_card(self, instance_id, card=""):
        """Choose a saved card, or none, then show the page of the instance."""
        # What is no number is no card of theirs; Python refuses numbers of thousands of digits.
        number = int(card) if re.fullmatch(r"[0-9]{1,18}", str(card)) else -1 if card else 0
        return self._do(instance_id, lambda instance: instance._choose_card_by_customer(request.env.user, number))
