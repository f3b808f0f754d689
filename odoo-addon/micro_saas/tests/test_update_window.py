from datetime import datetime

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import BaseCase, freeze_time, tagged

from ..models.update_window import opening_at_or_after
from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestUpdateWindow(BaseCase):
    """The hours of the day in which an update may begin, as UTC."""

    def _opens(self, moment, tz="Europe/Madrid", begin=2.0, end=5.0):
        return str(opening_at_or_after(datetime.fromisoformat(moment), tz, begin, end))

    def test_the_window_that_is_open_or_the_next_one(self):
        tonight = "2026-01-11 01:00:00"
        for moment in ("2026-01-10 12:00", tonight, "2026-01-11 03:59:59"):
            self.assertEqual(self._opens(moment), tonight, moment)
        self.assertEqual(self._opens("2026-01-11 04:00"), "2026-01-12 01:00:00")

    def test_one_that_ends_on_the_next_day(self):
        over_midnight = {"tz": "UTC", "begin": 22.5, "end": 1.25}
        tonight = "2026-01-10 22:30:00"
        for moment in ("2026-01-10 09:00", tonight, "2026-01-11 01:14:59"):
            self.assertEqual(self._opens(moment, **over_midnight), tonight, moment)
        self.assertEqual(self._opens("2026-01-11 01:15", **over_midnight), "2026-01-11 22:30:00")

    def test_the_hours_are_those_of_summer_in_summer(self):
        self.assertEqual(self._opens("2026-07-10 12:00"), "2026-07-11 00:00:00")
        # On 29 March 2026 there is no 02:30 in Madrid: the window is there all the same.
        self.assertEqual(self._opens("2026-03-28 12:00", begin=2.5, end=4.0), "2026-03-29 01:30:00")

    def test_where_the_day_is_another_one_already(self):
        self.assertEqual(self._opens("2026-01-10 12:00", tz="Pacific/Auckland"), "2026-01-10 13:00:00")


@tagged("post_install", "-at_install")
class TestUpdateAtNight(MicroSaasCommon):
    """Updates that wait for the hours that the plan gives, and what the customers are told of them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.sudo().microsaas_tz = "Europe/Madrid"
        cls.instances = cls.env["odoo.docker.instance"].union(*(cls._running() for _ in range(3)))
        cls.instance = cls.instances[0].with_user(cls.manager)

    def _at(self, moment):
        """Let Odoo look for what is due at a moment, as it does every five minutes; what is under way then."""
        with freeze_time(moment):
            self.env["microsaas.sidecar"].sudo()._cron_watch()
            self.env.invalidate_all()
        return self._open()

    def _open(self):
        jobs = self.env["microsaas.job"].sudo().search([("state", "in", ("waiting", "running"))], order="id")
        return jobs.filtered(lambda job: job.instancia_id in self.instances)

    def _ends(self, job, moment, state="done", **said):
        with freeze_time(moment):
            self._sidecar().microsaas_report_job(job.id, state, **said)
            self.env.invalidate_all()

    def _told(self, instance):
        """Return what this instance's people were told by mail, the oldest first."""
        notices = self.env["microsaas.notice"].sudo().search(
            [("subscription_id", "in", instance.sudo().subscription_ids.ids), ("kind", "like", "update")], order="id"
        )
        return notices.mapped("kind")

    def test_it_begins_in_the_first_night_that_is_twelve_hours_away_and_people_are_told_before_and_after(self):
        with freeze_time("2026-01-10 12:00:00"):
            action = self.instance.action_update_at_night()
            self.assertEqual(str(self.instance.update_planned_at), "2026-01-11 01:00:00")
        rollout = self.env["microsaas.rollout"].with_user(self.manager).browse(action["res_id"])
        self.assertEqual((rollout.state, rollout.name, str(rollout.starts_at)), ("running", self.instance.name, "2026-01-11 00:00:00"))
        self.assertEqual(self._told(self.instance), ["updatePlanned"])
        self.assertFalse(self._at("2026-01-11 00:59:00"), "not yet")
        job = self._at("2026-01-11 01:03:00")
        self.assertEqual((job.instancia_id, job.kind), (self.instances[0], "update"))
        self.assertFalse(self.instance.update_planned_at)
        self._ends(job, "2026-01-11 01:09:00")
        self.assertEqual((rollout.state, self._told(self.instance)), ("done", ["updatePlanned", "updated"]))

    def test_a_night_that_is_too_near_is_left_out(self):
        with freeze_time("2026-01-10 18:00:00"):
            self.instance.action_update_at_night()
            self.assertEqual(str(self.instance.update_planned_at), "2026-01-12 01:00:00")
        self.assertFalse(self._at("2026-01-11 02:00:00"))
        self.assertTrue(self._at("2026-01-12 02:00:00"))

    def test_what_does_not_get_its_turn_in_one_night_gets_it_in_the_next(self):
        with freeze_time("2026-01-10 12:00:00"):
            self.instances.with_user(self.manager).action_update_at_night()
        first = self._at("2026-01-11 03:58:00")
        self.assertEqual(len(first), 1)
        self._ends(first, "2026-01-11 04:02:00")
        self.assertFalse(self._open(), "it is morning")
        second = self._at("2026-01-12 01:01:00")
        self.assertEqual(len(second), 1)
        self._ends(second, "2026-01-12 01:20:00")
        self.assertEqual(len(self._open() - second), 1, "the third follows at once")

    def test_an_update_that_fails_is_told_as_one_that_was_not_made(self):
        with freeze_time("2026-01-10 12:00:00"):
            self.instance.action_update_at_night()
        self._ends(self._at("2026-01-11 01:03:00"), "2026-01-11 01:09:00", "failed", reason="UpdateFailed", detail="x")
        self.assertEqual(self._told(self.instance), ["updatePlanned", "updatePutOff"])

    def test_one_that_is_cancelled_is_not_begun_and_people_are_told(self):
        with freeze_time("2026-01-10 12:00:00"):
            self.instance.action_update_at_night()
            with self.assertRaisesRegex(AccessError, "Only a MicroSaaS manager updates"):
                self.instance.with_user(self.seller).action_cancel_update()
            self.assertIs(self.instance.action_cancel_update(), True)
        self.assertFalse(self._at("2026-01-11 01:03:00"))
        self.assertEqual(self._told(self.instance), ["updatePlanned", "updatePutOff"])
        self.assertEqual(self.instance.rollout_line_ids.rollout_id.state, "done")

    def test_updates_of_several_rollouts_are_made_one_after_the_other(self):
        with freeze_time("2026-01-10 12:00:00"):
            for instance in self.instances.with_user(self.manager):
                instance.action_update_at_night()
            with self.assertRaisesRegex(UserError, "wait for an update already"):
                self.instance.action_update_at_night()
        for _ in range(3):
            job = self._at("2026-01-11 01:03:00")
            self.assertEqual(len(job), 1)
            self._ends(job, "2026-01-11 01:09:00")
        self.assertFalse(self._at("2026-01-11 01:20:00"))

    def test_an_update_at_once_is_told_afterwards(self):
        self.instance.action_update()
        self._ends(self._open(), "2026-01-10 12:00:00")
        self.assertEqual(self._told(self.instance), ["updated"])

    def test_what_the_mails_say(self):
        with freeze_time("2026-01-10 12:00:00"):
            self.instance.action_update_at_night()
        mail = self.env["mail.mail"].sudo().search([("recipient_ids", "=", self.partner.id)], order="id desc", limit=1)
        self.assertEqual(mail.subject, "Your Odoo will be updated")
        self.assertIn("2:00", mail.body_html)
        self.assertIn("Europe/Madrid", mail.body_html)

    def test_only_managers_update_at_night(self):
        with self.assertRaises(AccessError):
            self.instance.with_user(self.seller).action_update_at_night()

    def test_the_hours_of_a_plan_are_two_different_hours_of_a_day(self):
        plan = self.plan.product_tmpl_id
        for hours in ((2.0, 2.0), (-1.0, 3.0), (2.0, 24.0)):
            with self.assertRaisesRegex(ValidationError, "two different hours"):
                plan.write({"microsaas_update_from": hours[0], "microsaas_update_until": hours[1]})
        plan.write({"microsaas_update_from": 22.0, "microsaas_update_until": 1.0})
        with freeze_time("2026-01-10 05:00:00"):
            self.instance.action_update_at_night()
            self.assertEqual(str(self.instance.update_planned_at), "2026-01-10 21:00:00")
