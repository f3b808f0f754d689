from psycopg2 import IntegrityError

from odoo import Command
from odoo.exceptions import UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestAccountMove(MicroSaasCommon):
    def _assert_refused(self, move, sentence):
        move.invalidate_recordset(["microsaas_can_provision"])
        self.assertFalse(move.microsaas_can_provision)
        with self.assertRaisesRegex(UserError, sentence):
            move.action_crear_instancia()
        with self.assertRaisesRegex(UserError, sentence), self.cr.savepoint():
            self._instance(move)

    def test_button_opens_a_prefilled_form(self):
        move = self._invoice()
        self.assertTrue(move.microsaas_can_provision)
        action = move.action_crear_instancia()
        self.assertEqual(action["res_model"], "odoo.docker.instance")
        self.assertEqual(
            action["context"],
            {
                "default_partner_id": self.partner.id,
                "default_factura_id": move.id,
                "default_name": "Odoo Panadería Luna",
                "default_template_id": self.plan.plantilla_id.id,
            },
        )

    def test_refuses_what_is_not_a_paid_customer_invoice(self):
        self._assert_refused(self._invoice(post=False), "still a draft")
        self._assert_refused(self._invoice(post=False, partner_id=False), "has no customer")
        self._assert_refused(self._invoice(pay=False), "is not paid")
        self._assert_refused(self._invoice(move_type="in_invoice"), "not a customer invoice")
        self._assert_refused(self._invoice(move_type="out_refund"), "is a credit note")
        partial = self._invoice(pay=False)
        self._pay(partial, amount=10)
        self._assert_refused(partial, "only in part")
        cancelled = self._invoice(post=False)
        cancelled.button_cancel()
        self._assert_refused(cancelled, "is cancelled")

    def test_refuses_what_was_credited(self):
        unpaid = self._invoice(pay=False)
        self._credit(unpaid)
        paid = self._invoice()
        draft = self._credit(paid, post=False)
        self.assertFalse(paid._microsaas_refusal(), "a draft credit note changes nothing")
        draft.action_post()
        self.assertEqual(paid.payment_state, "paid")
        self._assert_refused(paid, "refunded or credited")

    def test_in_payment_counts_by_setting(self):
        move = self._invoice()
        self.env.flush_all()
        self.cr.execute("UPDATE account_move SET payment_state = 'in_payment' WHERE id = %s", [move.id])
        move.invalidate_recordset()
        self.assertFalse(move._microsaas_refusal())
        self._set_param("in_payment_is_paid", "False")
        self._assert_refused(move, "bank has not confirmed")

    def test_a_free_invoice_is_paid(self):
        move = self._invoice(self._line(discount=100))
        self.assertEqual(move.payment_state, "paid")
        self.assertTrue(self._instance(move).linea_factura_id)

    def test_each_unit_once(self):
        other = self._product("Bigger hosting", es_plan_microsaas=True)
        move = self._invoice(
            self._line(quantity=2.7),
            Command.create({"display_type": "line_section", "name": "Extras"}),
            self._line(self._product("A book")),
            self._line(other),
        )
        taken = [(row.plan_id, row.unidad) for row in (self._instance(move) for _unit in range(3))]
        plan, bigger = self.plan.product_tmpl_id, other.product_tmpl_id
        self.assertEqual(taken, [(plan, 1), (plan, 2), (bigger, 1)])
        self._assert_refused(move, "has its instance already")

    def test_whole_units_only(self):
        for quantity in (0.5, -1):
            move = self._invoice(self._line(quantity=quantity), self._line(quantity=9, price_unit=50))
            self.assertEqual(
                [unit for _line, unit in move._microsaas_free_units()], list(range(1, 10)), quantity
            )

    def test_a_removed_instance_keeps_its_unit(self):
        move = self._invoice()
        instance = self._instance(move)
        self._report(instance, state="removed", active=False)
        self._assert_refused(move, "has its instance already")

    def test_an_invoice_without_a_plan_may_have_instances(self):
        move = self._invoice(self._line(self._product("Consulting")))
        first, second = self._instance(move), self._instance(move)
        self.assertFalse(first.linea_factura_id | second.linea_factura_id)
        self.assertEqual(first.template_id, self.template)

    def test_view_buttons_and_counters(self):
        move = self._invoice(self._line(quantity=2))
        first = self._instance(move)
        self.assertEqual((move.instancia_count, move.subscription_count), (1, 1))
        self.assertEqual(move.action_ver_instancias()["res_id"], first.id)
        self.assertEqual(move.action_ver_suscripciones()["res_id"], first.subscription_ids.id)
        self._instance(move)
        self.assertEqual(move.instancia_count, 2)
        action = move.action_ver_instancias()
        self.assertEqual(action["domain"], [("factura_id", "=", move.id)])
        self.assertFalse(action.get("res_id"))
        self._report(first, state="removed", active=False)
        self.assertEqual(move.instancia_count, 1)

    def test_approve_releases_the_hold(self):
        move = self._invoice()
        self._sidecar().microsaas_hold_invoice(move.id, "TooManyUnits", "21\n20")
        self.assertEqual(move.microsaas_hold, "TooManyUnits")
        self.assertEqual(len(move.activity_ids), 1)
        self.assertIn("asks for 21 instances; more than 20 need", move.activity_ids.note)
        self.assertTrue(move.with_user(self.seller).action_microsaas_approve())
        self.assertTrue(move.microsaas_approved)
        self.assertFalse(move.microsaas_hold or move.activity_ids)

    def test_a_sold_line_cannot_be_deleted(self):
        move = self._invoice(self._line(quantity=2))
        instance = self._instance(move)
        move.button_draft()
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.cr.savepoint():
            instance.linea_factura_id.sudo().unlink()
