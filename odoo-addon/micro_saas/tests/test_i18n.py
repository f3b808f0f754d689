from odoo.exceptions import UserError
from odoo.tests import tagged

from ..models.reason_sentences import instance_sentence
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

    def _said(self, record, field):
        """Return what readers of English and of Spanish read of a record."""
        return tuple(record.with_context(lang=lang)[field] for lang in ("en_US", "es_ES"))

    def test_what_is_going_on_is_said_in_the_readers_language(self):
        instance = self._instance()
        url = "https://example.com/a.git"
        for reason, detail, english, spanish in (
            ("Starting", "", "Starting the instance.", "Iniciando la instancia."),
            (
                "RepositoryForbidden",
                url,
                f"The repository {url} does not exist, or it is private and the sidecar has no valid token for it.",
                f"El repositorio {url} no existe, o es privado y el sidecar no tiene un token válido para él.",
            ),
            (
                "RepositoryTooLarge",
                f"{url}\n500",
                f"The repository {url} is larger than 500 MB.",
                f"El repositorio {url} ocupa más de 500 MB.",
            ),
            (
                "NotEnoughDisk",
                "12 MB\n2048 MB",
                "The server's disk has too little room: only 12 MB are free; 2048 MB are kept."
                " Free some: it goes on by itself then.",
                "El disco del servidor tiene muy poco espacio: solo quedan libres 12 MB; se reservan 2048 MB."
                " Libere espacio: entonces continúa por sí solo.",
            ),
            (
                "Expired",
                "2026-11-26",
                "Suspended: it was paid until November 26, 2026. It runs again once the renewal is paid.",
                "Suspendida: estaba pagada hasta el 26 de noviembre de 2026. Vuelve a funcionar en cuanto se pague la renovación.",
            ),
            ("TemplateInvalid", "moon", "The template “moon” cannot be used.", "La plantilla «moon» no se puede usar."),
            (
                "TemplateInvalid",
                "moon\nodoo.conf\nno [options]",
                "The template “moon” cannot be used: odoo.conf no [options].",
                "La plantilla «moon» no se puede usar: odoo.conf no [options].",
            ),
        ):
            self._report(instance, reason=reason, detail=detail, log=[{"at": "10:00", "reason": reason, "detail": detail}])
            self.assertEqual(self._said(instance, "phase_message"), (english, spanish))
            self.assertEqual(instance.log.splitlines()[0], f"10:00 {english}", "operators read English")

    def test_a_reason_that_only_a_newer_sidecar_knows_is_said_in_its_words(self):
        instance = self._instance()
        self._report(instance, reason="Newer", detail="one\n%s")
        self.assertEqual(self._said(instance, "phase_message"), ("Newer: one, %s.",) * 2)

    def test_what_an_earlier_version_said_is_kept_until_the_next_report(self):
        instance = self._instance()
        instance.sudo()._quiet().write({"reason": "Starting", "message": "It was said in English."})
        self.assertEqual(
            self._said(instance, "phase_message"), ("It was said in English.", "Iniciando la instancia.")
        )
        self._report(instance, reason="Starting", detail="")
        self.assertEqual(instance.with_context(lang="en_US").phase_message, "Starting the instance.")
        move = self._invoice().sudo()
        move.write({"microsaas_hold": "TooManyUnits", "microsaas_hold_text": "It was said in English."})
        self.assertEqual(self._said(move, "microsaas_hold_message"), ("It was said in English.",) * 2)

    def test_a_hold_is_said_in_the_readers_language(self):
        move = self._invoice()
        self.assertFalse(move.microsaas_hold_message)
        self._sidecar().microsaas_hold_invoice(move.id, "TooManyUnits", "21\n20")
        english, spanish = self._said(move.sudo(), "microsaas_hold_message")
        self.assertEqual(english, "One line asks for 21 instances; more than 20 need a person's approval.")
        self.assertEqual(spanish, "Una línea pide 21 instancias; más de 20 requieren la aprobación de una persona.")

    def test_a_sentence_has_its_full_stop_whatever_it_ends_with(self):
        for reason in ("BranchMissing", "ModulesFailed", "TemplateBreaksPolicy", "SomethingNewer"):
            self.assertRegex(instance_sentence(self.env, reason, "later"), r"later\.$")
        self.assertEqual(instance_sentence(self.env, False, ""), "")

    def test_what_is_wrong_with_a_plan_is_said_in_the_readers_language(self):
        sidecar, plan = self._sidecar(), self.plan.sudo()
        sidecar.microsaas_report_plan(plan.id, False, "ModulesMissing", "moon, sun")
        english, spanish = self._said(plan, "microsaas_listo_message")
        self.assertEqual(english, "These modules could not be installed: moon, sun. Check the plan's module list.")
        self.assertEqual(
            spanish, "No se han podido instalar estos módulos: moon, sun. Revise la lista de módulos del plan."
        )
        url = "https://example.com/a.git"
        remarks = f"SubmodulesLeftOut {url} sub, other\nPackagesMissing {url} numpy, paramiko"
        sidecar.microsaas_report_plan(plan.id, True, "Remarks", remarks)
        english, spanish = self._said(plan, "microsaas_listo_message")
        self.assertEqual(
            english,
            f"The git submodules of {url} are not fetched: sub, other. Add the repository of each where its modules are"
            f" needed. Modules of {url} need Python packages that the image does not have: numpy, paramiko. They cannot"
            " be installed.",
        )
        self.assertTrue(spanish.startswith(f"Los submódulos de git de {url} no se descargan: sub, other."))
        sidecar.microsaas_report_plan(plan.id, True, "", "")
        self.assertFalse(plan.microsaas_listo_message)
