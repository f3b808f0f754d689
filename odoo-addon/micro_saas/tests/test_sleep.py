from datetime import datetime, timedelta

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_domain import DOOR

AT = 1795348100
SECONDS = datetime(2026, 11, 22, 11, 48, 20)


@tagged("post_install", "-at_install")
class TestSleep(MicroSaasCommon):
    """An instance that nobody uses is running and asleep: the sidecar says so."""

    def setUp(self):
        super().setUp()
        self._sidecar().microsaas_hello("abc123", DOOR)
        self.plan.sudo().microsaas_sleep_hours = 1.5
        self.instance = self._instance(subdomain="luna").sudo()
        self.instance.start_instance()
        self._report(self.instance, state="running", reason="Running", instance_url="http://luna.example.net")

    def _desired(self):
        self.env.flush_all()
        self.env.invalidate_all()
        return self._sidecar().microsaas_desired(self.instance.ids)[0]

    def _sleep(self):
        later = fields.Datetime.to_string(fields.Datetime.now() + timedelta(days=1))
        self._report(
            self.instance, asleep=True, wake_at=AT + 60, last_request_at=AT, reason="Asleep", next_review=later
        )

    def test_the_sidecar_reads_the_hours_of_the_plan(self):
        row = self._desired()
        self.assertEqual((row["sleep_hours"], row["asleep"], row["wake_at"]), (1.5, False, 0))
        [state] = [row for row in self._sidecar().microsaas_states() if row["id"] == self.instance.id]
        self.assertEqual(
            set(state),
            {"id", "state", "reason", "revision", "sleep_hours", "asleep", "last_request_at", "wake_at"}
            | {"last_backup_at", "last_proof_at", "last_failure_at", "has_job", "is_copy"},
        )
        self.assertEqual((state["sleep_hours"], state["revision"]), (1.5, self.instance.revision))

    def test_a_report_is_read_again_as_it_was(self):
        self._sleep()
        row = self._desired()
        self.assertEqual((row["asleep"], row["wake_at"], row["last_request_at"]), (True, AT + 60, AT))
        self.assertEqual(self.instance.last_request_at, SECONDS)
        self.assertEqual(self.instance.state, "running")
        self._report(self.instance, asleep=False, wake_at=0)
        self.assertEqual((self.instance.is_asleep, self.instance.microsaas_wake_at), (False, False))
        self.assertEqual(self.instance.last_request_at, SECONDS, "what is not said is not written")

    def test_its_customer_reads_that_it_wakes(self):
        self._sleep()
        status = self.instance._portal_status()
        self.assertEqual((status["code"], status["poll"]), ("running", 0))
        self.assertIn("asleep", status["title"])
        page = self._sidecar().microsaas_page("luna.tenants.example.net", 0)
        self.assertEqual((page["status"], page["retry_after"]), (503, 1))
        self.assertIn("waking", page["title"])

    def test_who_starts_or_restarts_it_is_a_visitor(self):
        for press in (self.instance.restart_instance, self.instance.start_instance):
            self._sleep()
            before = fields.Datetime.now() - timedelta(seconds=2)
            press()
            self.assertGreaterEqual(self.instance.last_request_at, before)

    def test_hours_are_not_negative(self):
        with self.assertRaises(ValidationError):
            self.plan.sudo().microsaas_sleep_hours = -1
            self.env.flush_all()
