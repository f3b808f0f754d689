import time

from odoo import fields
from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_domain import DOOR
from .test_portal import LOGGER, PortalCase


@tagged("post_install", "-at_install")
class TestPortalAddress(PortalCase):
    """The customer changes the address of their Odoo and enters domains of their own."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._sidecar().microsaas_hello("abc123", DOOR)
        cls.path = f"/my/instances/{cls.instance.id}"
        cls.before = cls.instance.subdomain
        cls._settle()

    def setUp(self):
        super().setUp()
        self.authenticate("customer", "customer" * 2)

    def _send(self, path, **data):
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        self.env.flush_all()
        response = self.url_open(f"{self.path}/{path}", data={"csrf_token": token, **data})
        self.env.invalidate_all()
        return response

    def test_they_rename_it(self):
        page = self.url_open(self.path).text
        self.assertIn(self.before, page)
        self.assertIn(".tenants.example.net", page)
        self.assertIn("90 days", page)
        self.assertEqual(self._send("rename", subdomain="sol").status_code, 200)
        self.assertEqual(self.instance.subdomain, "sol")
        refused = self._send("rename", subdomain="www").text
        self.assertIn("reserved", refused)
        self.assertEqual(self.instance.subdomain, "sol")
        self._send("rename", subdomain=self.before)
        self.assertEqual(self.instance.subdomain, self.before)

    def _hours_ago(self, hours, count):
        return [time.time() - hours * 3600] * count

    def test_they_hoard_no_names(self):
        for number in range(6):
            self._send("rename", subdomain=f"luna-{number}")
            self.instance.portal_renames = self._hours_ago(25, 9)
        self.assertEqual(self.instance.subdomain, "luna-4")
        self.assertIn("90 days", self._send("rename", subdomain="luna-6").text)
        self._send("rename", subdomain="luna-1")
        self.assertEqual(self.instance.subdomain, "luna-1")

    def test_they_rename_it_five_times_a_day_and_read_when_again(self):
        for name in ("sol", self.before, "sol", "sol", "www", self.before, "sol"):
            self._send("rename", subdomain=name)
        self.assertEqual(len(self.instance.portal_renames), 5, "what is refused or changes nothing does not count")
        refused = self._send("rename", subdomain=self.before).text
        self.assertIn("5 times within a day. You can change it again in 24 h.", refused)
        self.assertEqual(self.instance.subdomain, "sol")
        self.instance.portal_renames = [*self._hours_ago(21.5, 1), *self._hours_ago(1, 4)]
        self.assertIn("in 3 h.", self._send("rename", subdomain=self.before).text)
        self.instance.with_user(self.seller).subdomain = "mar"
        self.instance.portal_renames = [*self._hours_ago(24.1, 1), *self._hours_ago(1, 4)]
        self._send("rename", subdomain=self.before)
        self.assertEqual(self.instance.subdomain, self.before)

    def test_they_enter_twenty_domains_a_day_and_read_when_again(self):
        self.instance.portal_domains = [*self._hours_ago(30, 30), *self._hours_ago(2, 19)]
        self._send("domains/add", domain="luna.es")
        self.assertIn("in 22 h.", self._send("domains/add", domain="sol.es").text)
        self.assertEqual(self.instance.domain_ids.mapped("name"), ["luna.es"])
        domains = self.env["microsaas.domain"].with_user(self.seller)
        self.assertTrue(domains.create({"name": "sol.es", "instance_id": self.instance.id}), "we are not limited")

    def test_they_have_ten_domains_that_are_not_verified(self):
        for number in range(10):
            self._send("domains/add", domain=f"luna{number}.es")
        self.assertIn("as soon as one is verified or removed", self._send("domains/add", domain="luna10.es").text)
        self.assertEqual(len(self.instance.domain_ids), 10)
        one = self.instance.domain_ids[0]
        self._sidecar().microsaas_report_domain(one.id, "verified", proof="cname")
        self._send("domains/add", domain="luna10.es")
        self.assertEqual(len(self.instance.domain_ids), 11)

    def test_while_only_a_name_changes_nothing_is_being_prepared(self):
        for path, data in (("domains/add", {"domain": "luna.es"}), ("rename", {"subdomain": "sol"})):
            page = self._send(path, **data).text
            self.assertIn("Your Odoo is ready", page, path)
            self.assertTrue(self.instance.microsaas_busy)
        self._send("restart")
        self.assertIn("Your Odoo is starting", self.url_open(self.path).text)
        page = self._send("domains/add", domain="luna.com").text
        self.assertIn("Your Odoo is starting", page, "what was begun before goes on")
        self.assertIn("Pending", page)

    def test_without_a_door_there_is_no_address_to_change(self):
        self._sidecar().microsaas_hello("abc123", False)
        self.env.flush_all()
        self.assertNotIn("/rename", self.url_open(self.path).text)

    def test_they_enter_a_domain_and_read_what_dns_must_say(self):
        self.assertIn("/domains/add", self.url_open(self.path).text)
        page = self._send("domains/add", domain="panadería.es").text
        domain = self.instance.domain_ids
        self.assertEqual((domain.name, domain.state), ("xn--panadera-i2a.es", "pending"))
        record = f"_microsaas.{domain.name}"
        for text in ("panadería.es", f"{self.before}.tenants.example.net", "198.51.100.7", record, domain.token, "Pending", 'data-poll="5"'):
            self.assertIn(text, page)
        self._sidecar().microsaas_report_domain(domain.id, "pending", "DomainElsewhere", "203.0.113.9")
        self.env.flush_all()
        self.assertIn("203.0.113.9", self.url_open(f"{self.path}/domains").text)
        self._sidecar().microsaas_report_domain(domain.id, "verified", "", "", "2027-02-01 10:00:00", "cname")
        self.env.flush_all()
        verified = self.url_open(f"{self.path}/domains").text
        for text in ("Verified", "Certificate until", "2027"):
            self.assertIn(text, verified)
        self.assertNotIn("data-poll", verified)
        self.assertIn("IP address", self._send("domains/add", domain="203.0.113.9").text)
        self._send(f"domains/{domain.id}/remove")
        self.assertFalse(domain.exists())

    def test_a_stranger_changes_nothing(self):
        domain = self.env["microsaas.domain"].sudo().create({"name": "luna.es", "instance_id": self.instance.id})
        self.env.flush_all()
        self.authenticate("stranger", "strangerstranger")
        for path, data in (("rename", {"subdomain": "sol"}), ("domains/add", {"domain": "sol.es"}), (f"domains/{domain.id}/remove", {})):
            with mute_logger(LOGGER):
                self.assertEqual(self._send(path, **data).status_code, 404)
        for path in ("domains", "pay"):
            with mute_logger(LOGGER):
                self.assertEqual(self.url_open(f"{self.path}/{path}").status_code, 404)
        self.assertEqual((self.instance.subdomain, self.instance.domain_ids), (self.before, domain))

    def test_a_colleague_who_only_sees_it_changes_nothing(self):
        self.instance.ordered_by_id = self.partner
        self.env.flush_all()
        for path, data in (("rename", {"subdomain": "sol"}), ("domains/add", {"domain": "sol.es"})):
            self.assertIn("Only who ordered", self._send(path, **data).text)
        self.assertEqual(self.instance.subdomain, self.before)
        self.assertNotIn("/rename", self.url_open(self.path).text)

    def test_domains_of_others_are_closed_to_rpc_too(self):
        domain = self.env["microsaas.domain"].sudo().create({"name": "luna.es", "instance_id": self.instance.id})
        other = self._instance()
        other.sudo().partner_id = self.stranger.partner_id
        foreign = self.env["microsaas.domain"].sudo().create({"name": "mar.es", "instance_id": other.id})
        own = domain.with_user(self.customer)
        self.assertTrue(own.read(["name", "state", "message", "certificate_until"]))
        for forbidden in (
            lambda: own.read(["token"]),
            lambda: foreign.with_user(self.customer).read(["name"]),
            lambda: own.write({"name": "x.es"}),
            lambda: own.unlink(),
            lambda: own.create({"name": "x.es", "instance_id": self.instance.id}),
            lambda: self.instance.with_user(self.customer).write({"subdomain": "sol"}),
            lambda: self.env["microsaas.subdomain"].with_user(self.customer).search([]).read(["name"]),
        ):
            with self.assertRaises(AccessError):
                forbidden()

    def test_pay_now_leads_to_what_is_owed_and_writes_nothing(self):
        subscription = self.instance.subscription_ids
        subscription.write({"state": "expired", "suspended_at": fields.Datetime.now()})
        self.env.flush_all()
        self.assertTrue(self.url_open(f"{self.path}/pay").url.endswith(self.path))
        self.assertFalse(subscription.renewal_line_ids)
        move = subscription._issue_renewal_invoice()
        self.env.flush_all()
        paying = self.url_open(f"{self.path}/pay").url
        self.assertIn(f"/my/invoices/{move.id}", paying)
        self.assertIn("payment=True", paying)
        self.logout()
        self.assertIn("/web/login", self.url_open(f"{self.path}/pay").url)
