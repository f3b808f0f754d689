from lxml import etree
from psycopg2 import IntegrityError

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import Form, tagged
from odoo.tools import mute_logger
from odoo.tools.safe_eval import safe_eval

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
        with self.assertRaisesRegex(UserError, "suspended.*Renew subscription %s" % instance.subscription_ids.name):
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

    def test_lists_offer_new_to_whom_it_is_not_refused(self):
        for user, offered in ((self.manager, None), (self.seller, "false")):
            for view_type in ("list", "kanban"):
                arch = self.env["odoo.docker.instance"].with_user(user).get_view(view_type=view_type)["arch"]
                self.assertEqual(etree.fromstring(arch).get("create"), offered, (user.login, view_type))
        # From an invoice everybody who sells makes one, in the form.
        arch = self.env["odoo.docker.instance"].with_user(self.seller).get_view(view_type="form")["arch"]
        self.assertIsNone(etree.fromstring(arch).get("create"))

    def _buttons(self, instance):
        """Return the names of the header's buttons that the seller sees on the form of an instance."""
        view = instance.with_user(self.seller).get_view(view_type="form")
        values = instance.with_user(self.seller).read()[0]
        buttons = etree.fromstring(view["arch"]).xpath("//header/button")
        return {one.get("name") for one in buttons if not safe_eval(one.get("invisible") or "False", dict(values))}

    def test_the_form_shows_the_buttons_that_work(self):
        instance = self._running()
        self._report(instance, state="running", reason="Running", instance_url="http://localhost:20000")
        self.assertLessEqual({"open_instance_url", "restart_instance", "stop_instance"}, self._buttons(instance))
        self.assertFalse({"start_instance", "action_renew"} & self._buttons(instance))
        instance.stop_instance()
        self.assertEqual(instance.situation, "stopping")
        self.assertNotIn("open_instance_url", self._buttons(instance), "it is about to be gone")
        self._report(instance, state="stopped", reason="Stopped")
        self.assertIn("start_instance", self._buttons(instance))
        instance.start_instance()
        subscription = instance.subscription_ids.sudo()
        subscription._write({"state": "expired", "suspended_at": fields.Datetime.now()})
        self.env.invalidate_all()
        self.assertEqual(instance.situation, "suspended")
        shown = self._buttons(instance)
        self.assertIn("action_renew", shown)
        self.assertFalse({"start_instance", "restart_instance", "stop_instance", "open_instance_url"} & shown)
        move = self.env["account.move"].browse(instance.action_renew()["res_id"])
        self.assertEqual(move.invoice_line_ids.suscripcion_id, subscription)
