from odoo.exceptions import UserError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .translations import untranslated


@tagged("post_install", "-at_install")
class TestI18n(MicroSaasCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["res.lang"].sudo()._activate_lang("es_ES")
        addon = cls.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])
        addon._update_translations(["es_ES"])

    def test_no_term_is_untranslated(self):
        self.assertEqual(untranslated(self.env, "micro_saas"), [])

    def test_refusals_speak_the_users_language(self):
        move = self._invoice(pay=False).with_user(self.seller).with_context(lang="es_ES")
        with self.assertRaisesRegex(UserError, "no está pagada"):
            move.action_crear_instancia()
        labels = self.env["odoo.docker.instance"].with_context(lang="es_ES").fields_get(["state", "log"])
        self.assertEqual(labels["log"]["string"], "Registro")
        self.assertEqual(dict(labels["state"]["selection"])["running"], "En marcha")

    def test_what_is_going_on_is_said_in_the_readers_language(self):
        instance = self._instance()
        url = "https://example.com/a.git"
        for reason, spanish in {
            "Starting": "Iniciando la instancia.",
            "RepositoryForbidden": (
                f"El repositorio {url} no existe, o es privado y el sidecar no tiene un token válido para él."
            ),
        }.items():
            self._sidecar().microsaas_report(
                [{"id": instance.id, "revision": 0, "reason": reason, "message": "In English.", "detail": url}]
            )
            self.assertEqual(instance.with_context(lang="es_ES").phase_message, spanish)
            self.assertEqual(instance.with_context(lang="en_US").phase_message, "In English.")

    def test_a_reason_that_only_a_newer_sidecar_knows_is_said_in_its_words(self):
        instance = self._instance()
        self._sidecar().microsaas_report(
            [{"id": instance.id, "revision": 0, "reason": "Newer", "message": "In English."}]
        )
        self.assertEqual(instance.with_context(lang="es_ES").phase_message, "In English.")
