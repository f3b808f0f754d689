from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged
from odoo.tools import mute_logger

from .test_portal import LOGGER, PortalCase

PROVEN = {"proof": "data", "proof_date": "2026-11-27 04:00:00"}
LINK = "http://127.0.0.1:1/download?token=t"


class PortalDataCase(PortalCase):
    """A customer's running instance with two proven backups and one that is not."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls._settle(seconds_to_ready=1.0)
        cls._backed_up(
            cls.instance,
            cls._backup(1, date="2026-11-26 01:00:00", **PROVEN),
            cls._backup(2, date="2026-11-27 01:00:00", **PROVEN),
            cls._backup(3, date="2026-11-27 02:00:00"),
        )
        cls.old, cls.newest, cls.unproven = (
            cls.instance.backup_ids.filtered(lambda one, n=n: one.snapshot == f"{n:064x}") for n in (1, 2, 3)
        )

    def setUp(self):
        super().setUp()
        self.authenticate("customer", "customer" * 2)

    def _path(self, action="", instance=None):
        return f"/my/instances/{(instance or self.instance).id}{action and '/'}{action}"

    def _send(self, action, **data):
        """Post a form of the portal, with the visitor's CSRF token."""
        token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
        response = self.url_open(self._path(action), data={"csrf_token": token, **data})
        self.env.invalidate_all()
        return response

    def _end(self, state="done", **said):
        self._sidecar().microsaas_report_job(self.instance.job_id.id, state, **said)
        self.env.invalidate_all()

    def _page(self):
        return self.url_open(self._path()).text

    def _sidecar_answers(self, link):
        return patch.object(self.registry["odoo.docker.instance"], "_one_time_link", return_value=link)

    def _restore(self, backup=None, **data):
        return self._send("restore", **{"backup": (backup or self.newest).id, "is_understood": "1", **data})


@tagged("post_install", "-at_install")
class TestPortalRestore(PortalDataCase):
    def test_the_question_lists_the_proven_backups_as_the_customers_clock_has_them(self):
        self.customer.tz = "America/Bogota"
        page = self.url_open(self._path("restore")).text
        self.assertIn("26 November 2026, 20:00 (America/Bogota)", page)
        for backup, is_offered in ((self.old, True), (self.newest, True), (self.unproven, False)):
            self.assertEqual(f'value="{backup.id}"' in page, is_offered)
        self.assertIn("What is lost:", page)
        self.assertFalse(self.instance.job_id, "a question changes nothing")

    def test_it_is_the_job_that_the_operators_button_makes(self):
        self._restore(self.old)
        job = self.instance.job_id
        self.assertEqual(
            (job.kind, job.snapshot, job.backup_id, job.create_uid),
            ("restore", self.old.snapshot, self.old, self.customer),
        )
        self.env.flush_all()
        self.assertEqual(self._sidecar().microsaas_desired(self.instance.ids)[0]["job"]["id"], job.id)

    def test_nothing_is_restored_unless_the_box_is_ticked_and_the_form_is_the_sites_own(self):
        self.assertIn("Tick the box first.", self._restore(is_understood="").text)
        with mute_logger("odoo.http"):
            forged = self.url_open(self._path("restore"), data={"backup": self.newest.id, "is_understood": "1"})
        self.assertEqual(forged.status_code, 400)
        for action in ("undo", "restore"):
            self.url_open(f"{self._path(action)}?backup={self.newest.id}&is_understood=1")
        for action in ("export", "download"):
            self.assertIn(self.url_open(self._path(action)).status_code, (404, 405))
        self.env.invalidate_all()
        self.assertFalse(self.instance.job_ids)

    def test_a_backup_that_is_not_proven_or_another_instances_or_a_guess_is_refused(self):
        other = self._instance().sudo()
        self._backed_up(other, self._backup(9, **PROVEN))
        for backup in (self.unproven.id, other.backup_ids.id, 0, -1, 10**30, "9" * 5000, "x", "", "1 OR 1", "\u0661"):
            response = self._send("restore", backup=backup, is_understood="1")
            self.assertIn("Choose one of the backups in the list.", response.text, backup)
        self.assertFalse(self.instance.job_ids)

    def test_another_customers_user_and_a_colleague_have_no_part_in_it(self):
        colleague = self.customer.copy({"login": "colleague", "password": "colleague" * 2})
        colleague.partner_id.write({"parent_id": self.partner.id, "type": "invoice"})
        for login in ("stranger", "colleague"):
            self.authenticate(login, login * 2)
            for action in ("restore", "undo", "export", "download"):
                with mute_logger(LOGGER):
                    self.assertEqual(self._send(action, backup=self.newest.id, is_understood="1").status_code, 404)
            for action in ("restore", "undo"):
                with mute_logger(LOGGER):
                    self.assertEqual(self.url_open(self._path(action)).status_code, 404)
        self.assertNotIn("Your data", self._page())
        self.assertFalse(self.instance.job_ids)
        for user in (self.stranger, colleague):
            for model in ("microsaas.job", "microsaas.backup"):
                with self.assertRaises(AccessError):
                    self.env[model].with_user(user).search([]).read(["state"])

    def test_a_form_that_is_sent_twice_is_one_job(self):
        self._restore()
        self.assertIn("Something is being done", self._restore().text)
        self.assertIn("Something is being done", self._send("export").text)
        self.assertEqual(len(self.instance.job_ids), 1)

    def test_who_has_asked_for_what_is_under_way_is_not_told(self):
        self.instance.with_user(self.seller).action_backup()
        page = self._restore().text
        self.assertIn("Something is being done", page)
        self.assertNotIn(self.seller.name, page)
        self.assertNotIn("Restore to yesterday", page)

    def test_what_is_suspended_or_stopped_is_not_restored(self):
        subscription = self.instance.subscription_ids
        subscription.write({"state": "expired", "suspended_at": fields.Datetime.now(), "reason": "Expired"})
        self._restore()
        self.assertNotIn("Restore to yesterday", self._page())
        self.assertIn("Download my data", self._page())
        subscription.write({"state": "active", "suspended_at": False})
        self.instance.stop_instance()
        self.assertIn("is stopped", self._restore().text)
        self.assertFalse(self.instance.job_ids)

    def test_three_restores_a_day(self):
        for _time in range(3):
            self._restore()
            self._end()
        self.assertIn("3 times within a day", self._restore().text)
        self.instance.job_ids.filtered(lambda job: job == self.instance.job_ids[-1]).write({"kind": "backup"})
        self._restore()
        self.assertEqual(self.instance.job_id.kind, "restore")

    def test_its_page_shows_how_far_it_is_and_how_it_ended(self):
        self._restore()
        self._sidecar().microsaas_report_job(self.instance.job_id.id, "running", reason="FetchingBackup", percent=30)
        self.env.invalidate_all()
        fragment = self.url_open(self._path("status")).text
        for said in ("Your Odoo is ready", "An earlier state is being restored", "Fetching the backup.", "width: 30%", 'data-poll="1"'):
            self.assertIn(said, fragment)
        self._end("failed", reason="BackupDamaged", detail="secret")
        page = self._page()
        self.assertIn("The restore did not work. Your data are as they were.", page)
        self.assertNotIn("secret", page)

    def test_it_can_be_undone_for_seven_days_after_a_question(self):
        self.url_open(self._path("undo"))
        self.assertFalse(self.instance.job_ids)
        self._restore()
        self._end()
        self.assertIn("Undo the restore…", self._page())
        self.assertIn("Undo the restore?", self.url_open(self._path("undo")).text)
        self.assertIn("Tick the box first.", self._send("undo").text)
        self._send("undo", is_understood="1")
        self.assertEqual(self.instance.job_id.kind, "undo_restore")
        self._end()
        self.assertNotIn("Undo the restore…", self._page())
        self._restore()
        self._end()
        self.instance.undo_restore_until = fields.Datetime.now() - timedelta(seconds=1)
        self.assertNotIn("Undo the restore…", self._page())
        self._send("undo", is_understood="1")
        self.assertFalse(self.instance.job_id)


@tagged("post_install", "-at_install")
class TestPortalDownload(PortalDataCase):
    def _export(self):
        self._send("export")
        self._end()

    def test_the_newest_proven_backup_is_written_and_its_customer_told_by_a_mail_without_a_secret(self):
        self._send("export")
        job = self.instance.job_id
        self.assertEqual((job.kind, job.snapshot, job.create_uid), ("export", self.newest.snapshot, self.customer))
        self._end()
        notice = self.env["microsaas.notice"].sudo().search([("kind", "=", "downloadReady")])
        self.assertEqual(len(notice), 1)
        mail = notice.mail_id
        self.assertEqual(mail.recipient_ids | mail.partner_ids, self.instance._administrator())
        self.assertIn(f"/my/instances/{self.instance.id}#data", mail.body_html)
        self.assertNotIn("token", mail.body_html)

    def test_its_file_is_fetched_by_a_link_that_is_made_when_it_is_asked_for(self):
        self._export()
        self.assertIn("are ready. The file is there until", self._page())
        with self._sidecar_answers(LINK) as link:
            token = self.url_open("/my/account").text.partition('csrf_token: "')[2].partition('"')[0]
            response = self.url_open(
                self._path("download"), data={"csrf_token": token}, allow_redirects=False
            )
        self.assertEqual((response.status_code, response.headers["Location"]), (303, LINK))
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertEqual(link.call_args.args, ("downloads", {"instance": self.instance.id, "snapshot": self.newest.snapshot}))

    def test_it_is_offered_for_a_day(self):
        self._export()
        self.instance.job_ids.ended_at = fields.Datetime.now() - timedelta(days=1)
        self.assertNotIn("are ready. The file", self._page())
        self.assertIn("This file is not there any more.", self._send("download").text)

    def test_a_file_that_the_sidecar_has_not_is_said_not_to_be_there(self):
        self._export()
        with self._sidecar_answers(""):
            self.assertIn("cannot be downloaded from here", self._send("download").text)

    def test_a_suspended_instances_data_are_its_customers(self):
        self.instance.subscription_ids.write(
            {"state": "expired", "suspended_at": fields.Datetime.now(), "reason": "Expired"}
        )
        self._export()
        self.assertEqual(self.instance.job_ids.kind, "export")
        self.assertIn("are ready. The file is there until", self._page())

    def test_of_a_removed_one_and_of_one_without_a_proven_backup_there_is_none(self):
        self._backed_up(self.instance, self._backup(3))
        self.assertIn("There is no proven backup yet.", self._send("export").text)
        self._backed_up(self.instance, self._backup(1, **PROVEN))
        self.instance.action_remove()
        self._send("export")
        self.assertFalse(self.instance.job_ids)

    def test_five_a_day(self):
        for _time in range(5):
            self._export()
        self.assertIn("5 times within a day", self._send("export").text)
        self.assertEqual(len(self.instance.job_ids), 5)

    def test_the_operators_button_prepares_and_then_downloads_it(self):
        backup = self.old.with_user(self.manager)
        with self.assertRaises(AccessError):
            self.old.with_user(self.seller).action_download()
        self.assertIs(backup.action_download(), True)
        self.assertEqual((self.instance.job_id.kind, self.instance.job_id.snapshot), ("export", self.old.snapshot))
        with self.assertRaises(UserError):
            backup.action_download()
        self._end()
        self.assertFalse(self.env["microsaas.notice"].sudo().search([("kind", "=", "downloadReady")]))
        self.assertTrue(backup.is_downloadable)
        self.assertFalse(self.newest.is_downloadable)
        with self._sidecar_answers(LINK):
            action = backup.action_download()
        self.assertEqual((action["type"], action["url"]), ("ir.actions.act_url", LINK))
