from datetime import timedelta

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import freeze_time, tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestClaims(MicroSaasCommon):
    """What the sidecar is told of an invoice, and what people see and decide."""

    def _read(self, move):
        return self._sidecar().microsaas_invoice(move.id)

    def _unclaimed(self):
        return self._sidecar().microsaas_unclaimed(1000)

    def _hold(self, move, reason):
        self._sidecar().microsaas_hold_invoice(move.id, reason, "")

    def test_older_than_the_plan_but_paid_since_is_asked_about(self):
        today = fields.Date.today()
        move = self._invoice(invoice_date=today - timedelta(days=40), pay=False)
        self.env.cr.execute("UPDATE account_move SET create_date = %s WHERE id = %s", [move.invoice_date, move.id])
        move.invalidate_recordset()
        self.plan.microsaas_desde = today - timedelta(days=5)
        self._pay(move)
        self.assertIn(move.id, self._unclaimed())
        read = self._read(move)
        self.assertFalse(read["lines"][0]["since_plan"])
        self.assertGreaterEqual(read["paid_day"], read["lines"][0]["desde"])
        self.assertEqual(move.microsaas_progress, "older")
        self._hold(move, "PlanSince")
        self.assertNotIn(move.id, self._unclaimed())
        move.with_user(self.seller).action_microsaas_approve()
        self.assertIn(move.id, self._unclaimed())
        self.assertEqual(move.microsaas_progress, "preparing")
        self.assertIn("Approved", str(move.message_ids.mapped("body")))

    def test_what_was_paid_before_the_plan_is_history(self):
        move = self._invoice()
        self.plan.microsaas_desde = fields.Date.today() + timedelta(days=5)
        self.assertNotIn(move.id, self._unclaimed())
        self.assertEqual(move.microsaas_progress, "older")
        self.assertTrue(move.microsaas_can_provision, "by hand it may be")

    def test_the_shops_day_is_not_the_sellers(self):
        """At 20:00 UTC it is tomorrow in Auckland; the seller makes the plan there, the shop dates its invoice in UTC."""
        self.env.company.sudo().partner_id.tz = "Pacific/Auckland"
        self.plan.microsaas_desde = "2026-03-02"
        with freeze_time("2026-03-01 20:00:00"):
            move = self._invoice(invoice_date="2026-03-01", pay=False)
        self.env.flush_all()
        self.cr.execute("UPDATE account_move SET create_date = '2026-03-01 20:00' WHERE id = %s", [move.id])
        move.invalidate_recordset()
        self._pay(move)
        self.assertTrue(self._read(move)["lines"][0]["since_plan"])
        self.assertIn(move.id, self._unclaimed())
        move.button_draft()
        move.invoice_date = "2026-02-20"  # dated back
        move.action_post()
        self.assertFalse(self._read(move)["lines"][0]["since_plan"])

    def test_a_part_of_a_unit_is_asked_about_once(self):
        move = self._invoice(self._line(quantity=0.5))
        self.assertIn(move.id, self._unclaimed())
        self._hold(move, "PartOfAUnit")
        self.assertNotIn(move.id, self._unclaimed())
        move.with_user(self.seller).action_microsaas_approve()
        self.assertNotIn(move.id, self._unclaimed())

    def _copy(self, move, **vals):
        copy = move.copy({"invoice_date": fields.Date.today(), **vals})
        copy.action_post()
        self._pay(copy)
        return copy

    def test_a_copy_may_renew_what_the_first_one_sold(self):
        first = self._invoice()
        subscription = self._instance(first).subscription_ids
        copy = self._copy(first)
        self.assertEqual(self._read(copy)["lines"][0]["may_renew"], [subscription.name])
        again = self._copy(copy)
        self.assertEqual(self._read(again)["lines"][0]["may_renew"], [subscription.name], "a copy of a copy")
        self._hold(copy, "Duplicate")
        copy.with_user(self.seller).action_microsaas_renews()
        self.assertEqual(copy.invoice_line_ids.suscripcion_id, subscription)
        self.assertFalse(copy.microsaas_hold or copy.activity_ids)
        self.assertEqual(self._read(copy)["lines"], [], "it sells nothing new")
        self.assertIn(subscription.instancia_id.id, self._read(copy)["instance_ids"])
        self.assertIn(subscription.name, str(copy.message_ids.mapped("body")))

    def test_a_trial_is_had_once(self):
        trial = self._product("Trial", es_plan_microsaas=True, list_price=0.0, microsaas_free="end")
        trial.microsaas_desde = "2020-01-01"
        first = self._invoice(self._line(trial))
        self.assertEqual(self._read(first)["lines"][0]["tried_before"], [])
        contact = self.env["res.partner"].create({"name": "Luna's son", "parent_id": self.partner.id})
        twin = self.env["res.partner"].create({"name": "Luna again", "email": "LUNA@example.com"})
        for partner in (self.partner, contact, twin):
            again = self._invoice(self._line(trial), partner_id=partner.id)
            self.assertIn(first.display_name, self._read(again)["lines"][0]["tried_before"])
        self.assertEqual(self._read(first)["lines"][0]["tried_before"], [], "it was the first")
        self._hold(again, "TrialAgain")
        self.assertNotIn(again.id, self._unclaimed())
        again.with_user(self.seller).action_microsaas_approve()
        self.assertIn(again.id, self._unclaimed())

    def test_what_is_no_second_trial(self):
        trial = self._product("Trial", es_plan_microsaas=True, list_price=0.0, microsaas_free="end")
        other = self._product("Other trial", es_plan_microsaas=True, list_price=0.0, microsaas_free="end")
        self._invoice(self._line(trial)).button_draft()
        self._invoice(self._line(trial), partner_id=self.partner.copy({"email": "sol@example.com"}).id)
        first = self._invoice(self._line(trial))
        self.assertEqual(self._read(first)["lines"][0]["tried_before"], [], "a draft, and another customer")
        self.assertEqual(self._read(self._invoice(self._line(other)))["lines"][0]["tried_before"], [], "another trial")
        two = self._invoice(self._line(other, quantity=2), partner_id=self.partner.copy({"email": "x@example.com"}).id)
        self.assertEqual(self._read(two)["lines"][0]["tried_before"], [two.display_name], "two at once")
        self.plan.list_price = 0
        for _time in range(2):
            move = self._invoice(self._line(self.plan))
        self.assertEqual(self._read(move)["lines"][0]["tried_before"], [], "free for good")

    def test_a_second_instance_when_a_person_says_so(self):
        first = self._invoice()
        self._instance(first)
        copy = self._copy(first)
        self._hold(copy, "Duplicate")
        copy.with_user(self.seller).action_microsaas_approve()
        self.assertTrue(self._read(copy)["approved"])
        self.assertTrue(self._claimed_ids([{"line_id": copy.invoice_line_ids.id, "unit": 1}]))

    def test_what_a_copy_is_not_asked_about(self):
        first = self._invoice()
        before = self._copy(first)
        self.assertEqual(self._read(before)["lines"][0]["may_renew"], [], "the first one has sold nothing yet")
        instance = self._instance(first)
        other = self._copy(first, partner_id=self.partner.copy().id)
        self.assertEqual(self._read(other)["lines"][0]["may_renew"], [], "another customer")
        new = self._invoice()
        self.assertEqual(self._read(new)["lines"][0]["may_renew"], [], "sold twice on purpose")
        instance.subscription_ids.with_user(self.seller).action_cancelar()
        self.assertEqual(self._read(self._copy(first))["lines"][0]["may_renew"], [], "the first one has ended")

    def test_a_copy_of_several_units_is_split_by_a_person(self):
        first = self._invoice(self._line(quantity=2))
        for _unit in range(2):
            self._instance(first)
        copy = self._copy(first)
        with self.assertRaisesRegex(UserError, "a line for each"):
            copy.with_user(self.seller).action_microsaas_renews()

    def test_the_invoice_says_that_it_is_being_prepared(self):
        move = self._invoice()
        self.assertEqual(move.microsaas_progress, "preparing")
        [instance_id] = self._claimed_ids([{"line_id": move.invoice_line_ids.id, "unit": 1}])
        move.invalidate_recordset()
        self.assertEqual((move.microsaas_progress, move.instancia_count), ("preparing", 1))
        self._report(self.env["odoo.docker.instance"].browse(instance_id), state="running")
        self.assertFalse(move.microsaas_progress)
        by_hand = self._invoice(self._line(self._product("B", es_plan_microsaas=True, microsaas_provision="manual")))
        self.assertFalse(by_hand.microsaas_progress)
