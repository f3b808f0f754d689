from odoo.exceptions import AccessError
from odoo.tests import tagged

from odoo.addons.micro_saas.models.by_hand import BY_HAND
from odoo.addons.micro_saas.tests.test_by_hand import ByHandCase

from .common import ShopCommon


@tagged("post_install", "-at_install")
class TestByHandInShop(ByHandCase, ShopCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.seller.sudo().group_ids += cls.env.ref("sales_team.group_sale_salesman_all_leads")

    def test_nothing_else_is_written(self):
        order = self._order()
        self._choose(order, "luna")
        name = order.order_line.sudo().microsaas_name_ids
        records = [name, order, order.order_line]
        ours = {model for model in BY_HAND if model.startswith(("sale.", "microsaas.instance."))}
        self.assertEqual({record._name for record in records}, ours)
        self.check_nothing_else_is_written(records)

    def test_a_salesperson_reads_names_and_reserves_none(self):
        order = self._order()
        self._choose(order, "luna")
        names = order.order_line.microsaas_name_ids.with_user(self.seller)
        self.assertEqual(names.read(["name"])[0]["name"], "luna")
        with self.assertRaises(AccessError):
            names.unlink()
