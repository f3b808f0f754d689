from unittest.mock import patch

from odoo.tests import HttpCase, TransactionCase, tagged

from odoo.addons.micro_saas_website.controllers import cart
from odoo.addons.micro_saas_website.rate_limit import ADDRESSES, RateLimit


@tagged("post_install", "-at_install")
class TestRateLimit(TransactionCase):
    def setUp(self):
        super().setUp()
        self.now = 0
        self.limit = RateLimit(limit=2, seconds=60, clock=lambda: self.now)

    def test_each_address_has_its_own(self):
        taken = [self.limit.take(address) for address in ("one", "one", "one", "other")]
        self.assertEqual(taken, [True, True, False, True])

    def test_time_gives_back(self):
        for moment, expected in ((0, True), (30, True), (59, False), (60, True), (61, False), (90, True)):
            self.now = moment
            self.assertEqual(self.limit.take("one"), expected, moment)

    def test_memory_is_bounded(self):
        for address in range(ADDRESSES + 5):
            self.limit.take(address)
        self.assertLessEqual(len(self.limit._taken), ADDRESSES)


@tagged("post_install", "-at_install")
class TestNameChecks(HttpCase):
    def test_whoever_asks_too_often_is_told_to_wait(self):
        ask = {"line_id": 0, "unit": 1, "name": "luna"}
        with patch.object(cart, "CHECKS", RateLimit(limit=2, seconds=60)):
            problems = [self.make_jsonrpc_request("/shop/instance_name", ask)["problem"] for _ in range(3)]
        self.assertEqual(problems[:2], ["", ""])
        self.assertRegex(problems[2], "minut[eo]")  # in the language of the shop
