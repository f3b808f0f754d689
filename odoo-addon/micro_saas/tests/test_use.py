from datetime import datetime, timedelta, timezone

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_portal import PortalCase

HOST = {"memory_mb": 16000, "free_memory_mb": 8000, "disk_mb": 200000, "free_disk_mb": 100000, "short_of": []}


class UseCase(MicroSaasCommon):
    def _use(self, instance, at=None, **use):
        """Return what the sidecar says of one instance, measured now unless told otherwise."""
        at = at or fields.Datetime.now()
        return {
            "id": instance.id,
            "identity": instance.sudo().identity,
            "at": at.replace(tzinfo=timezone.utc).timestamp(),
            "disk_mb": 50,
            "database_mb": 20,
            "users": 3,
            "memory_mb": 200,
            "cpus": 0.25,
            "requests": 7,
            **use,
        }

    def _report_use(self, *uses, **host):
        self.assertIs(self._sidecar().microsaas_report_use(list(uses), {**HOST, **host}), True)
        self.env.invalidate_all()

    def _samples(self, instance, period):
        found = self.env["microsaas.use.sample"].sudo().search(
            [("instance_id", "=", instance.id), ("period", "=", period)], order="at"
        )
        return [(one.memory_mb, round(one.cpus, 3), one.requests, one.disk_mb) for one in found]


@tagged("post_install", "-at_install")
class TestUse(UseCase):
    """What an instance uses is measured by the sidecar, and kept by the hour for a day and by the day for a month."""

    def test_its_present_numbers_are_on_it(self):
        instance = self._running()
        self._report_use(self._use(instance))
        self.assertEqual((instance.disk_mb, instance.database_mb, instance.user_count), (50, 20, 3))
        self.assertAlmostEqual(instance.use_measured_at, fields.Datetime.now(), delta=timedelta(minutes=1))

    def test_what_is_not_known_leaves_what_was(self):
        instance = self._running()
        self._report_use(self._use(instance))
        nothing = dict.fromkeys(("disk_mb", "database_mb", "users", "memory_mb", "cpus", "requests"), False)
        self._report_use(self._use(instance, fields.Datetime.now() + timedelta(seconds=1), **nothing))
        self.assertEqual((instance.disk_mb, instance.database_mb, instance.user_count), (50, 20, 3))
        [(memory, _cpus, requests, _disk)] = self._samples(instance, "hour")
        self.assertEqual((memory, requests), (200, 7))

    def test_an_hour_has_its_peaks_and_the_sum_of_its_requests(self):
        instance = self._running()
        hour = fields.Datetime.now().replace(minute=0, second=0)
        self._report_use(
            self._use(instance, hour + timedelta(seconds=1), memory_mb=300, cpus=0.1, requests=1, disk_mb=10),
            self._use(instance, hour + timedelta(seconds=2), memory_mb=200, cpus=1.5, requests=2, disk_mb=20),
        )
        self.assertEqual(self._samples(instance, "hour"), [(300, 1.5, 3, 20)])
        self.assertEqual(self._samples(instance, "day"), [(300, 1.5, 3, 20)])

    def test_what_is_told_again_is_counted_once(self):
        instance = self._running()
        use = self._use(instance)
        self._report_use(use)
        self._report_use(use)
        self.assertEqual(self._samples(instance, "hour")[0][2], 7)

    def test_data_of_another_instance_under_its_number_are_not_its_own(self):
        instance = self._running()
        self._report_use(self._use(instance, identity="00000000-0000-4000-8000-000000000000"), self._use(instance, id=0x7FFFFFFF))
        self.assertFalse(instance.use_measured_at)
        self.assertFalse(self._samples(instance, "hour"))

    def test_a_clock_that_is_ahead_does_not_keep_later_numbers_out(self):
        instance = self._running()
        self._report_use(self._use(instance, fields.Datetime.now() + timedelta(days=400)))
        self.assertLessEqual(instance.use_measured_at, fields.Datetime.now())

    def test_no_more_is_kept_than_a_day_by_the_hour_and_a_month_by_the_day(self):
        instance = self._running()
        now = fields.Datetime.now()
        self._report_use(*(self._use(instance, now - timedelta(hours=hours)) for hours in range(24 * 40, -1, -1)))
        self.assertLessEqual(len(self._samples(instance, "hour")), 24)
        self.assertLessEqual(len(self._samples(instance, "day")), 32)
        self.assertGreaterEqual(len(self._samples(instance, "day")), 30)

    def test_a_day_is_the_companys(self):
        instance = self._running()
        instance.company_id.sudo().microsaas_tz = "Pacific/Auckland"
        samples = self.env["microsaas.use.sample"].sudo()
        self.assertEqual(samples._day_of(instance, datetime(2026, 11, 27, 10, 59)), datetime(2026, 11, 27))
        self.assertEqual(samples._day_of(instance, datetime(2026, 11, 27, 11, 0)), datetime(2026, 11, 28))

    def test_the_form_shows_numbers_beside_the_plans_limits_and_small_charts(self):
        self.plan.product_tmpl_id.write({"microsaas_disk_mb": 2048, "microsaas_users": 5, "microsaas_memory_mb": 1024, "microsaas_cpus": 2})
        instance = self._running()
        self.assertFalse(instance.use_html)
        now = fields.Datetime.now()
        self._report_use(
            *(self._use(instance, now - timedelta(hours=hours), disk_mb=1536, memory_mb=100 + hours) for hours in (3, 2, 1, 0))
        )
        shown = instance.with_context(lang="en_US").use_html
        for text in ("1.5 GB of 2 GB", "The database is 20 MB of it.", "3 of 5", "100 MB of 1 GB", "0.25 of 2", "28"):
            self.assertIn(text, shown)
        self.assertIn('aria-valuenow="75"', shown)
        self.assertIn("24 hours: 100 MB to 103 MB", shown)
        self.assertEqual(shown.count("<svg"), 7)

    def test_without_limits_there_is_nothing_to_be_near_to(self):
        instance = self._running()
        self._report_use(self._use(instance, memory_mb=False, cpus=False, requests=False))
        shown = instance.with_context(lang="en_US").use_html
        self.assertNotIn("progressbar", shown)
        for title in ("Memory", "Processors", "Requests"):
            self.assertNotIn(title, shown)

    def test_the_host_is_on_the_sidecar(self):
        self._report_use(short_of=["memory", "disk"])
        sidecar = self.env["microsaas.sidecar"].sudo()._one()
        self.assertEqual((sidecar.host_memory_mb, sidecar.host_free_disk_mb), (16000, 100000))
        self.assertEqual(sidecar.host_short_of, "memory,disk")

    def test_only_the_sidecar_reports(self):
        with self.assertRaises(AccessError):
            self.env["microsaas.sidecar.api"].with_user(self.manager).microsaas_report_use([], HOST)

    def test_a_plans_limits_are_not_negative(self):
        for name in ("microsaas_disk_mb", "microsaas_users"):
            with self.assertRaises(ValidationError), self.cr.savepoint():
                self.plan.product_tmpl_id.write({name: -1})


@tagged("post_install", "-at_install")
class TestPortalUse(PortalCase, UseCase):
    def test_the_customer_sees_what_theirs_uses_and_nobody_elses(self):
        self._settle()
        self.authenticate("customer", "customer" * 2)
        path = f"/my/instances/{self.instance.id}"
        self.assertNotIn("<svg", self.url_open(path).text)
        self.plan.product_tmpl_id.microsaas_users = 5
        self._report_use(self._use(self.instance))
        text = self.url_open(path).text
        self.assertIn("3 of 5", text)
        self.assertIn("<svg", text)
        self.authenticate("stranger", "strangerstranger")
        self.assertNotIn("3 of 5", self.url_open(path).text)
