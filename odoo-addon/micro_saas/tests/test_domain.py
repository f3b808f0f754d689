from datetime import timedelta
from unittest.mock import patch

from psycopg2.errors import UniqueViolation

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon

DOOR = {"domain": "tenants.example.net", "url": "https://{name}.tenants.example.net", "addresses": ["198.51.100.7", "2001:db8::7"]}


@tagged("post_install", "-at_install")
class TestDomain(MicroSaasCommon):
    """A customer's own domain, from what they type to what the door serves."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._sidecar().microsaas_hello("abc123", DOOR)
        cls.instance = cls._instance(subdomain="luna")

    def _domain(self, name, instance=None, user=None):
        domains = self.env["microsaas.domain"].with_user(user or self.seller)
        return domains.create({"name": name, "instance_id": (instance or self.instance).id})

    def _saw(self, domain, state, reason="", detail="", until=False, proof=""):
        proof = proof or ("cname" if state == "verified" and not reason else "")
        self._sidecar().microsaas_report_domain(domain.id, state, reason, detail, until, proof)
        self.env.invalidate_all()

    def _of_another(self, name="Zapatería Sol"):
        """Return an instance of another customer."""
        partner = self.partner.create({"name": name})
        return self._instance(self._invoice(partner_id=partner.id))

    def _to_check(self, domain):
        self.env.flush_all()
        [row] = self._sidecar().microsaas_domains(domain.ids)
        return row

    def _days_ago(self, days):
        return fields.Datetime.now() - timedelta(days=days)

    def test_what_is_typed_becomes_what_dns_has(self):
        for typed, name in (
            (" WWW.Luna.es. ", "www.luna.es"),
            ("panadería-luna.es", "xn--panadera-luna-2ib.es"),
            ("tienda.straße.de", "tienda.xn--strae-oqa.de"),
            ("luna.рф", "luna.xn--p1ai"),
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
            ("luna.1a", "valid"),
            ("luna.a1", "valid"),
            ("luna.x", "valid"),
            ("luna.xn--", "valid"),
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

    def test_a_customer_enters_a_domain_once(self):
        self._domain("www.luna.es")
        with self.assertRaisesRegex(UserError, "in use"):
            self._domain("www.luna.es")
        with self.assertRaisesRegex(UserError, "remove it there"):
            self._domain("WWW.luna.es", self._instance())

    def test_one_that_is_entered_twice_in_the_same_second_is_refused_with_a_sentence(self):
        self._domain("www.luna.es")
        # As if the check before had not seen the other transaction.
        with patch.object(type(self.env["microsaas.domain"]), "_check_free"):
            with self.assertRaisesRegex(UserError, "same moment"):
                self._domain("www.luna.es")
        self.assertEqual(len(self.instance.domain_ids), 1)

    def test_the_database_lets_one_instance_alone_have_a_domain_verified(self):
        one, other = self._domain("www.luna.es"), self._domain("www.luna.es", self._of_another())
        with mute_logger("odoo.sql_db"), self.assertRaises(UniqueViolation), self.cr.savepoint():
            self.cr.execute("UPDATE microsaas_domain SET state = 'verified' WHERE id = ANY(%s)", [(one | other).ids])

    def test_who_enters_a_domain_first_keeps_nobody_off(self):
        squatted, own = self._domain("www.luna.es"), self._domain("www.luna.es", self._of_another())
        self.assertNotEqual(squatted.sudo().token, own.sudo().token)
        self.assertEqual(self._to_check(own)["cnames"], [f"{own.instance_id.subdomain}.tenants.example.net"])
        self._saw(own, "verified")
        self.assertEqual(own.state, "verified")
        self.assertEqual(squatted.state, "pending", "another proof may follow")
        self.assertEqual(self._to_check(squatted)["cnames"], [], "but the TXT record alone is one now")

    def test_what_only_leads_here_is_never_verified_whatever_a_sidecar_says(self):
        domain = self._domain("www.luna.es")
        self._sidecar().microsaas_report_domain(domain.id, "verified")
        self.assertEqual((domain.state, domain.reason), ("pending", "DomainUnproven"))
        self._saw(domain, "verified")
        self._sidecar().microsaas_report_domain(domain.id, "verified", "DomainNotFound")
        self.assertEqual(domain.state, "verified", "it was proven, and may be without for some days")

    def test_a_cname_may_lead_to_each_name_that_its_instance_has_or_had(self):
        domain = self._domain("www.luna.es")
        self.instance.subdomain = "sol"
        self.assertEqual(self._to_check(domain)["cnames"], ["sol.tenants.example.net", "luna.tenants.example.net"])

    def test_a_verified_domain_is_another_customers_only_by_a_txt_record(self):
        other = self._of_another()
        held, wanted = self._domain("www.luna.es"), self._domain("www.luna.es", other)
        self._saw(held, "verified")
        self.assertEqual(self._to_check(wanted)["cnames"], [])
        self._saw(wanted, "verified", proof="cname")
        self.assertEqual((wanted.state, wanted.reason, held.state), ("pending", "DomainUnproven", "verified"))
        self.assertIn("another customer", wanted.message)
        self._saw(wanted, "verified", proof="txt")
        self.assertEqual(wanted.state, "verified")
        self.assertFalse(held.exists())
        self.assertIn("another instance's now", str(self.instance.sudo().message_ids[0].body))
        again = self._domain("www.luna.es")
        self.assertEqual(self._to_check(again)["cnames"], [], "no grace for who has lost it by DNS")

    def test_a_txt_record_ends_what_others_have_entered_and_not_proven(self):
        squatted, own = self._domain("www.luna.es"), self._domain("www.luna.es", self._of_another())
        self._saw(own, "verified", proof="txt")
        self.assertFalse(squatted.exists())
        self.assertFalse(own.instance_id.sudo().domain_ids - own)

    def test_a_removed_domain_stays_its_customers_for_30_days(self):
        held, other = self._domain("www.luna.es"), self._of_another()
        self._saw(held, "verified")
        held.unlink()
        wanted = self._domain("www.luna.es", other)
        self.assertEqual(self._to_check(wanted)["cnames"], [])
        self._saw(wanted, "verified", proof="cname")
        self.assertEqual(wanted.state, "pending")
        back = self._domain("www.luna.es", self._instance())
        self.assertTrue(self._to_check(back)["cnames"], "it is the same customer's")
        back.unlink()
        kept = self.env["microsaas.former.domain"].sudo().search([("name", "=", "www.luna.es")])
        kept.removed_at = self._days_ago(31)
        self.assertTrue(self._to_check(wanted)["cnames"])
        self._saw(wanted, "verified", proof="cname")
        self.assertEqual(wanted.state, "verified")
        self.assertFalse(kept.exists())

    def test_one_that_was_never_verified_leaves_nothing_behind(self):
        self._domain("www.luna.es").unlink()
        self.assertTrue(self._to_check(self._domain("www.luna.es", self._of_another()))["cnames"])
        self.assertFalse(self.env["microsaas.former.domain"].sudo().search([]))

    def test_one_that_has_stopped_leading_here_stays_its_customers_for_30_days(self):
        held, wanted = self._domain("www.luna.es"), self._domain("www.luna.es", self._of_another())
        self._saw(held, "verified")
        self._saw(held, "failed", "DomainStoppedLeadingHere")
        self.assertEqual(self._to_check(wanted)["cnames"], [])
        held.sudo().failing_since = self._days_ago(31)
        self.assertTrue(self._to_check(wanted)["cnames"])
        self._saw(wanted, "verified")
        self.assertFalse(held.exists())

    def test_the_domain_of_removed_data_stays_its_customers_for_30_days(self):
        held, wanted = self._domain("www.luna.es"), self._domain("www.luna.es", self._of_another())
        self._saw(held, "verified")
        subscription = self.instance.sudo().subscription_ids
        subscription.data_removed_at = self._days_ago(1)
        self.assertEqual(self._to_check(wanted)["cnames"], [])
        self.assertTrue(self._to_check(self._domain("www.luna.es", self._instance()))["cnames"], "the same customer's")
        subscription.data_removed_at = self._days_ago(31)
        self._saw(wanted, "verified")
        self.assertEqual((wanted.state, held.exists().ids), ("verified", []))

    def test_what_is_never_verified_is_dropped_after_seven_days(self):
        old, new, served = self._domain("luna.es"), self._domain("luna.com"), self._domain("luna.org")
        self._saw(served, "verified")
        self.env.flush_all()
        self.cr.execute(
            "UPDATE microsaas_domain SET create_date = %s WHERE id = ANY(%s)", [self._days_ago(8), (old | served).ids]
        )
        self.env.invalidate_all()
        revision = self.instance.revision
        self.env["microsaas.domain"].sudo()._drop_unverified()
        self.assertEqual((old | new | served).exists(), new | served)
        self.assertGreater(self.instance.revision, revision, "the door forgets it")

    def test_what_is_kept_of_former_domains_is_forgotten(self):
        held = self._domain("www.luna.es")
        self._saw(held, "verified")
        held.unlink()
        kept = self.env["microsaas.former.domain"].sudo()
        kept._forget()
        self.assertTrue(kept.search([]))
        kept.search([]).removed_at = self._days_ago(30)
        kept._forget()
        self.assertFalse(kept.search([]))

    def test_an_instance_has_fifty_at_most(self):
        for number in range(50):
            self._domain(f"luna{number}.es")
        with self.assertRaisesRegex(UserError, "50 domains"), self.cr.savepoint():
            self._domain("luna50.es")

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
        row = self._to_check(domain)
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
        self.assertTrue(self._to_check(domain)["failing_since"])
        self.assertEqual(self.instance.revision, revision + 1, "nothing is another")
        self._saw(domain, "failed", "DomainStoppedLeadingHere")
        self.assertEqual(self.instance.revision, revision + 2)
        self.assertTrue(self._sidecar().microsaas_report_domain(0x7FFFFFFF, "failed"))

    def test_a_domain_of_removed_data_is_not_checked(self):
        domain = self._domain("www.luna.es")
        self.instance.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        self.assertEqual(self._sidecar().microsaas_domains(domain.ids), [])

    def test_those_that_are_asked_for_are_checked_and_no_other(self):
        one, other, gone = (self._domain(name) for name in ("luna.es", "luna.com", "luna.org"))
        gone.unlink()
        self.assertEqual([row["id"] for row in self._sidecar().microsaas_domains([one.id, gone.id])], one.ids)

    def test_each_reason_has_its_sentence_in_both_languages(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        domain, said = self._domain("www.luna.es"), set()
        reasons = ("DomainElsewhere", "DomainUnproven", "DomainUnreachable", "DomainAnswersWrong", "DomainStoppedLeadingHere")
        for reason in ("", "DomainNotFound", *reasons):
            self._saw(domain, "pending", reason, "203.0.113.9")
            said |= {domain.with_context(lang=lang).message for lang in ("en_US", "es_ES")}
        self.assertEqual(len(said), 14)
        self._saw(domain, "pending", "DomainElsewhere", "203.0.113.9")
        self.assertIn("203.0.113.9", domain.message)

    def _choices(self, domain):
        return [[(record["type"], record["name"], record["value"]) for record in records] for records in domain.sudo()._dns_choices()]

    def test_what_dns_must_say(self):
        domain = self._domain("www.luna.es")
        token = domain.sudo().token
        cname = [("CNAME", "www.luna.es", "luna.tenants.example.net")]
        addresses = [("A", "www.luna.es", "198.51.100.7"), ("AAAA", "www.luna.es", "2001:db8::7")]
        txt = [("TXT", "_microsaas.www.luna.es", token)]
        self.assertEqual(self._choices(domain), [cname, addresses + txt])
        self.assertEqual(
            domain.dns,
            "www.luna.es CNAME luna.tenants.example.net or www.luna.es A 198.51.100.7, www.luna.es AAAA 2001:db8::7,"
            f" _microsaas.www.luna.es TXT {token}",
        )
        self._saw(domain, "verified")
        wanted = self._domain("www.luna.es", self._of_another())
        self.assertEqual([choice[-1][0] for choice in self._choices(wanted)], ["TXT", "TXT"])
        self._sidecar().microsaas_hello("abc123", {**DOOR, "addresses": []})
        self.assertEqual(self._choices(domain)[1][0], ("A", "www.luna.es", "the address of luna.tenants.example.net"))

    def test_who_sees_and_enters_them(self):
        domain = self._domain("www.luna.es")
        self.assertTrue(domain.read(["token", "dns"]))
        self.assertTrue(domain.with_user(self.invoicer).read(["name", "message"]))
        with self.assertRaises(AccessError):
            domain.with_user(self.invoicer).read(["token"])
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
        self.assertEqual(self._domain("www.luna.es").sudo()._dns_choices(), [])
