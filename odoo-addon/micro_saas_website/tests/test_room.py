from odoo.tests import HttpCase, tagged

from odoo.addons.micro_saas.tests.test_use import HOST

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestRoom(ShopCommon, HttpCase):
    """What does not fit the machine is not sold silently, and what is paid waits and says so."""

    def _host_is_short_of(self, *short_of):
        self._sidecar().microsaas_report_use([], {**HOST, "short_of": list(short_of)})

    def _page(self):
        self.plan.product_tmpl_id.write({"is_published": True, "website_id": False})
        return self.url_open(self.plan.product_tmpl_id.website_url).text

    def test_the_shop_says_that_an_order_would_wait(self):
        self._host_is_short_of()
        self.assertNotIn("o_microsaas_no_room", self._page())
        self._host_is_short_of("memory")
        self.assertIn("o_microsaas_no_room", self._page())

    def test_what_is_no_plan_waits_for_nothing(self):
        self._host_is_short_of("disk")
        other = self._product("Consulting").product_tmpl_id
        self.assertFalse(other._microsaas_waits_for_room())
        self.assertTrue(self.plan.product_tmpl_id._microsaas_waits_for_room())

    def test_a_paid_order_waits_with_a_reason_that_both_read_and_goes_on_by_itself(self):
        order = self._order()
        move = self._invoice_of(order)
        self._pay(move)
        [number] = self._claimed_ids([{"line_id": move.invoice_line_ids.id, "unit": 1}])
        instance = self.env["odoo.docker.instance"].sudo().browse(number)
        self._report(instance, state="error", reason="NotEnoughMemory", detail="")
        self.assertIn("no room for the instance", order.with_context(lang="en_US").microsaas_missing)
        self.assertIn("starts by itself", order.with_context(lang="en_US")._microsaas_customer_sentence())
        self._report(instance, state="running", reason="Running", seconds_to_ready=2.0)
        self.assertEqual((order._microsaas_step(), order.microsaas_missing), ("done", ""))

    def test_a_plan_says_how_much_disk_and_how_many_users_it_has(self):
        self.plan.product_tmpl_id.write({"microsaas_disk_mb": 5120, "microsaas_users": 5})
        facts = [text for _icon, text in self.plan.product_tmpl_id.with_context(lang="en_US")._microsaas_plan_facts()]
        self.assertIn("5 GB of disk", facts)
        self.assertIn("5 users", facts)
        self.plan.product_tmpl_id.microsaas_users = 1
        facts = [text for _icon, text in self.plan.product_tmpl_id.with_context(lang="en_US")._microsaas_plan_facts()]
        self.assertIn("1 user", facts)
