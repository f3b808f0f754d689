from datetime import timedelta

from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_charge import ChargeCase
from .test_portal import LOGGER, PortalCase


@tagged("post_install", "-at_install")
class TestPortalCard(ChargeCase, PortalCase):
    """What the customer decides on their page about renewing by itself."""

    def setUp(self):
        super().setUp()
        self.instance.sudo().ordered_by_id = self.customer.partner_id
        self.end = self.env.company._microsaas_today() + timedelta(days=7)
        self.subscription.fecha_fin = self.end
        self.page = f"/my/instances/{self.instance.id}"
        self.env.flush_all()

    def _send(self, **data):
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        self.env.cr.flush()
        response = self.url_open(f"{self.page}/card", data={"csrf_token": token, **data})
        self.env.invalidate_all()
        return response

    def _section(self):
        return self.url_open(self.page).text.partition("o_microsaas_card")[2].partition("</section>")[0]

    def test_it_is_off_until_they_choose_a_card(self):
        self.authenticate("customer", "customer" * 2)
        section = self._section()
        self.assertIn("Off: we write to you before it ends", section)
        self.assertIn("Renew by itself with this saved card", section)
        self.assertFalse(self.subscription.renew_token_id)

    def test_they_see_which_card_how_much_and_when_and_can_switch_it_off(self):
        self.authenticate("customer", "customer" * 2)
        self._send(card=self.card.id)
        self.assertEqual(self.subscription.renew_token_id, self.card)
        self.assertIn(self.customer.name, self._said())
        charge, section = self.subscription.charge_ids, self._section()
        self.assertEqual(charge.day, self.end - timedelta(days=3), "within the notice it is announced at once")
        self.assertFalse(self.instance._portal_renewal_offer(self.customer)["is_urgent"], "it is about to pay itself")
        self.assertIn("4242", section)
        self.assertRegex(section, "30[.,]00")
        self.assertIn(charge.day.strftime("%m/%d/%Y"), section)
        other = self._card(self.partner, "1111")
        self._send(card=other.id)
        self.assertEqual(self.subscription.renew_token_id, other)
        self._send(card="")
        self.assertFalse(self.subscription.renew_token_id)
        self.assertIn("Off: we write to you", self._section())

    def test_before_the_notice_they_read_about_when(self):
        self.subscription.fecha_fin += timedelta(days=20)
        self.authenticate("customer", "customer" * 2)
        self._send(card=self.card.id)
        self.assertFalse(self.subscription.charge_ids)
        self.assertIn("We write to you before", self._section())

    def test_another_customers_card_cannot_be_chosen(self):
        stolen = self._card(self.stranger.partner_id, "6666")
        self.authenticate("customer", "customer" * 2)
        for card in (stolen.id, "-1", "x", "9" * 5000):
            self.assertIn("This card cannot be chosen", self._send(card=card).text)
        self.assertFalse(self.subscription.renew_token_id)

    def test_neither_a_stranger_nor_who_only_looks_decides(self):
        self.authenticate("stranger", "stranger" * 2)
        with mute_logger(LOGGER):
            self.assertEqual(self._send(card=self.card.id).status_code, 404)
        self.instance.sudo().ordered_by_id = self.partner
        self.env.flush_all()
        self.authenticate("customer", "customer" * 2)
        self.assertFalse(self._section())
        self.assertIn("Only who ordered this Odoo", self._send(card=self.card.id).text)
        self.assertFalse(self.subscription.renew_token_id)

    def test_a_card_that_is_saved_no_more_is_said_to_be(self):
        self.authenticate("customer", "customer" * 2)
        self._send(card=self.card.id)
        self.card.active = False
        self.env.flush_all()
        self.assertIn("is not saved here any more", self._section())
