from datetime import timedelta

from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_portal import LOGGER, PortalCase


class PlanPortalCase(PortalCase):
    """An Odoo whose plan was paid for ten days ago, with a dearer and a cheaper plan beside it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan.taxes_id = False
        same = {"es_plan_microsaas": True, "taxes_id": False, "plantilla_id": cls.plan.plantilla_id.id}
        cls.bigger = cls._product("Bigger plan", list_price=60.0, **same)
        cls.smaller = cls._product("Smaller plan", list_price=12.0, **same)
        cls.plan.microsaas_change_ids = (cls.bigger | cls.smaller).product_tmpl_id
        cls._settle()
        cls.subscription = cls.instance.subscription_ids
        today = cls.env.company._microsaas_today()
        begun = today - timedelta(days=10)
        cls.subscription.write({"state": "active", "fecha_inicio": begun, "fecha_fin": today + timedelta(days=18)})
        cls.page = f"/my/instances/{cls.instance.id}"

    def _send(self, path, **data):
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        self.env.cr.flush()
        response = self.url_open(path, data={"csrf_token": token, **data})
        self.env.invalidate_all()
        return response

    def _choose(self, product, amount=None):
        amount = self.subscription._quote(product)["amount"] if amount is None else amount
        return self._send(f"{self.page}/plan", product=product.id, amount=str(amount))


@tagged("post_install", "-at_install")
class TestPortalPlan(PlanPortalCase):
    def test_what_it_costs_is_said_before_anything_is_written(self):
        self.authenticate("customer", "customer" * 2)
        self.assertIn(f"{self.page}/plan", self.url_open(self.page).text)
        text = self.url_open(f"{self.page}/plan").text
        for said in ("Bigger plan", "Smaller plan", "Change and pay", "Change after that day", "60.00", "12.00"):
            self.assertIn(said, text)
        self.assertFalse(self.subscription.change_ids)

    def test_what_each_plan_gives_is_said_and_what_its_template_gives_is_not(self):
        self.bigger.product_tmpl_id.write({"microsaas_memory_mb": 1536, "microsaas_cpus": 1, "microsaas_users": 5})
        self.authenticate("customer", "customer" * 2)
        text = self.url_open(f"{self.page}/plan").text
        for said in ("1.5 GB of memory", "1 processor", "5 users"):
            self.assertIn(said, text)
        self.assertNotIn("of disk", text)

    def test_a_dearer_plan_leads_to_its_invoice(self):
        self.authenticate("customer", "customer" * 2)
        for _tab in range(2):
            response = self._choose(self.bigger)
            self.assertIn("/my/invoices/", response.url)
        move = self.subscription.open_change_id.move_id
        self.assertEqual((len(self.subscription.change_ids), move.state), (1, "posted"))
        self.assertEqual(move.invoice_user_id, self.instance.factura_id.invoice_user_id)
        text = self.url_open(self.page).text
        self.assertIn(f"as soon as invoice {move.name} is paid", text)
        self.assertIn(move.name, text.partition("Invoices")[2])
        self._pay(move)
        self.env.cr.flush()
        self.assertEqual(self.subscription.product_id, self.bigger)

    def test_a_draft_is_the_sellers_to_post(self):
        move = self.subscription._change_plan(self.bigger, "The seller offers it.").move_id
        self.authenticate("customer", "customer" * 2)
        self.assertIn("We are preparing the invoice", self._choose(self.bigger).text)
        self.assertEqual(move.state, "draft")

    def test_without_a_paid_period_it_is_said_why_not(self):
        self.subscription.fecha_fin = False
        self.authenticate("customer", "customer" * 2)
        self.assertIn("has no paid period yet", self._choose(self.bigger, amount=1).text)
        self.assertFalse(self.subscription.change_ids)

    def test_keep_the_present_plan(self):
        self.authenticate("customer", "customer" * 2)
        self._choose(self.bigger)
        move = self.subscription.open_change_id.move_id
        self._send(f"{self.page}/plan/withdraw")
        self.assertEqual((self.subscription.change_ids.state, move.payment_state), ("withdrawn", "reversed"))

    def test_what_a_seller_has_added_to_its_invoice_is_not_credited(self):
        change = self.subscription._change_plan(self.bigger, "The seller offers it.")
        move = change.move_id
        move.invoice_line_ids = [self._line(self._product("Training"), price_unit=80)]
        move.action_post()
        self.authenticate("customer", "customer" * 2)
        self.assertIn("write to us to withdraw it", self._send(f"{self.page}/plan/withdraw").text)
        self.assertEqual((change.state, move.payment_state), ("waiting", "not_paid"))
        change.action_withdraw()
        self.assertEqual((change.state, move.payment_state), ("withdrawn", "not_paid"))
        self.assertIn("credit what is not owed", str(self.subscription.activity_ids.mapped("summary")))

    def test_a_cheaper_plan_comes_later(self):
        self.authenticate("customer", "customer" * 2)
        response = self._choose(self.smaller)
        self.assertIn("The plan changes to Smaller plan on", response.text)
        self.assertEqual((self.subscription.product_id, self.subscription.change_ids.state), (self.plan, "scheduled"))

    def test_who_has_renewed_at_the_cheaper_price_gets_the_cheaper_plan(self):
        self.authenticate("customer", "customer" * 2)
        self._choose(self.smaller)
        move = self.subscription._issue_renewal_invoice()
        self._pay(move)
        response = self._send(f"{self.page}/plan/withdraw")
        self.assertIn(f"Invoice {move.name} has renewed by plan Smaller plan already", response.text)
        self._send(f"{self.page}/cancel", is_understood="1")
        self._send(f"{self.page}/cancel/undo")
        self.assertEqual((self.subscription.state, self.subscription.change_ids.state), ("active", "scheduled"))
        self._credit(move)
        self._send(f"{self.page}/plan/withdraw")
        self.assertEqual(self.subscription.change_ids.state, "withdrawn", "nothing is paid at its price any more")

    def test_a_renewal_in_draft_at_the_cheaper_price_goes_with_the_change(self):
        self.authenticate("customer", "customer" * 2)
        self._choose(self.smaller)
        draft = self.subscription._renewal_invoice("A test wants it.")
        self.assertEqual(draft.amount_total, 12)
        self._send(f"{self.page}/plan/withdraw")
        self.assertEqual((self.subscription.change_ids.state, draft.state), ("withdrawn", "cancel"))
        self.assertEqual(self.subscription._renewal_invoice("A test wants it.").amount_total, 30)

    def test_a_paid_renewal_is_counted_before_a_change_is_priced(self):
        self.authenticate("customer", "customer" * 2)
        shown = self.subscription._quote(self.bigger)["amount"]
        move = self.subscription._issue_renewal_invoice()
        self._pay(move)
        response = self._choose(self.bigger, shown)
        self.assertIn("is being counted", response.text)
        self.assertFalse(self.subscription.change_ids)
        begun, end = self.subscription.fecha_inicio, self.subscription.fecha_fin
        counted = {"taken": 0, "taken_back_on": "", "missing_since": False}
        lines = self.instance.linea_factura_id | move.invoice_line_ids
        days = [(begun - timedelta(days=1), end), (end, end + timedelta(days=30))]
        periods = [
            {
                **counted,
                "line_id": line.id,
                "is_first": line == lines[0],
                "before": str(before),
                "after": str(after),
                "days": (after - before).days,
            }
            for line, (before, after) in zip(lines, days, strict=True)
        ]
        self._settle(subscription={"fecha_fin": str(days[1][1]), "periods": periods})
        self.assertIn("has changed meanwhile", self._choose(self.bigger, shown).text)
        self._choose(self.bigger)
        self.assertEqual(self.subscription.change_ids.state, "waiting")

    def test_a_price_that_has_changed_is_shown_again(self):
        self.authenticate("customer", "customer" * 2)
        response = self._choose(self.bigger, amount=0.01)
        self.assertIn("has changed meanwhile", response.text)
        self.assertFalse(self.subscription.change_ids)

    def test_only_what_the_plan_offers(self):
        secret = self._product("Secret plan", list_price=1.0, es_plan_microsaas=True, plantilla_id=self.plan.plantilla_id.id)
        self.authenticate("customer", "customer" * 2)
        self.assertNotIn("Secret plan", self.url_open(f"{self.page}/plan").text)
        for product in (secret.id, "9" * 400, "x"):
            response = self._send(f"{self.page}/plan", product=product, amount="1.0")
            self.assertIn("cannot be chosen", response.text)
        self.plan.microsaas_change_ids = False
        self.assertNotIn(f"{self.page}/plan", self.url_open(self.page).text)

    def test_who_may_not_act_for_it_reads_no_prices(self):
        self.authenticate("stranger", "strangerstranger")
        paths = ("plan", "plan/withdraw", "cancel", "cancel/undo")
        with mute_logger(LOGGER):
            for path in paths:
                self.assertEqual(self._send(f"{self.page}/{path}").status_code, 404)
            self.assertEqual(self.url_open(f"{self.page}/plan").status_code, 404)
        self.instance.ordered_by_id = self.partner
        self.authenticate("customer", "customer" * 2)
        for path in paths:
            self.assertEqual(self._send(f"{self.page}/{path}").status_code, 404)


@tagged("post_install", "-at_install")
class TestPortalCancel(PlanPortalCase):
    def test_cancel_says_what_happens_when_and_can_be_undone(self):
        self.authenticate("customer", "customer" * 2)
        text = self.url_open(f"{self.page}/cancel").text
        self.assertIn("Until then you can undo this", text)
        kept = self.subscription.fecha_fin + timedelta(days=31)
        self.assertIn(kept.strftime("%m/%d/%Y"), text)
        self.assertEqual(self.subscription.state, "active", "a question writes nothing")
        self.assertIn("Tick the box first", self._send(f"{self.page}/cancel").text)
        draft = self.subscription._renewal_invoice("A test wants it.")
        self._send(f"{self.page}/cancel", is_understood="1")
        self.assertEqual((self.subscription.state, draft.state), ("cancelled", "cancel"))
        self.assertIn("cancels it in the portal", str(self.subscription.message_ids.mapped("body")))
        self.assertIn("Undo the cancellation", self.url_open(self.page).text)
        self._send(f"{self.page}/cancel/undo")
        self.assertEqual(self.subscription.state, "active")

    def test_an_open_renewal_is_named(self):
        move = self.subscription._issue_renewal_invoice()
        self.authenticate("customer", "customer" * 2)
        self.assertIn(f"Invoice {move.name} for the next period is still open", self.url_open(f"{self.page}/cancel").text)
        self._send(f"{self.page}/cancel", is_understood="1")
        self.assertIn("unpaid", self.subscription.activity_ids.summary)

    def test_twice_cancelled_is_once(self):
        self.authenticate("customer", "customer" * 2)
        for _tab in range(2):
            self._send(f"{self.page}/cancel", is_understood="1")
        self.assertEqual(str(self.subscription.message_ids.mapped("body")).count("cancels it in the portal"), 1)

    def test_once_it_is_over_nothing_is_undone(self):
        self.authenticate("customer", "customer" * 2)
        self._send(f"{self.page}/cancel", is_understood="1")
        self.subscription.fecha_fin = self.env.company._microsaas_today() - timedelta(days=1)
        self.assertNotIn("Undo the cancellation", self.url_open(self.page).text)
        self.assertIn("nothing can be undone", self._send(f"{self.page}/cancel/undo").text)
        self.assertEqual(self.subscription.state, "cancelled")
