from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestRollout(MicroSaasCommon):
    """The update of many instances: one first, then a tenth, then the rest; a failure stops it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        sold = cls._invoice(cls._line(quantity=12))
        cls.instances = cls.env["odoo.docker.instance"].union(*(cls._running(move=sold) for _ in range(12)))
        cls.rollout = cls._rollout()

    @classmethod
    def _rollout(cls, **vals):
        """Return a rollout that does not wait for the night."""
        return cls.env["microsaas.rollout"].with_user(cls.manager).create({"in_window": False, **vals})

    def _open(self):
        """Return the open jobs, the oldest first."""
        jobs = self.env["microsaas.job"].sudo().search([("state", "in", ("waiting", "running"))], order="id")
        return jobs.filtered(lambda job: job.instancia_id in self.instances)

    def _ends(self, job, state="done", **said):
        self._sidecar().microsaas_report_job(job.id, state, **said)
        self.env.invalidate_all()

    def _waves(self):
        return self.rollout.line_ids.sorted("wave").mapped("wave")

    def test_one_first_then_a_tenth_then_all(self):
        self.assertIs(self.rollout.action_start(), True)
        self.assertEqual(self._waves(), [1, 2, 2, *[3] * 9])
        self.assertEqual(len(self._open()), 1, "one goes first, alone")
        self._ends(self._open())
        under_way = []
        for _ in range(11):
            job = self._open()
            self.assertEqual(len(job), 1, "one of the two jobs that the sidecar does at once is left to people")
            under_way += self.rollout.line_ids.filtered(lambda line: line.state == "running").mapped("wave")
            self._ends(job)
        self.assertEqual(under_way, [2, 2, *[3] * 9])
        self.assertEqual((self.rollout.state, self.rollout.updated, self.rollout.percent), ("done", 12, 100))
        self.assertEqual(self._open().ids, [])

    def test_the_first_failure_stops_it_and_asks_a_person(self):
        self.rollout.action_start()
        self._ends(self._open(), "failed", reason="BackupFailed")
        self.assertEqual((self.rollout.state, self.rollout.failed), ("held", 1))
        self.assertFalse(self._open(), "nothing else is begun")
        failed = self.rollout.line_ids.filtered(lambda line: line.state == "failed")
        activity = self.rollout.sudo().activity_ids
        self.assertEqual((activity.user_id, len(activity)), (self.manager, 1))
        self.assertIn(failed.instance_id.name, activity.note)
        self.assertIs(self.rollout.action_continue(), True)
        self.assertEqual(self.rollout.state, "running")
        self.assertFalse(self.rollout.sudo().activity_ids.filtered("active"))
        self.assertEqual(len(self._open()), 1, "the second wave has begun")

    def test_a_failure_after_the_first_stops_it_too(self):
        self.rollout.action_start()
        self._ends(self._open())
        self._ends(self._open(), "failed", reason="BackupFailed")
        self.assertEqual((self.rollout.state, self.rollout.updated, self.rollout.failed), ("held", 1, 1))
        self.assertFalse(self._open())

    def test_cancelled_it_begins_no_other(self):
        self.rollout.action_start()
        self.assertIs(self.rollout.action_cancel(), True)
        self._ends(self._open())
        self.assertEqual((self.rollout.state, self.rollout.updated), ("cancelled", 1))
        self.assertFalse(self._open())
        self.assertEqual(self.rollout.percent, 100)

    def test_what_cannot_be_updated_now_is_left_out_with_the_reason(self):
        busy = self.instances.sorted("id")[-1]
        busy.with_user(self.seller).action_backup()
        # Why it was refused is written down in the language of who has started the rollout.
        self.manager.sudo().lang = "en_US"
        self.rollout.action_start()
        line = self.rollout.line_ids.filtered(lambda line: line.instance_id == busy)
        self.assertEqual(line.state, "skipped")
        self.assertIn("under way already", line.message)
        self.assertEqual(self.rollout.state, "running")
        self.assertEqual(len(self._open() - busy.job_id), 1, "another goes first, alone")

    def test_what_is_newest_already_is_left_out_and_is_no_failure(self):
        self.rollout.action_start()
        first = self._open()
        self._ends(first, "failed", reason="NothingToUpdate")
        line = self.rollout.line_ids.filtered(lambda line: line.instance_id == first.instancia_id)
        self.assertEqual((line.state, self.rollout.state, self.rollout.failed), ("skipped", "running", 0))
        self.assertIn("newest already", line.message)
        self.assertEqual(len(self._open()), 1, "another goes first, alone")

    def test_only_a_plans_own_and_what_has_data(self):
        other = self._product("Small", es_plan_microsaas=True)
        other.microsaas_desde = "2020-01-01"
        mine = self._running(move=self._invoice(self._line(other)))
        self._instance(move=self._invoice(self._line(other)))
        removed = self._running(move=self._invoice(self._line(other)))
        removed.action_remove()
        copy = self._running(move=self._invoice(self._line(other)))
        copy.sudo()._quiet().staging_of_id = mine
        rollout = self._rollout(plan_id=other.product_tmpl_id.id)
        self.assertEqual(rollout.name, "Small")
        rollout.action_start()
        self.assertEqual(rollout.line_ids.instance_id, mine)

    def test_each_instance_waits_in_one_and_each_rollout_starts_once(self):
        self.rollout.action_start()
        with self.assertRaisesRegex(UserError, "wait for an update already: All plans"):
            self._rollout().action_start()
        with self.assertRaisesRegex(UserError, "started before"):
            self.rollout.action_start()

    def test_nothing_to_update_is_said(self):
        other = self._product("Small", es_plan_microsaas=True)
        with self.assertRaisesRegex(UserError, "no instance to update"):
            self._rollout(plan_id=other.product_tmpl_id.id).action_start()

    def test_only_managers_update_many(self):
        with self.assertRaises(AccessError):
            self.env["microsaas.rollout"].with_user(self.seller).create({})
        for press in ("action_start", "action_continue", "action_cancel"):
            with self.assertRaises(AccessError):
                getattr(self.rollout.with_user(self.seller), press)()
