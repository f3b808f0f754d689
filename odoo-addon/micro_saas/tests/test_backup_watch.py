from datetime import datetime, timedelta
from unittest.mock import patch

from odoo import fields
from odoo.addons.mail.tests.common import mail_new_test_user
from odoo.tests import tagged

from .common import MicroSaasCommon

TYPE = "micro_saas.mail_activity_type_backup"
# A Friday in winter: 09:00 in Madrid.
NOW = datetime(2026, 11, 27, 8)


@tagged("post_install", "-at_install")
class TestBackupWatch(MicroSaasCommon):
    """An instance without a proven backup is told of once; each morning the operator reads how many have one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Those that a database of a demo may have.
        cls.env["odoo.docker.instance"].sudo().search([]).write({"active": False})
        cls.env["microsaas.backup"].sudo().search([]).unlink()
        sidecar = cls.env["microsaas.sidecar"].sudo()._one()
        sidecar.write({"backups_reported_on": False, "manager_backup_since": False, "manager_backup_alerted_at": False})
        cls.env.company.sudo().microsaas_tz = "Europe/Madrid"
        cls.operator = mail_new_test_user(
            cls.env(su=True), "operator", groups="micro_saas.group_microsaas_user", notification_type="inbox"
        )
        cls._set_param("operator_id", cls.operator.id)
        cls.luna, cls.sol = cls._running(name="Luna"), cls._running(name="Sol")
        cls._made(cls.luna | cls.sol, NOW - timedelta(days=30))

    @classmethod
    def _made(cls, instances, moment):
        """Let instances be as old as this."""
        cls.env.flush_all()
        cls.cr.execute(
            "UPDATE odoo_docker_instance SET create_date = %s, requested_at = 0 WHERE id = ANY(%s)",
            [moment, instances.ids],
        )
        cls.env.invalidate_all()

    def _known_since(self, moment):
        """Let the first backup have been reported at a moment."""
        self.env.flush_all()
        self.cr.execute("UPDATE microsaas_backup SET create_date = %s", [moment])

    def _night(self, instance, hours=5, **values):
        """Report a backup of an instance made and proven so many hours ago; values may say otherwise."""
        at = fields.Datetime.to_string(NOW - timedelta(hours=hours))
        return self._backed_up(
            instance, self._backup(instance.id, **{"date": at, "proof": "data", "proof_date": at, **values})
        )

    def _watch(self, now=NOW):
        with patch.object(fields.Datetime, "now", return_value=now):
            self.env["microsaas.backup.watch"].sudo()._cron_watch()
        self.env.invalidate_all()

    def _alarms(self, instance):
        return instance.sudo().activity_ids.filtered(lambda one: one.activity_type_id == self.env.ref(TYPE))

    def _mails(self):
        sidecar = self.env["microsaas.sidecar"].sudo()._one()
        return self.env["mail.message"].sudo().search(
            [("model", "=", sidecar._name), ("message_type", "=", "user_notification")], order="id"
        )

    # -- the alarm ---------------------------------------------------------------------------------

    def test_an_instance_without_a_proven_backup_is_told_of_once(self):
        self._night(self.luna)
        self._night(self.sol, hours=27)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        alarm = self._alarms(self.sol)
        self.assertEqual((alarm.user_id, alarm.summary), (self.operator, "No proven backup"))
        self.assertIn("Its last backup is of", alarm.note)
        self.assertFalse(self._alarms(self.luna))
        self._watch()
        self.assertEqual(self._alarms(self.sol), alarm)
        alarm.action_feedback()
        self._watch()
        self.assertFalse(self._alarms(self.sol), "not again, also when a person has closed it")
        self._night(self.sol)
        self._watch()
        self._watch(NOW + timedelta(hours=30))
        self.assertTrue(self._alarms(self.sol), "the next time is another one")

    def test_it_is_closed_by_the_next_proof(self):
        self._night(self.luna, proof="none", proof_date=False)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertIn("was not restored for proof", self._alarms(self.luna).note)
        self._night(self.luna)
        self._watch()
        self.assertFalse(self._alarms(self.luna))
        self.assertIn("a proven backup is there", str(self.luna.message_ids.mapped("body")))
        self.assertFalse(self.luna.backup_alerted_at)

    def test_the_alarm_says_why_and_what_a_customer_chose_is_text_in_it(self):
        values = {"proof": "failed", "reason": "ProofFileMissing", "detail": "1\n<b>x</b>"}
        self._night(self.luna, **values)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertIn("1 are missing, the first of them &lt;b&gt;x&lt;/b&gt;", self._alarms(self.luna).note)
        self.assertIn("There is no backup of it.", self._alarms(self.sol).note)

    def test_nothing_is_said_where_no_backups_are_made_or_the_first_night_is_not_over(self):
        self._watch()
        self.assertFalse(self._alarms(self.luna) | self._alarms(self.sol) or self._mails())
        self._night(self.luna)
        self._known_since(NOW - timedelta(hours=1))
        self._watch()
        self.assertFalse(self._alarms(self.sol) or self._mails())

    def test_whom_it_is_not_about(self):
        young, removed, draft = self._running(), self._running(), self._instance()
        purged = self._running()
        self._made(young, NOW - timedelta(hours=20))
        self._made(removed | draft | purged, NOW - timedelta(days=30))
        removed.action_remove()
        purged.sudo().subscription_ids.data_removed_at = NOW
        stopped = self._running()
        self._made(stopped, NOW - timedelta(days=30))
        stopped.stop_instance()
        suspended = self._running()
        self._made(suspended, NOW - timedelta(days=30))
        suspended.sudo().subscription_ids.write({"state": "expired", "suspended_at": NOW})
        self._night(self.luna)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        for instance in young | removed | draft | purged:
            self.assertFalse(self._alarms(instance))
        for instance in stopped | suspended:
            self.assertTrue(self._alarms(instance))
        self.assertIn("Backups: 1 of 4 proven", self._mails().mapped("subject"))

    def test_who_is_removed_is_told_of_no_more(self):
        self._night(self.luna)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertTrue(self._alarms(self.sol))
        self.sol.action_remove()
        self._watch()
        self.assertFalse(self._alarms(self.sol))

    # -- the report of the night -----------------------------------------------------------------------

    def test_the_operator_reads_each_morning_how_many_are_proven_and_why_not(self):
        self._night(self.luna)
        self._night(self.sol, hours=75, proof="boot")
        self._backed_up(self.sol, self._backup(9, date="2026-11-27 04:00:00", proof="failed", reason="ProofDatabase", detail="bad <i>"))
        self._known_since(NOW - timedelta(days=9))
        early = NOW - timedelta(hours=2, minutes=1)  # 06:59 in Madrid
        self._watch(early)
        self.assertFalse(self._mails())
        self._watch(early + timedelta(minutes=1))
        mail = self._mails()
        self.assertEqual((mail.subject, mail.partner_ids), ("Backups: 1 of 2 proven", self.operator.partner_id))
        self.assertIn("Sol: never proven. The database of the backup could not be restored for proof: bad &lt;i&gt;", mail.body)
        self.assertNotIn("Luna", mail.body)
        self._watch()
        self.assertEqual(self._mails(), mail, "once a day")
        self._watch(NOW + timedelta(days=1))
        self.assertEqual(len(self._mails()), 2)

    def test_the_report_says_how_old_the_last_proof_is(self):
        self._night(self.luna, hours=27)
        self._night(self.sol, hours=24 * 5)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertIn("Luna: last proven 27 hours ago.", self._mails().body)
        self.assertIn("Sol: last proven 5 days ago.", self._mails().body)

    def test_a_night_in_which_all_went_well_is_told_too(self):
        self._night(self.luna, proof="boot")
        self._night(self.sol)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertEqual(self._mails().subject, "Backups: 2 of 2 proven")
        self.assertIn("With 1 of them Odoo was started too.", self._mails().body)
        self.assertNotIn("<ul>", self._mails().body)

    # -- the manager itself ----------------------------------------------------------------------------

    def _own_night(self, hours, failure=False):
        """Report that the manager's newest backup was made and proven so many hours ago, and is watched for days."""
        at = (NOW - timedelta(hours=hours) - datetime(1970, 1, 1)).total_seconds()
        self.assertIs(self._sidecar().microsaas_report_manager_backups(at, at, failure), True)
        self.env["microsaas.sidecar"].sudo()._one().manager_backup_since = NOW - timedelta(days=9)

    def test_the_manager_counts_as_one_more(self):
        self._night(self.luna)
        self._night(self.sol)
        self._own_night(5)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertEqual(self._mails().subject, "Backups: 3 of 3 proven")
        self.assertIn("counts as one of them", self._mails().body)

    def test_a_manager_without_a_proven_backup_is_told_of_once(self):
        sidecar = self.env["microsaas.sidecar"].sudo()._one()
        self._night(self.luna)
        self._night(self.sol)
        self._known_since(NOW - timedelta(days=9))
        self._own_night(27, {"reason": "ManagerOutOfReach", "detail": "no <i>container</i>"})
        self._watch()
        alarm = self._alarms(sidecar)
        self.assertEqual((alarm.user_id, alarm.summary), (self.operator, "No proven backup of this Odoo"))
        self.assertIn("nothing backs them up: no &lt;i&gt;container&lt;/i&gt;", alarm.note)
        # The activity's own notice is about the same record.
        report = self._mails().filtered(lambda one: one.subject == "Backups: 2 of 3 proven")
        self.assertIn("This Odoo itself: last proven 27 hours ago.", report.body)
        self._watch()
        self.assertEqual(self._alarms(sidecar), alarm)
        self._own_night(1)
        self._watch()
        self.assertFalse(self._alarms(sidecar))

    def test_where_nobody_backs_the_manager_up_nothing_is_said_of_it(self):
        self._night(self.luna)
        self._night(self.sol)
        self._known_since(NOW - timedelta(days=9))
        self._watch()
        self.assertEqual(self._mails().subject, "Backups: 2 of 2 proven")
        self.assertNotIn("counts as one", self._mails().body)

    def test_a_mail_names_fifty_at_most(self):
        self._night(self.luna)
        self._known_since(NOW - timedelta(days=9))
        late = {self.sol.id: (None, None)}
        with patch("odoo.addons.micro_saas.models.microsaas_backup_watch.MOST_NAMED", 0):
            _subject, body = self.env["microsaas.backup.watch"].sudo()._night_report(late, 2)
        self.assertNotIn("Sol", body)
        self.assertIn("And 1 more.", body)
