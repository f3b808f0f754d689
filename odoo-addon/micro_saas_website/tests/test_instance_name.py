from datetime import timedelta

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.http_routing.tests.common import MockRequest

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestInstanceName(ShopCommon):
    def setUp(self):
        super().setUp()
        self.names = self.env["microsaas.instance.name"].sudo()

    def test_what_is_allowed(self):
        order = self._order()
        for name in ("luna", "a1b", "panaderia-luna-2", "x" * 40):
            self.assertFalse(self._choose(order, name), name)
        for name in ("ab", "x" * 41, "Luna", "luna!", "-luna", "luna-", "lu--na", "panadería", "luna.es", "www", "123"):
            self.assertTrue(self._choose(order, name), name)

    def test_spaces_around_a_name_are_nobodys_wish(self):
        order = self._order()
        self.assertFalse(self._choose(order, "  luna "))
        self.assertEqual(order.order_line.microsaas_name_ids.name, "luna")
        self.assertFalse(self._choose(order, "   "))
        self.assertFalse(order.order_line.microsaas_name_ids)

    def test_a_name_belongs_to_one_order(self):
        first, second = self._order(), self._order()
        self.assertFalse(self._choose(first, "luna"))
        self.assertIn("luna", self._choose(second, "luna"))
        self.assertEqual(self.names._suggestion("luna", second.order_line, 1), "luna-2")
        self.assertFalse(second.order_line.microsaas_name_ids.reserved, "kept as a wish")
        self.assertFalse(self._choose(first, "luna"), "and stays the first one's")

    def test_two_units_of_one_line_are_not_called_the_same(self):
        order = self._order(quantity=2)
        self.assertFalse(self._choose(order, "luna", unit=1))
        self.assertTrue(self._choose(order, "luna", unit=2))

    def test_the_database_refuses_a_second_reservation(self):
        first, second = self._order(), self._order()
        self._choose(first, "luna")
        reserved = self.names._reserve(self.names, second.order_line, 1, "luna")
        self.assertFalse(reserved, "as if the check before had not seen the other transaction")

    def test_a_forgotten_cart_gives_its_name_up_and_one_in_payment_does_not(self):
        hours_ago = fields.Datetime.now() - timedelta(hours=2)
        forgotten, paying, taker = self._order(), self._order(), self._order()
        for order, name in ((forgotten, "luna"), (paying, "sol")):
            self._choose(order, name)
            order.order_line.microsaas_name_ids.chosen_at = hours_ago
        self._pending_payment(paying)
        self.assertTrue(self._choose(taker, "sol"))
        self.assertFalse(self._choose(taker, "luna"))
        self.assertEqual(forgotten._microsaas_lost_names().name, "luna")

    def test_a_cancelled_order_gives_its_name_up(self):
        first, second = self._order(in_shop=False), self._order()
        self._choose(first, "luna")
        self.assertTrue(self._choose(second, "luna"))
        first.action_cancel()
        self.assertFalse(self._choose(second, "luna"))

    def test_the_name_of_an_instance_is_taken_even_after_its_removal(self):
        instance = self._instance(name="Luna")
        self.assertTrue(self._choose(self._order(), "luna"))
        instance.sudo().active = False
        self.assertTrue(self._choose(self._order(), "luna"))

    def test_the_chosen_name_becomes_the_subdomain(self):
        order = self._order(quantity=2)
        self._choose(order, "luna", unit=2)
        line = self._invoice_of(order).invoice_line_ids[:1]
        self._pay(line.move_id)
        first, second = self.env["odoo.docker.instance"].browse(
            self._claimed_ids([{"line_id": line.id, "unit": unit} for unit in (1, 2)])
        )
        self.assertEqual((first.subdomain, second.subdomain), ("panaderia-luna", "luna"))
        self.assertEqual((first.name, second.name), ("panaderia-luna", "luna"))

    def test_a_name_reserved_in_an_order_is_given_to_no_other_instance(self):
        self._choose(self._order(), "luna")
        self.assertNotEqual(self._instance(name="luna").subdomain, "luna")
        with self.assertRaisesRegex(ValidationError, "taken"):
            self._instance().subdomain = "luna"

    def test_an_order_keeps_a_name_only_until_its_instance_has_it(self):
        order = self._order()
        self._choose(order, "luna")
        line = self._invoice_of(order).invoice_line_ids[:1]
        self._pay(line.move_id)
        [claimed] = self._claimed_ids([{"line_id": line.id, "unit": 1}])
        instance = self.env["odoo.docker.instance"].sudo().browse(claimed)
        self.assertIn("taken", self._choose(self._order(), "luna"))
        instance.subdomain = "sol"
        self.assertIn("taken", self._choose(self._order(), "luna"), "it redirects")
        former = self.env["microsaas.subdomain"].sudo().search([("name", "=", "luna")])
        former.former_since = fields.Datetime.now() - timedelta(days=91)
        self.assertFalse(self._choose(self._order(), "luna"))

    def test_names_that_instances_of_an_earlier_version_have(self):
        order = self._order()
        self._choose(order, "luna")
        line = self._invoice_of(order).invoice_line_ids[:1]
        self._pay(line.move_id)
        self._claimed_ids([{"line_id": line.id, "unit": 1}])
        row = order.order_line.microsaas_name_ids
        self.assertTrue(row.is_given)
        row.is_given = False
        self.env.flush_all()
        self.names.init()
        self.env.invalidate_all()
        self.assertTrue(row.is_given)

    def test_the_shop_shows_what_the_address_will_be(self):
        line, product = self._order().order_line, self.plan.product_tmpl_id
        self.assertFalse(line._microsaas_door_suffix() or product._microsaas_door_suffix())
        self._sidecar().microsaas_hello("abc123", {"domain": "localhost", "url": "http://{name}.localhost:8080"})
        self.assertEqual((line._microsaas_door_suffix(), product._microsaas_door_suffix()), (".localhost:8080",) * 2)
        values = {"line": line, "fields": line._microsaas_name_fields(), "suffix": line._microsaas_door_suffix()}
        with MockRequest(self.env, website=self.website):
            html = self.env["ir.qweb"]._render("micro_saas_website.cart_line_names", values)
        self.assertIn(".localhost:8080</span>", html)

    def test_suggestions(self):
        line = self._order().order_line
        for wish, expected in (
            ("Panadería Luna", "panaderia-luna"),
            ("www", "panaderia-luna"),  # reserved: the customer's own name instead
            ("  ¡Ñandú & Cía.!  ", "nandu-cia"),
            ("日本", "panaderia-luna"),  # not one letter that a name may have
            ("", "panaderia-luna"),
            ("x" * 80, "x" * 35),
        ):
            suggestion = self.names._suggestion(wish, line, 1)
            self.assertTrue(suggestion.startswith(expected), suggestion)
            self.assertFalse(self.names._problem(suggestion, line, 1))
