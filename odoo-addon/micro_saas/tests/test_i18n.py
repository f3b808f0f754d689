from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestI18n(MicroSaasCommon):
    def test_refusals_speak_the_users_language(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        move = self._invoice(pay=False).with_user(self.seller).with_context(lang="es_ES")
        with self.assertRaisesRegex(UserError, "no está pagada"):
            move.action_crear_instancia()
        labels = self.env["odoo.docker.instance"].with_context(lang="es_ES").fields_get(["state", "log"])
        self.assertEqual(labels["log"]["string"], "Registro")
        self.assertEqual(dict(labels["state"]["selection"])["running"], "En marcha")
