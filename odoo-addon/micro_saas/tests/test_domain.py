from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon

DOOR = {"domain": "tenants.example.net", "url": "https://{name}.tenants.example.net", "addresses": ["198.51.100.7", "2001:db8::7"]}


@tagged("post_install", "-at_install")
class TestDomain(MicroSaasCommon):
    """A customer's own domain, from what they type to what the door serves."""

    def setUp(self):
        super().setUp()
        self._sidecar().microsaas_hello("abc123", DOOR)
        self.instance = self._instance(subdomain="luna")

    def _domain(self, name, instance=None, user=None):
        domains = self.env["microsaas.domain"].with_user(user or self.seller)
        return domains.create({"name": name, "instance_id": (instance or self.instance).id})

    def _saw(self, domain, state, reason="", detail="", until=False):
        self._sidecar().microsaas_report_domain(domain.id, state, reason, detail, until)
        self.env.invalidate_all()

    def test_what_is_typed_becomes_what_dns_has(self):
        for typed, name in (
            (" WWW.Luna.es. ", "www.luna.es"),
            ("panadería-luna.es", "xn--panadera-luna-2ib.es"),
            ("tienda.straße.de", "tienda.xn--strae-oqa.de"),
        ):
            domain = self._domain(typed)
            self.assertEqual((domain.name, domain.state), (name, "pending"))
            domain.unlink()

    def test_what_is_refused_says_why(self):
        for typed, why in (
            ("", "Enter a domain"),
            ("203.0.113.9", "IP address"),
            ("203.0.113.9:443", "IP address"),
            ("2001:db8::1", "IP address"),
            ("[2001:db8::1]:443", "IP address"),
            ("luna.es:8443", "port"),
            ("https://luna.es", "https://"),
            ("luna.es/tienda", "path"),
            ("luna.es luna.com", "spaces"),
            ("info@luna.es", "more than a domain"),
            ("*.luna.es", "wildcard"),
            ("a." * 250, "253"),
            ("x" * 64 + ".es", "valid"),
            ("-luna.es", "valid"),
            ("luna..es", "valid"),
            ("lu_na.es", "valid"),
            ("luna\x00.es", "valid"),
            ("\u202eluna.es", "valid"),
            ("10.0.1", "valid"),
            ("es", "ending"),
            ("luna.localhost", "internet"),
            ("tenants.example.net", "ours"),
            ("example.net", "ours"),
            ("sol.tenants.example.net", "ours"),
            ("a.b.tenants.example.net", "ours"),
        ):
            with self.subTest(typed), self.assertRaisesRegex(UserError, why):
                self._domain(typed)
        self.assertFalse(self.instance.domain_ids)

    def test_a_domain_is_of_one_instance(self):
        self._domain("www.luna.es")
        other = self._instance()
        with self.assertRaisesRegex(UserError, "in use"):
            self._domain("WWW.luna.es", other)
        with self.assertRaisesRegex(UserError, "in use"):
            self._domain("www.luna.es")

    def test_who_entered_a_domain_that_does_not_lead_here_keeps_nobody_off_for_long(self):
        other, days_ago = self._instance(), fields.Datetime.now() - timedelta(days=4)
        squatted, served = self._domain("www.luna.es"), self._domain("luna.es")
        self._saw(served, "verified", "DomainNotFound")
        self.env.flush_all()
        self.cr.execute("UPDATE microsaas_domain SET create_date = %s", [days_ago])
        self.env.invalidate_all()
        self._domain("www.luna.es", other)
        self.assertFalse(squatted.exists())
        with self.assertRaisesRegex(UserError, "in use"):
            self._domain("luna.es", other)
        self._saw(served, "failed", "DomainStoppedLeadingHere")
        self._domain("luna.es", other)

    def test_the_domain_of_removed_data_is_free(self):
        domain = self._domain("www.luna.es")
        self._saw(domain, "verified")
        self.instance.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        self._domain("www.luna.es", self._instance())
        self.assertFalse(domain.exists())

    def test_an_instance_has_ten_at_most(self):
        for number in range(10):
            self._domain(f"luna{number}.es")
        with self.assertRaisesRegex(UserError, "10 domains"), self.cr.savepoint():
            self._domain("luna10.es")

    def test_a_removed_instance_gets_none(self):
        self.instance.action_remove()
        with self.assertRaisesRegex(UserError, "removed"):
            self._domain("luna.es")

    def test_entering_and_removing_is_a_wish(self):
        revision = self.instance.revision
        domain = self._domain("www.luna.es")
        self.assertEqual(self.instance.revision, revision + 1)
        domain.unlink()
        self.assertEqual(self.instance.revision, revision + 2)

    def test_the_sidecar_reads_and_reports(self):
        domain = self._domain("www.luna.es")
        until = fields.Datetime.to_string(fields.Datetime.now() + timedelta(days=60))
        token = domain.sudo().token
        self.assertRegex(token, "^[0-9a-f]{32}$")
        [desired] = self._sidecar().microsaas_desired(self.instance.ids)
        expected = {"id": domain.id, "name": "www.luna.es", "verified": False, "certified": False, "token": token}
        self.assertEqual(desired["domains"], [expected])
        [row] = [row for row in self._sidecar().microsaas_domains() if row["id"] == domain.id]
        self.assertEqual((row["instance_id"], row["token"], row["checked_at"]), (self.instance.id, token, ""))
        self.assertEqual((row["failing_since"], row["certificate_until"], row["state"]), ("", "", "pending"))
        revision = self.instance.revision
        self._saw(domain, "verified")
        self.assertEqual(self.instance.revision, revision + 1, "the door orders a certificate for it")
        [route] = [row for row in self._sidecar().microsaas_routes() if row["id"] == self.instance.id]
        self.assertEqual(route["domains"], [{**expected, "verified": True}])
        revision = self.instance.revision
        self._saw(domain, "verified", until=until)
        self.assertEqual(domain.certificate_until, fields.Datetime.to_datetime(until))
        self.assertEqual(self.instance.revision, revision + 1, "its address is another now")
        [route] = [row for row in self._sidecar().microsaas_routes() if row["id"] == self.instance.id]
        self.assertEqual(route["domains"], [{**expected, "verified": True, "certified": True}])
        self._saw(domain, "verified", "DomainNotFound", until=until)
        [row] = [row for row in self._sidecar().microsaas_domains() if row["id"] == domain.id]
        self.assertTrue(row["failing_since"])
        self.assertEqual(self.instance.revision, revision + 1, "nothing is another")
        self._saw(domain, "failed", "DomainStoppedLeadingHere")
        self.assertEqual(self.instance.revision, revision + 2)
        self.assertTrue(self._sidecar().microsaas_report_domain(0x7FFFFFFF, "failed"))

    def test_a_domain_of_removed_data_is_not_checked(self):
        domain = self._domain("www.luna.es")
        self.instance.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        self.assertNotIn(domain.id, [row["id"] for row in self._sidecar().microsaas_domains()])

    def test_each_reason_has_its_sentence_in_both_languages(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        domain, said = self._domain("www.luna.es"), set()
        for reason in ("", "DomainNotFound", "DomainElsewhere", "DomainUnreachable", "DomainAnswersWrong", "DomainStoppedLeadingHere"):
            self._saw(domain, "pending", reason, "203.0.113.9")
            said |= {domain.with_context(lang=lang).message for lang in ("en_US", "es_ES")}
        self.assertEqual(len(said), 12)
        self._saw(domain, "pending", "DomainElsewhere", "203.0.113.9")
        self.assertIn("203.0.113.9", domain.message)

    def test_what_dns_must_say(self):
        rows = self.instance._dns_rows()
        self.assertEqual(
            [(row["type"], row["value"]) for row in rows],
            [("CNAME", "luna.tenants.example.net"), ("A", "198.51.100.7"), ("AAAA", "2001:db8::7")],
        )

    def test_who_sees_and_enters_them(self):
        domain = self._domain("www.luna.es")
        with self.assertRaises(AccessError):
            domain.read(["token"])
        self.assertTrue(domain.with_user(self.manager).read(["token"]))
        self.assertTrue(domain.with_user(self.invoicer).read(["name", "message"]))
        for user in (self.invoicer, self.bot, self.employee):
            with self.assertRaises(AccessError):
                self._domain("luna.com", user=user)
        for vals in ({"state": "verified"}, {"name": "x.es"}, {"token": "0" * 32}):
            with self.assertRaises(AccessError):
                domain.write(vals)

    def test_hello_keeps_what_is_said_of_the_door(self):
        params = self.env["ir.config_parameter"].sudo()
        self._sidecar().microsaas_hello("abc123")
        self.assertEqual(params.get_param("microsaas.door_domain"), "tenants.example.net", "an older sidecar says nothing")
        self._sidecar().microsaas_hello("other9", {**DOOR, "domain": "other.example.net"})
        self.assertEqual(params.get_param("microsaas.door_domain"), "tenants.example.net")
        self._sidecar().microsaas_hello("abc123", False)
        self.assertFalse(params.get_param("microsaas.door_domain"))
        self.assertEqual(self.instance._dns_rows(), [])
