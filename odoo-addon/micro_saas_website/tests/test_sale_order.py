from odoo.exceptions import ValidationError
from odoo.tests import tagged

from odoo.addons.micro_saas_website.models.sale_order import PAYMENT_STEPS

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestSaleOrder(ShopCommon):
    def test_names_reach_the_invoice_line_and_the_instances(self):
        order = self._order(quantity=3)
        self._choose(order, "segunda", unit=2)
        move = self._invoice_of(order)
        names = move.invoice_line_ids.microsaas_names.split(",")
        self.assertEqual(names, ["panaderia-luna", "segunda", "panaderia-luna-2"])
        self._pay(move)
        units = [{"line_id": move.invoice_line_ids.id, "unit": unit} for unit in (1, 2, 3)]
        ids = self._claimed_ids(units)
        instances = self.env["odoo.docker.instance"].sudo().browse(ids)
        self.assertEqual(instances.mapped("name"), names)

    def test_an_order_invoiced_in_two_parts_names_each_unit_once(self):
        order = self._order(quantity=3)
        order.action_confirm()
        first = order._create_invoices()
        first.invoice_line_ids.quantity = 1
        first.action_post()
        second = order._create_invoices()
        self.assertEqual(second.invoice_line_ids.quantity, 2)
        self.assertEqual(second.invoice_line_ids.microsaas_names, "panaderia-luna-2,panaderia-luna-3")

    def test_more_units_than_anybody_names_are_sold_all_the_same(self):
        move = self._invoice_of(self._order(quantity=25))
        self.assertEqual(len(move.invoice_line_ids.microsaas_names.split(",")), 20)

    def test_a_name_lost_before_the_payment_is_said_before_it(self):
        first, second = self._order(), self._order()
        self._choose(first, "luna")
        self._choose(second, "luna")
        with self.assertRaisesRegex(ValidationError, "luna-2"):
            second._check_cart_is_ready_to_be_paid()
        self.assertEqual(first._microsaas_lost_names(), self.env["microsaas.instance.name"])

    def test_a_paid_order_is_served_under_another_name(self):
        first, second = self._order(), self._order()
        self._choose(first, "luna")
        self._choose(second, "luna")
        move = self._invoice_of(second)
        self.assertEqual(move.invoice_line_ids.microsaas_names, "luna-2")
        self.assertIn("luna-2", second.message_ids[0].preview + second.message_ids[1].preview)

    def test_a_plan_archived_while_it_is_being_paid_is_served(self):
        in_cart, paying = self._order(), self._order()
        self._pending_payment(paying)
        self.plan.active = False
        for order in (in_cart, paying):
            order._verify_cart()
        self.assertFalse(in_cart.order_line)
        move = self._invoice_of(paying)
        self.assertEqual(move.invoice_line_ids.microsaas_names, "panaderia-luna")

    def test_fewer_units_need_fewer_names(self):
        order = self._order(quantity=2)
        other = self._order()
        self._choose(other, "luna")
        self._choose(order, "luna", unit=2)
        order.order_line.product_uom_qty = 1
        self.assertFalse(order._microsaas_lost_names())

    def _assert_said(self, order, step, office, customer):
        self.assertEqual(order._microsaas_step(), step)
        self.assertIn(office, order.microsaas_missing)
        self.assertIn(customer, order._microsaas_customer_sentence())

    def test_what_an_order_waits_for(self):
        order = self._order()
        self._assert_said(order, "open", "not confirmed", "accepted and paid")
        order.action_confirm()
        self._assert_said(order, "no_invoice", "no invoice", "once your payment")
        move = order._create_invoices()
        self._assert_said(order, "draft_invoice", "draft", "once your payment")
        move.action_post()
        self._assert_said(order, "unpaid", "not paid", "once your payment")
        self._pay(move)
        self._assert_said(order, "coming", "about to be created", "being prepared")
        self.plan.microsaas_provision = "manual"
        self._assert_said(order, "by_hand", "press Create instance", "by hand")
        unit = {"line_id": move.invoice_line_ids.id, "unit": 1}
        instance = self.env["odoo.docker.instance"].sudo().browse(self._claimed_ids([unit]))
        self._assert_said(order, "preparing", "", "being prepared")
        self.assertFalse(order.microsaas_missing)
        self._report(instance, state="running", reason="Running", message="Running.")
        self._assert_said(order, "done", "", "on your own page")

    def test_the_office_is_told_of_every_step_but_the_last_ones(self):
        told = self.env["sale.order"]._microsaas_office_sentences()
        for tx_step in PAYMENT_STEPS.values():
            self.assertIn(tx_step, told)

    def test_other_orders_wait_for_nothing(self):
        order = self._order()
        order.order_line.product_id = self._product("Consulting")
        self.assertFalse(order.microsaas_missing)
        self.assertFalse(order._microsaas_customer_sentence())
        self.assertFalse(order._needs_customer_address() and order.only_services)

    def test_a_plan_wants_an_address_for_its_invoice(self):
        self.assertTrue(self._order()._needs_customer_address())

    def test_a_shop_order_that_waits_for_money_is_signed_in_the_portal(self):
        order = self._order()
        self.assertFalse(order.require_signature)
        order.company_id.portal_confirmation_sign = True
        order.action_quotation_sent()
        self.assertTrue(order._has_to_be_signed())

    def test_who_ordered_is_the_administrator(self):
        """The invoice goes to the bookkeeping of ACME; Ana bought it."""
        acme = self.partner.copy({"name": "ACME", "is_company": True})
        ana = self.partner.create({"name": "Ana", "parent_id": acme.id, "email": "Ana@ACME.example"})
        billing = self.partner.create({"name": "Billing", "parent_id": acme.id, "type": "invoice", "email": "b@acme.example"})
        order = self._order(partner_id=ana.id, partner_invoice_id=billing.id)
        move = self._invoice_of(order)
        self._pay(move)
        unit = {"line_id": move.invoice_line_ids.id, "unit": 1}
        instance = self.env["odoo.docker.instance"].sudo().browse(self._claimed_ids([unit]))
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        customer = desired["customer"]
        self.assertEqual((customer["company_name"], customer["name"]), ("ACME", "Ana"))
        self.assertEqual((customer["email"], instance.partner_id), ("ana@acme.example", billing))
        self.assertEqual(instance.subscription_ids.partner_id, billing, "who is invoiced for renewals")

    def test_a_renewal_is_as_the_order_agreed(self):
        friends = self.env["product.pricelist"].sudo().create(
            {
                "name": "Friends",
                "item_ids": [(0, 0, {"compute_price": "fixed", "fixed_price": 21, "applied_on": "3_global"})],
            }
        )
        order = self._order(user_id=self.seller.id, pricelist_id=friends.id)
        order.order_line.write({"price_unit": 12, "discount": 50})
        move = self._invoice_of(order)
        self._pay(move)
        unit = {"line_id": move.invoice_line_ids.id, "unit": 1}
        instance = self.env["odoo.docker.instance"].sudo().browse(self._claimed_ids([unit]))
        renewal = instance.subscription_ids._issue_renewal_invoice()
        self.assertEqual((renewal.amount_untaxed, renewal.invoice_user_id), (6, self.seller))
        self.assertEqual(order.order_line.qty_invoiced, 1, "the order is not invoiced anew")
        self.plan.microsaas_renew_price = "list"
        renewal.button_draft()
        renewal.button_cancel()
        self.assertEqual(instance.subscription_ids._issue_renewal_invoice().amount_untaxed, 21)

    def test_a_payment_on_its_way_waits_where_it_does_not_count(self):
        order = self._order()
        move = self._invoice_of(order)
        self._pay(move)
        self.env.flush_all()
        self.cr.execute("UPDATE account_move SET payment_state = 'in_payment' WHERE id = %s", [move.id])
        move.invalidate_recordset()
        self.assertEqual(order._microsaas_step(), "coming")
        self._set_param("in_payment_is_paid", "False")
        self.assertEqual(order._microsaas_step(), "unpaid")
