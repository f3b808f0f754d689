from psycopg2 import IntegrityError

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestInstance(MicroSaasCommon):
    def test_create_fills_from_the_invoice(self):
        move = self._invoice()
        instance = self._instance(move)
        self.assertEqual(instance.linea_factura_id, move.invoice_line_ids)
        self.assertEqual(instance.unidad, 1)
        self.assertEqual(instance.partner_id, self.partner)
        self.assertEqual(instance.template_id, self.template)
        self.assertEqual(instance.name, "Odoo Panadería Luna")
        self.assertEqual((instance.state, instance.desired_state), ("draft", "draft"))
        self.assertEqual(instance.subscription_ids.state, "draft")

    def test_units_are_called_what_was_chosen(self):
        move = self._invoice(self._line(quantity=3, microsaas_names="luna, ,sol"))
        names = [self._instance(move).name for _unit in range(3)]
        self.assertEqual(names, ["luna", "Odoo Panadería Luna", "sol"])
        other = self._invoice(self._line(microsaas_names="luna"))
        self.assertEqual(other.action_crear_instancia()["context"]["default_name"], "luna")
        self.assertEqual(self._instance(other, name="Mine").name, "Mine")

    def test_form_suggests_ports_and_saves(self):
        move = self._invoice()
        action = move.with_user(self.seller).action_crear_instancia()
        form = Form(self.env["odoo.docker.instance"].with_user(self.seller).with_context(action["context"]))
        self.assertEqual((form.http_port, form.longpolling_port), (20000, 25000))
        self._instance(http_port=20000)  # somebody else is faster
        instance = form.save()
        self.assertEqual((instance.http_port, instance.longpolling_port), (20001, 25000))

    def test_onchange_name_over_rpc(self):
        instance = self._instance()
        self.assertEqual(instance.onchange_name(), {})
        self.assertEqual((instance.http_port, instance.longpolling_port), (20000, 25000))
        self.assertEqual(instance.browse().onchange_name(), {})
        self._set_param("http_port_last", "20000")
        other = self._instance()
        other.onchange_name()
        self.assertEqual((other.http_port, other.longpolling_port), (0, 25001))

    def test_ports_are_unique_and_valid(self):
        first = self._instance(http_port=20000, longpolling_port=25000)
        second = self._instance()
        for vals in (
            {"http_port": 20000},
            {"http_port": 25000},
            {"http_port": 80},
            {"http_port": 70000},
            {"http_port": 21000, "longpolling_port": 21000},
        ):
            with self.subTest(vals), self.assertRaises(ValidationError), self.cr.savepoint():
                second.write(vals)
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.cr.savepoint():
            self.cr.execute(
                "UPDATE odoo_docker_instance SET http_port = 20000 WHERE id = %s", [second.id]
            )
        self._report(first, state="removed", active=False, http_port=0, longpolling_port=0)
        second.http_port = 20000

    def test_any_text_is_a_name(self):
        for name in ("a b", "'\"", "../../etc", "$(reboot)", "{{name}}", "two\nlines", "🥖" * 300):
            self.assertEqual(self._instance(name=name).name, name)
        self.assertEqual(self._instance(name="  ").name, "Odoo Panadería Luna")
        with self.assertRaisesRegex(ValidationError, "300"):
            self._instance(name="x" * 301)

    def test_buttons_change_the_wish(self):
        instance = self._instance()
        with self.assertRaisesRegex(UserError, "never been started"):
            instance.stop_instance()
        with self.assertRaisesRegex(UserError, "no address yet"):
            instance.open_instance_url()
        for button, wish in (
            ("start_instance", "running"),
            ("stop_instance", "stopped"),
            ("restart_instance", "running"),
            ("action_remove", "removed"),
        ):
            before = instance.revision
            instance.sudo().next_review = False
            self.assertIs(getattr(instance, button)(), True)
            self.assertEqual(instance.desired_state, wish)
            self.assertGreater(instance.revision, before)
            self.assertTrue(instance.next_review)
        self.assertEqual(instance.restart_count, 1)
        with self.assertRaisesRegex(UserError, "was removed"):
            instance.start_instance()

    def test_start_again_after_an_error(self):
        instance = self._instance()
        instance.start_instance()
        self._report(instance, state="error", message="The repository cannot be reached.")
        before = instance.revision
        instance.start_instance()
        self.assertGreater(instance.revision, before)

    def test_start_counts_from_the_click_until_it_was_ready(self):
        instance = self._instance()
        instance.start_instance()
        clicked = instance.requested_at
        self.assertGreater(clicked, 0)
        self._report(instance, state="running", seconds_to_ready=1.5)
        instance.stop_instance()
        instance.start_instance()
        self.assertEqual(instance.requested_at, clicked)

    def test_start_refuses_when_the_payment_was_taken_back(self):
        instance = self._instance()
        self._credit(instance.factura_id)
        with self.assertRaisesRegex(UserError, "refunded or credited"):
            instance.start_instance()

    def test_start_refuses_a_suspended_instance(self):
        instance = self._instance()
        self._report(instance, state="running", subscription={"state": "expired"})
        with self.assertRaisesRegex(UserError, "suspended.*%s" % instance.factura_id.name):
            instance.start_instance()
        renewal = instance.subscription_ids.action_renovar()["res_id"]
        self.env["account.move"].browse(renewal).action_post()
        with self.assertRaisesRegex(UserError, self.env["account.move"].browse(renewal).name):
            instance.restart_instance()

    def test_open(self):
        instance = self._instance()
        self._report(instance, instance_url="http://localhost:20000")
        action = instance.open_instance_url()
        self.assertEqual((action["type"], action["url"]), ("ir.actions.act_url", "http://localhost:20000"))

    def test_people_write_wishes_only(self):
        instance = self._instance()
        for vals in ({"state": "running"}, {"log": "x"}, {"instance_url": "http://x"}, {"was_ready": True}):
            with self.subTest(vals), self.assertRaises(AccessError):
                instance.with_context(microsaas_quiet=True).write(vals)
        with self.assertRaises(AccessError):
            instance.factura_id = self._invoice()

    def test_only_what_never_ran_is_deleted(self):
        draft = self._instance()
        subscription = draft.subscription_ids
        draft.unlink()
        self.assertFalse(subscription.exists())
        started = self._instance()
        started.start_instance()
        with self.assertRaisesRegex(UserError, "use Remove"):
            started.unlink()

    def test_without_an_invoice_only_managers(self):
        vals = {"name": "Ours", "partner_id": self.partner.id}
        instances = self.env["odoo.docker.instance"]
        with self.assertRaises(AccessError):
            instances.with_user(self.seller).create(vals)
        instance = instances.with_user(self.manager).create(vals)
        instance.start_instance()
        self.assertEqual(instance.template_id, self.template)
