from odoo import fields
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_domain import DOOR

KEYS = {"status", "retry_after", "lang", "title", "lines", "action", "second_action", "company", "logo_url"}


@tagged("post_install", "-at_install")
class TestStatePage(MicroSaasCommon):
    """What a visitor reads where an Odoo does not answer."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._sidecar().microsaas_hello("abc123", DOOR)
        cls.instance = cls._instance(subdomain="luna").sudo()
        cls.instance.start_instance()
        cls.subscription = cls.instance.subscription_ids

    def _page(self, host="luna.tenants.example.net", instance=None, language=""):
        self.env.flush_all()
        self.env.invalidate_all()
        page = self._sidecar().microsaas_page(host, instance.id if instance else 0, language)
        self.assertEqual(set(page), KEYS)
        text = " ".join([page["title"], *page["lines"]])
        self.assertNotIn("Panadería", text, "whoever opens it may be anybody")
        return page, text

    def _suspend(self):
        self._report(self.instance, state="stopped", reason="Expired", next_review=False)
        self.subscription.write({"state": "expired", "suspended_at": fields.Datetime.now(), "reason": "Expired"})

    def test_a_prepared_one_says_how_far_it_is(self):
        self._report(self.instance, reason="CreatingDatabase", detail="secret")
        page, text = self._page()
        self.assertEqual((page["status"], page["retry_after"], page["action"]), (503, 3, False))
        self.assertIn("Creating the database.", text)
        self.assertIn("50 %", text)
        self.assertNotIn("secret", text)
        self.assertEqual((page["lang"], page["company"]), ("en_US", self.env.company.name))

    def test_it_is_in_the_customers_language(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        self.partner.lang = "es_ES"
        page, text = self._page()
        self.assertEqual(page["lang"], "es_ES")
        self.assertIn("su Odoo", text)
        self.partner.lang = False
        self.assertEqual(self._page()[0]["lang"], "en_US")

    def test_what_is_nobodys_is_in_the_visitors_language_else_in_the_companys(self):
        company = self.env["res.company"].sudo().search([], order="id", limit=1).partner_id
        company.lang = "en_US"
        said = {language: self._page("mar.tenants.example.net", language=language)[0]["lang"] for language in ("", "en", "fr", "%")}
        self.assertEqual(set(said.values()), {"en_US"}, "that of the company where the visitor's is not installed")
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        page, text = self._page("mar.tenants.example.net", language="es")
        self.assertEqual((page["lang"], page["status"]), ("es_ES", 404))
        self.assertIn("ningún Odoo", text)
        self.assertEqual(self._page("mar.tenants.example.net")[0]["lang"], "en_US")
        company.lang = "es_ES"
        for language, lang in (("", "es_ES"), ("en", "en_US"), ("es", "es_ES"), ("fr", "es_ES")):
            self.assertEqual(self._page("mar.tenants.example.net", language=language)[0]["lang"], lang)
        self.assertEqual(self._page(language="es")[0]["lang"], "en_US", "a customer's own page is in theirs")

    def test_a_suspended_one_says_what_is_owed_and_leads_to_the_payment_by_the_login(self):
        self._suspend()
        page, text = self._page()
        self.assertEqual((page["status"], page["retry_after"]), (402, 0))
        self.assertRegex(text, r"30[.,]00")
        self.assertEqual(page["action"]["url"].partition("/my/")[2], f"instances/{self.instance.id}/pay")
        move = self.subscription.sudo()._issue_renewal_invoice()
        text = self._page()[1]
        self.assertIn(move.name, text)
        self.assertNotIn(move.access_token or "no token", str(self._page()[0]))

    def test_a_suspended_one_leads_to_the_data_where_there_is_a_proven_backup(self):
        self._suspend()
        self.assertIs(self._page()[0]["second_action"], False)
        self._backed_up(self.instance, self._backup(proof="data", proof_date="2026-11-27 04:00:00"))
        link = self._page()[0]["second_action"]
        self.assertEqual(link["label"], "Download my data")
        self.assertEqual(link["url"].partition("/my/")[2], f"instances/{self.instance.id}#data")

    def test_the_others(self):
        self._report(self.instance, state="running", reason="Running", next_review=False, seconds_to_ready=1.0)
        self.assertEqual(self._page()[0]["status"], 503)
        self.assertIn("does not answer", self._page()[1])
        self._report(self.instance, state="error", reason="StartFailed", detail="secret", next_review="2020-01-01 00:00:00")
        page, text = self._page()
        self.assertEqual((page["status"], page["retry_after"]), (503, 30))
        self.assertNotIn("secret", text)
        self.assertNotIn("have been told", text)
        self._report(self.instance, state="error", reason="StartFailed", detail="secret", next_review=False)
        self.assertIn("have been told", self._page()[1])
        self.assertTrue(self.instance.activity_ids)
        self.instance.stop_instance()
        self._report(self.instance, state="stopped", reason="Stopped", next_review=False)
        page, text = self._page()
        self.assertEqual((page["status"], page["retry_after"]), (503, 0))
        self.assertIn("stopped", text)
        self.instance.action_remove()
        self.assertEqual(self._page()[0]["status"], 410)

    def test_whose_page_it_is(self):
        self._report(self.instance, state="running", reason="Running", next_review=False)
        domain = self.env["microsaas.domain"].sudo().create({"name": "www.luna.es", "instance_id": self.instance.id})
        self.assertEqual(self._page("www.luna.es")[0]["status"], 404, "not verified: it is anybody's")
        domain.state = "verified"
        self.instance.subdomain = "sol"
        hosts = ("sol.tenants.example.net", "luna.tenants.example.net", "WWW.luna.es", "www.luna.es:8443", "sol.tenants.example.net.")
        for host in hosts:
            self.assertEqual(self._page(host)[0]["status"], 503, host)
        for host in ("", "tenants.example.net", "mar.tenants.example.net", "x.sol.tenants.example.net", "<script>", "sol", "x" * 500):
            page, text = self._page(host)
            self.assertEqual((page["status"], page["action"]), (404, False), host)
            self.assertNotIn("<script>", text)
        self.assertEqual(self._page("whatever", self.instance)[0]["status"], 503)
