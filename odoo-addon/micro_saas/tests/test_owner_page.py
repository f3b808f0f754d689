import json
from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged

from ..models.microsaas_overview import ACTIONS, COUNTED
from .test_owner_attention import OwnerCase

MONEY = ("sold_amount", "lost_amount", "expiring_amount", "unpaid_amount", "unpaid_count", "revenue_now", "revenue_graph")


@tagged("post_install", "-at_install")
class TestOwnerPage(OwnerCase):
    """The page that opens first: each number is true, and its press shows the records that it counts."""

    sells_beforehand = False

    def _page(self, user=None):
        self.env.invalidate_all()
        return self.env["microsaas.overview"].with_user(user or self.seller).browse(self.env.company.id)

    def _sale(self, part, user=None):
        page = self._page(user)
        return page[f"{part}_count"], round(page[f"{part}_amount"], 2)

    def _shown(self, part):
        """Return what a press on a number shows."""
        action = self._page().with_context(part=part).action_open()
        records = self.env[action["res_model"]].with_user(self.seller).with_context(**action["context"])
        return records.search(action["domain"])

    # -- money -------------------------------------------------------------------------------------

    def test_sold_at_what_was_invoiced_by_the_month(self):
        self._sold(self._line(discount=50))
        self._sold(self._line(quantity=2, price_unit=20))
        yearly = self._product("A year", es_plan_microsaas=True, duracion_suscripcion="annual")
        self._sold(self._line(yearly, price_unit=120))
        self.assertEqual(self._sale("sold"), (3, 15 + 20 + 10))
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        self._sold(self._line(price_unit=60), currency_id=other.id)
        self._sold(self._line(discount=100))
        self.assertEqual(self._sale("sold"), (5, 75), "in the company's currency; a trial costs nothing")
        given = self.env["odoo.docker.instance"].with_user(self.manager).create({"name": "Given away"})
        old = self._sold()
        self.cr.execute(
            "UPDATE microsaas_subscription SET create_date = create_date - interval '31 days' WHERE id = %s", [old.id]
        )
        self.assertTrue(given.subscription_ids)
        self.assertEqual(self._sale("sold"), (5, 75), "neither what was given away nor what was sold long ago")

    def test_lost(self):
        refunded, removed, back, old = (self._sold() for _ in range(4))
        refunded.write({"state": "expired", "reason": "Refunded", "suspended_at": self._ago(days=3)})
        removed.write({"state": "removed", "hidden_at": self._ago(days=3)})
        back.write({"state": "expired", "suspended_at": self._ago(days=3)})
        old.write({"state": "expired", "suspended_at": self._ago(days=31)})
        self.assertEqual(self._sale("lost"), (3, 90))
        back.write({"state": "active", "suspended_at": False})
        self.assertEqual(self._sale("lost"), (2, 60))

    def test_expiring(self):
        self._active(self._sold(), days=3, state="expiring_soon")
        self._active(self._sold(), days=-1, state="expiring_soon")
        self._active(self._sold(), days=3, state="cancelled")
        self._active(self._sold(), days=30, state="cancelled")
        self._active(self._sold(), days=20)
        self._active(self._sold(), days=-5, state="cancelled", suspended_at=self._ago(days=4))
        self.assertEqual(self._sale("expiring"), (3, 90))

    def test_unpaid(self):
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        self._invoice(self._line(price_unit=60), currency_id=other.id, pay=False)
        move = self._overdue()
        self._invoice(self._line(self._product("A book")), pay=False)
        self._invoice(post=False)
        self._invoice()
        self._renewal(self._active(self._sold())).action_post()
        self.assertEqual(self._sale("unpaid"), (3, 90))
        self._pay(move, amount=10)
        self.assertEqual(self._sale("unpaid"), (3, 80))
        credit = self._credit(move)
        lines = (move | credit).line_ids.filtered(lambda line: line.account_id.account_type == "asset_receivable")
        lines.filtered(lambda line: not line.reconciled).reconcile()
        self.assertEqual(self._sale("unpaid"), (2, 60), "its credit note has settled it")

    def test_recurring_revenue_of_today_and_of_the_last_months(self):
        self._invoice()
        today = fields.Date.today()
        ended = today.replace(day=1) - timedelta(days=1)
        self._invoice(self._line(price_unit=50), invoice_date=ended.replace(day=1))
        page = self._page()
        self.assertEqual((page.revenue_now, page.revenue_before), (30, 50))
        [series] = json.loads(page.revenue_graph)
        self.assertEqual([bar["value"] for bar in series["values"]], [0] * 10 + [50, 30])

    def test_without_revenue_nothing_is_drawn(self):
        self.assertFalse(self._page().revenue_graph)

    def test_who_may_not_read_invoices_sees_no_money(self):
        self._sold()
        page = self._page(self.hoster)
        self.assertEqual(page.sold_count, 1)
        for name in MONEY:
            with self.assertRaises(AccessError):
                page.read([name])
        arch = page.get_view(view_type="form")["arch"]
        self.assertFalse([name for name in MONEY if name in arch])
        self.assertIn("sold_count", arch)
        self.assertEqual(self._page(self.invoicer).sold_amount, 30)

    # -- instances ---------------------------------------------------------------------------------

    def test_each_instance_is_in_its_true_state(self):
        for situation, (state, desired, vals) in {
            "preparing": ("draft", "running", {}),
            "starting": ("stopped", "running", {}),
            "stopping": ("running", "stopped", {}),
            "running": ("running", "running", {}),
            "asleep": ("running", "running", {"is_asleep": True}),
            "stopped": ("stopped", "stopped", {}),
            "unstarted": ("draft", "draft", {}),
            "removed": ("removed", "removed", {"active": False}),
            "error": ("error", "running", {}),
        }.items():
            instance = self._instance(name=situation)
            instance._quiet().write({"state": state, "desired_state": desired, **vals})
            self.assertEqual(instance.situation, situation)
        suspended, restoring, updating, gone = (self._running() for _ in range(4))
        suspended.subscription_ids.sudo().suspended_at = self._ago(days=1)
        self.env["microsaas.job"].sudo().create({"instancia_id": restoring.id, "kind": "restore"})
        update = self.env["microsaas.job"].sudo().create({"instancia_id": updating.id, "kind": "update"})
        self.assertEqual(updating.situation, "running", "it waits for its night")
        update.state = "running"
        gone.subscription_ids.sudo().data_removed_at = self._ago(days=1)
        self.assertEqual(
            (suspended | restoring | updating | gone).mapped("situation"), ["suspended", "restoring", "updating", "gone"]
        )
        copy = self._running()
        copy.sudo()._quiet().staging_of_id = suspended
        page = self._page()
        self.assertEqual({part: page[f"{part}_count"] for part in COUNTED}, dict.fromkeys(COUNTED, 1))
        others = self.env["odoo.docker.instance"].search([("situation", "!=", "running")])
        self.assertNotIn("running", others.mapped("situation"))

    def test_a_press_shows_what_was_counted(self):
        self._mail_failed(self._running().subscription_ids)
        self._overdue()
        self._active(self._sold(), days=3, state="expiring_soon")
        self._sold().write({"state": "removed", "hidden_at": self._ago(days=3)})
        removed = self._running()
        removed._quiet().write({"state": "removed", "desired_state": "removed", "active": False})
        self.template.image_digest = "sha256:new"
        self._running().sudo()._quiet().image_digest = "sha256:old"
        page = self._page()
        counts = {part: page[f"{part}_count"] for part in (*COUNTED, "sold", "lost", "expiring", "unpaid", "update")}
        counts |= {"attention": page.attention_count, "mail": page.failed_mail_count}
        self.assertGreaterEqual(set(counts), set(ACTIONS) - {"revenue"})
        for part, count in counts.items():
            self.assertEqual(len(self._shown(part)), count, part)
        for part in ("sold", "lost", "expiring", "unpaid", "removed", "mail", "update"):
            self.assertTrue(counts[part], part)

    def test_a_part_that_is_none_opens_the_page(self):
        for part in ("x", None, "gone", ["error"]):
            action = self._page().with_context(part=part).action_open()
            self.assertEqual((action["res_model"], action["res_id"]), ("microsaas.overview", self.env.company.id))

    # -- what needs attention, backups, the sidecar ------------------------------------------------

    def test_the_worst_are_on_the_page_itself(self):
        for _number in range(9):
            self._in_error()
        page = self._page()
        self.assertEqual((page.attention_count, len(page.attention_ids), page.attention_more), (9, 8, 1))

    def test_how_old_backups_and_proofs_are(self):
        self.assertFalse(self._page().backup_text, "none are made")
        self._without_backup()
        self.assertEqual(
            self._page().backup_text,
            "1 of 2 instances proven within 26 hours, the oldest proof is 5 hours old, 1 never proven",
        )
        self.sidecar.write({"manager_backup_since": self._ago(days=9), "manager_backup_at": self._ago(hours=4)})
        self.assertEqual(self._page().manager_backup_text, "backed up 4 hours ago, never proven")
        self.sidecar.manager_proof_at = self._ago(hours=28)
        self.assertEqual(self._page().manager_backup_text, "backed up 4 hours ago, proven 28 hours ago")
        self.assertTrue(self._page().sidecar_text)

    # -- an empty page -----------------------------------------------------------------------------

    def test_before_the_first_sale_it_says_what_to_do(self):
        self.plan.product_tmpl_id.active = False
        page = self._page()
        mine = [("es_plan_microsaas", "=", True), ("company_id", "in", (False, self.env.company.id))]
        self.env["product.template"].sudo().search(mine).active = False
        self.assertEqual((page.is_new, page.has_plan, page.is_plan_prepared), (True, False, False))
        self.plan.product_tmpl_id.active = True
        self.assertEqual((self._page().has_plan, self._page().is_plan_prepared), (True, False))
        self.plan.product_tmpl_id.sudo().microsaas_listo = True
        self.assertTrue(self._page().is_plan_prepared)
        self._instance()
        self.assertFalse(self._page().is_new)

    # -- who opens it ------------------------------------------------------------------------------

    def test_it_opens_first_for_all_who_see_the_app(self):
        menus = self.env.ref("micro_saas.menu_root").sudo().child_id.sorted("sequence")
        self.assertEqual(menus[0], self.env.ref("micro_saas.menu_overview"))
        for user in (self.hoster, self.invoicer, self.seller):
            visible = self.env["ir.ui.menu"].with_user(user)._visible_menu_ids()
            self.assertIn(menus[0].id, visible)
            action = menus[0].action.with_user(user).run()
            self.assertEqual((action["res_model"], action["res_id"]), ("microsaas.overview", self.env.company.id))
            page = self.env["microsaas.overview"].with_user(user).browse(action["res_id"])
            page.read(list(page.fields_get()))
        with self.assertRaises(AccessError):
            self._page(self.employee).read(["sold_count"])
        with self.assertRaises(AccessError):
            menus[0].action.with_user(self.employee).run()

    def test_companies_are_apart(self):
        self._sold()
        stranger = self._stranger()
        with self.assertRaises(AccessError):
            self._page(stranger).read(["sold_count"])
        page = self._page(stranger).browse(stranger.company_id.id)
        self.assertEqual((page.sold_count, page.is_new, page.revenue_now), (0, True, 0))

    def test_it_asks_as_much_of_ten_instances_as_of_one(self):
        names = list(self._page().get_view(view_type="form")["models"]["microsaas.overview"])
        self._running()
        self._page().read(names)  # what is read once and kept

        def queries():
            page = self._page()
            before = self.env.cr.sql_log_count
            page.read(names)
            return self.env.cr.sql_log_count - before

        one = queries()
        for _number in range(9):
            self._running()
        self.assertEqual(queries(), one)
