from odoo.tests import TransactionCase, tagged

from odoo.addons.micro_saas.tests.translations import untranslated


@tagged("post_install", "-at_install")
class TestI18n(TransactionCase):
    def test_no_term_is_untranslated(self):
        self.env["res.lang"]._activate_lang("es_ES")
        addon = self.env["ir.module.module"].search([("name", "=", "micro_saas_website")])
        addon._update_translations(["es_ES"])
        self.assertEqual(untranslated(self.env, "micro_saas_website"), [])
