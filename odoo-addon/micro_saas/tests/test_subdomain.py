from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import UniqueViolation

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestSubdomain(MicroSaasCommon):
    """The name of an instance below the door's domain: given once, changed by people, nobody else's for a while."""

    def setUp(self):
        super().setUp()
        self.book = self.env["microsaas.subdomain"].sudo()

    def _desired(self, instance):
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        return desired["subdomain"], desired["former_subdomains"]

    def test_an_instance_is_called_as_was_chosen_else_after_its_company(self):
        self.partner.name = "Ñandú & Cía. del Sur"
        move = self._invoice()
        move.invoice_line_ids.microsaas_names = "luna-nueva"
        self.assertEqual(self._instance(move).subdomain, "luna-nueva")
        self.assertEqual(self._instance().subdomain, "nandu-cia-del-sur")
        self.assertEqual(self._instance(name="Bakery, production").subdomain, f"nandu-cia-del-sur-{self._newest()}")
        self.assertEqual(self._instance(name="Sol").subdomain, "sol")
        self.assertEqual(self._instance(subdomain="mar").subdomain, "mar")

    def _newest(self):
        return self.env["odoo.docker.instance"].sudo().search([], limit=1).id

    def test_a_claim_never_fails_for_a_name(self):
        for owner, expected in (("www", "www-{id}"), ("1984", "odoo-1984"), ("日本", "odoo-{id}"), ("ns2", "ns2-{id}")):
            self.partner.name = owner
            line = self._invoice().invoice_line_ids
            [claimed] = self._claimed_ids([{"line_id": line.id, "unit": 1}])
            instance = self.env["odoo.docker.instance"].browse(claimed)
            self.assertEqual(instance.subdomain, expected.format(id=claimed), owner)
            self.assertEqual(instance.revision, 0, "nobody wished for anything")

    def test_of_two_who_claim_a_name_at_the_same_time_the_second_gets_another(self):
        first = self._instance(subdomain="luna")
        # As if the check before had not seen the other transaction.
        with patch.object(type(self.book), "_is_taken", return_value=False), patch.object(
            type(self.book), "search", autospec=True, side_effect=lambda model, *_args, **_named: model.browse()
        ):
            second = self._instance(name="luna")
            with self.assertRaisesRegex(ValidationError, "taken"):
                second.subdomain = "luna"
        self.assertEqual(second.subdomain, f"luna-{second.id}")
        self.assertEqual(first.subdomain, "luna")

    def test_the_database_refuses_one_name_twice(self):
        first, second = self._instance(), self._instance()
        with mute_logger("odoo.sql_db"), self.assertRaises(UniqueViolation), self.cr.savepoint():
            self.cr.execute(
                "UPDATE odoo_docker_instance SET subdomain = %s WHERE id = %s", [first.subdomain, second.id]
            )

    def test_what_is_refused_names_the_rule_and_a_free_name(self):
        self._instance(subdomain="luna")
        instance = self._instance()
        before = instance.subdomain
        for name, rule in (
            ("ab", "3 to 40"),
            ("x" * 41, "3 to 40"),
            ("x" * 5000, "3 to 40"),
            ("Luna", "small letters"),
            ("luna.es", "small letters"),
            ("lu na", "small letters"),
            ("panadería", "small letters"),
            ("-luna", "begins and ends"),
            ("luna-", "begins and ends"),
            ("xn--luna", "dashes"),
            ("12345", "letter"),
            ("www", "reserved"),
            ("ns17", "reserved"),
            ("luna", "taken"),
            ("", "3 to 40"),
        ):
            with self.subTest(name), self.assertRaisesRegex(ValidationError, rule) as refused:
                instance.subdomain = name
            free = str(refused.exception).rpartition("“")[2].partition("”")[0]
            self.assertFalse(self.book._problem(free, instance), free)
        self.assertEqual(instance.subdomain, before)
        with self.assertRaisesRegex(ValidationError, "taken"):
            self._instance(subdomain="luna")
        self.assertEqual(self._instance(subdomain="lu-na--sol").subdomain, "lu-na--sol")

    def test_the_managers_own_name_is_reserved(self):
        self._sidecar().microsaas_hello("abc123", {"domain": "x.com", "url": "", "addresses": [], "manager": "oficina"})
        with self.assertRaisesRegex(ValidationError, "reserved"):
            self._instance().subdomain = "oficina"

    def test_a_rename_keeps_the_old_name_and_is_a_wish(self):
        instance, other = self._instance(subdomain="luna"), self._instance()
        revision = instance.revision
        instance.subdomain = "sol"
        self.assertEqual(instance.revision, revision + 1)
        self.assertTrue(instance.next_review <= fields.Datetime.now())
        self.assertEqual(self._desired(instance), ("sol", ["luna"]))
        with self.assertRaisesRegex(ValidationError, "taken"):
            other.subdomain = "luna"
        instance.subdomain = "luna"
        self.assertEqual(self._desired(instance), ("luna", ["sol"]))
        self.env.flush_all()
        self.assertEqual(self.book.search_count([("instance_id", "=", instance.id)]), 2)

    def test_a_rename_is_said_in_the_chatter(self):
        instance = self._instance(subdomain="luna").with_context(tracking_disable=False, mail_notrack=False)
        self.cr.flush()
        instance.subdomain = "sol"
        self.cr.flush()
        [tracked] = instance.sudo().message_ids.tracking_value_ids.filtered(lambda it: it.field_id.name == "subdomain")
        self.assertEqual((tracked.old_value_char, tracked.new_value_char), ("luna", "sol"))

    def test_an_old_name_redirects_for_90_days_and_is_free_then(self):
        instance, other = self._instance(subdomain="luna"), self._instance()
        instance.subdomain = "sol"
        row = self.book.search([("name", "=", "luna")])
        row.former_since = fields.Datetime.now() - timedelta(days=89)
        self.assertEqual(self._desired(instance), ("sol", ["luna"]))
        row.former_since = fields.Datetime.now() - timedelta(days=90)
        self.assertEqual(self._desired(instance), ("sol", []))
        other.subdomain = "luna"
        self.assertEqual(self.book.search([("name", "=", "luna")]).instance_id, other)
        self.assertEqual(self._desired(instance), ("sol", []))

    def test_a_removed_customers_name_is_nobody_elses_until_long_after_the_data_went(self):
        instance = self._instance(subdomain="luna")
        instance.action_remove()
        self._report(instance, state="removed", active=False)
        subscription = instance.sudo().subscription_ids
        for days in (1, 364):
            subscription.data_removed_at = fields.Datetime.now() - timedelta(days=days)
            with self.assertRaisesRegex(ValidationError, "taken"):
                self._instance(subdomain="luna")
        subscription.data_removed_at = fields.Datetime.now() - timedelta(days=366)
        self.assertEqual(self._instance(subdomain="luna").subdomain, "luna")
        self.assertFalse(instance.subdomain)
        self._sidecar().microsaas_restore(instance.id, "odoo", "begin")
        self.assertTrue(instance.subdomain)

    def test_the_name_of_a_deleted_draft_is_free(self):
        instance = self._instance(subdomain="luna")
        instance.unlink()
        self.assertEqual(self._instance(subdomain="luna").subdomain, "luna")

    def test_instances_of_an_earlier_version_get_a_name_each(self):
        one, other, chosen, gone = self._instance(), self._instance(), self._instance(name="sol"), self._instance()
        gone.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        self.env.flush_all()
        self.cr.execute("UPDATE odoo_docker_instance SET subdomain = NULL")
        self.cr.execute("DELETE FROM microsaas_subdomain")
        self.env.invalidate_all()
        for _i in range(2):
            self.book.init()
            self.env.invalidate_all()
            self.assertEqual(chosen.subdomain, "sol")
            self.assertEqual({one.subdomain, other.subdomain}, {"panaderia-luna", f"panaderia-luna-{other.id}"})
            self.assertFalse(gone.subdomain)
        self.assertEqual(self.book._instance_named("sol"), chosen)

    def test_a_lost_instance_gets_its_name_again_where_nobody_has_it(self):
        for taken in (False, True):
            instance = self._instance()
            [desired] = self._sidecar().microsaas_desired(instance.ids)
            names = ("id", "identity", "name", "template_code", "http_port", "longpolling_port", "restart_count")
            found = {name: desired[name] for name in (*names, "sold_as", "subdomain")}
            found.update(running=True, was_ready=True, repositories=[])
            instance.sudo().subscription_ids.unlink()
            self.env.flush_all()
            self.cr.execute("DELETE FROM odoo_docker_instance WHERE id = %s", [instance.id])
            self.env.invalidate_all()
            if taken:
                self._instance(subdomain=found["subdomain"])
            self.assertEqual(self._sidecar().microsaas_adopt([found]), [found["id"]])
            again = self.env["odoo.docker.instance"].browse(found["id"])
            self.assertTrue(again.subdomain)
            self.assertEqual(again.subdomain == found["subdomain"], not taken)

    def test_who_may_rename(self):
        instance = self._instance()
        for user in (self.invoicer, self.bot, self.employee):
            with self.assertRaises(AccessError):
                instance.with_user(user).subdomain = "sol"
        with self.assertRaises(AccessError):
            self.book.with_user(self.manager).create({"name": "sol", "instance_id": instance.id})
        forged = self.env["odoo.docker.instance"].with_user(self.seller)
        forged = forged.with_context(microsaas_named=True, default_subdomain="www")
        with self.assertRaises(ValidationError):
            forged.browse(instance.id).subdomain = "www"
        self.assertNotEqual(forged.create({"factura_id": self._invoice().id}).subdomain, "www")

    def test_routes_are_of_all_that_have_data(self):
        instance, removed, gone = self._instance(subdomain="luna"), self._instance(), self._instance()
        instance.write({"http_port": 20005, "longpolling_port": 25005})
        instance.subdomain = "sol"
        removed.sudo().write({"active": False})
        gone.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        routes = {row["id"]: row for row in self._sidecar().microsaas_routes()}
        ports = {"http_port": 20005, "longpolling_port": 25005}
        names = {"subdomain": "sol", "former_subdomains": ["luna"], "domains": [], "is_copy": False}
        self.assertEqual(routes[instance.id], {"id": instance.id, **ports, **names})
        self.assertEqual(routes[removed.id]["http_port"], 0)
        self.assertNotIn(gone.id, routes)

    def test_routes_of_any_number_are_read_by_as_many_queries(self):
        def queries():
            self.env.flush_all()
            before = self.cr.sql_log_count
            self._sidecar().microsaas_routes()
            return self.cr.sql_log_count - before

        queries()
        few = queries()
        for _i in range(5):
            self._instance()
        self.assertEqual(queries(), few)
