import socketserver
import threading
from datetime import timedelta, timezone

from odoo import fields
from odoo.tests import tagged
from odoo.tools import format_date, mute_logger

from odoo.addons.mail.tests.common import mail_new_test_user

from .common import MicroSaasCommon

MAIL_LOGGERS = ("odoo.addons.mail.models.mail_mail", "odoo.addons.base.models.ir_mail_server")


class Smtp(socketserver.StreamRequestHandler):
    """A mail server as small as can be: keeps what it is sent, or refuses every recipient."""

    def handle(self):
        self._say("220 test")
        while line := self.rfile.readline().decode().strip():
            word = line[:4].upper()
            if word == "QUIT":
                return self._say("221 bye")
            if word == "DATA":
                self._say("354 go on")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.server.mails.append(text.decode())
            if word == "MAIL":
                self.server.senders.append(line)
            self._say("550 no such mailbox" if word == "RCPT" and self.server.refuses else "250 ok")

    def _say(self, line):
        self.wfile.write(f"{line}\r\n".encode())


@tagged("post_install", "-at_install")
class TestAlerts(MicroSaasCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.sudo().partner_id.lang = "en_US"
        cls.instance = cls._instance().sudo()
        cls.instance.start_instance()
        cls.sidecar = cls.env["microsaas.sidecar"].sudo().search([])

    def _activities(self, record):
        record.invalidate_recordset()
        return record.activity_ids

    def _fail(self, **report):
        self.env.cr.flush()
        report = {"state": "error", "reason": "StartFailed", "next_review": False, **report}
        self._report(self.instance, **report)

    # -- an instance in error --------------------------------------------------------------------

    def test_an_error_makes_one_activity_and_closes_it(self):
        seller = self.instance.factura_id.invoice_user_id
        for _time in range(3):
            self._fail()
        activity = self._activities(self.instance)
        self.assertEqual((len(activity), activity.user_id), (1, seller or self.env.ref("base.user_admin")))
        self.assertIn("We have been told", self.instance._portal_status()["text"])
        activity.sudo().action_feedback()
        self._fail()
        self.assertFalse(self._activities(self.instance), "one for one outage, also when a person has closed it")
        self._report(self.instance, state="running", reason="Running")
        self._fail()
        self.assertEqual(len(self._activities(self.instance)), 1, "another outage")
        self._report(self.instance, state="running", reason="Running")
        self.assertFalse(self._activities(self.instance))
        self.assertIn("in order again", str(self.instance.message_ids.mapped("body")))

    def test_the_operator_of_the_settings_is_told(self):
        operator = mail_new_test_user(self.env(su=True), "operator", groups="micro_saas.group_microsaas_user")
        self._set_param("operator_id", operator.id)
        self._fail()
        self.assertEqual(self._activities(self.instance).user_id, operator)

    def test_what_is_tried_again_is_told_when_it_lasts(self):
        soon = fields.Datetime.to_string(fields.Datetime.now() + timedelta(minutes=1))
        self._fail(next_review=soon)
        self.assertFalse(self._activities(self.instance))
        self.assertNotIn("We have been told", self.instance._portal_status()["text"])
        self.sidecar._cron_watch()
        self.assertFalse(self._activities(self.instance))
        self.instance._quiet().error_since = fields.Datetime.now() - timedelta(minutes=3)
        for _time in range(2):
            self.sidecar._cron_watch()
        self.assertEqual(len(self._activities(self.instance)), 1)

    def test_what_happens_by_itself_is_in_the_chatter(self):
        self._report(self.instance, state="running", instance_url="http://a", message="Running.")
        self._report(self.instance, state="running", instance_url="http://b")
        self._report(self.instance, state="running", instance_url="http://b")
        bodies = self.instance.message_ids.filtered(lambda it: it.author_id == self.bot.partner_id).mapped("body")
        self.assertEqual(len([body for body in bodies if "Draft → Running" in body]), 1)
        self.assertEqual(len([body for body in bodies if "http://b" in body]), 1)

    # -- a silent sidecar --------------------------------------------------------------------------

    def test_a_silent_sidecar_is_noticed_and_heard_again(self):
        self.sidecar._cron_watch()
        self.assertFalse(self.sidecar._silence_sentence(), "none was ever connected")
        self._sidecar().microsaas_due(1)
        self.sidecar.invalidate_recordset()
        self.assertTrue(self.sidecar.heard_at)
        heard_at = self._sidecar().microsaas_hello("abc123")["heard_at"]
        known = self.sidecar.heard_at.replace(tzinfo=timezone.utc).timestamp()
        self.assertEqual(heard_at, known, "an operator's command says so")
        self.sidecar.heard_at = fields.Datetime.now() - timedelta(minutes=6)
        self.assertNotIn("We have been told", self.instance._portal_status()["text"], "nobody has been")
        for _time in range(2):
            self.sidecar._cron_watch()
        self.assertEqual(len(self._activities(self.sidecar)), 1)
        self.assertIn("not been heard of since", self.instance.with_user(self.seller).sidecar_silence)
        self.assertIn("We have been told", self.instance._portal_status()["text"])
        self._sidecar().microsaas_due(1)
        self.assertFalse(self._activities(self.sidecar))
        self.instance.invalidate_recordset()
        self.assertFalse(self.sidecar.alerted_at or self.instance.sidecar_silence)

    def test_the_heartbeat_is_written_once_a_minute(self):
        self._sidecar().microsaas_due(1)
        self.env.flush_all()
        self.cr.execute("SELECT ctid FROM microsaas_sidecar")
        [written] = self.cr.fetchall()
        for _time in range(3):
            self._sidecar().microsaas_due(1)
        self.env.flush_all()
        self.cr.execute("SELECT ctid FROM microsaas_sidecar")
        self.assertEqual(self.cr.fetchall(), [written], "the very same row: nothing was written")

    # -- a held invoice ------------------------------------------------------------------------------

    def test_a_hold_ends_with_a_note(self):
        move = self._invoice()
        self._sidecar().microsaas_hold_invoice(move.id, "TooManyUnits", "21\n20")
        moves = self.env["account.move"].sudo()
        self.assertTrue(moves._microsaas_is_held_for(self.partner))
        move.with_user(self.seller).action_microsaas_approve()
        self.assertFalse(self._activities(move.sudo()))
        self.assertFalse(moves._microsaas_is_held_for(self.partner))
        self.assertIn("hold is over", str(move.sudo().message_ids.mapped("body")))

    # -- mail ------------------------------------------------------------------------------------------

    def _mail_server(self):
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp)
        server.mails, server.senders, server.refuses = [], [], False
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        for clean_up in (thread.join, server.server_close, server.shutdown):
            self.addCleanup(clean_up)
        self.env["ir.mail_server"].sudo().create(
            {"name": "test", "smtp_host": "127.0.0.1", "smtp_port": server.server_address[1], "sequence": 0}
        )
        self.patch(type(self.env["ir.mail_server"]), "_disable_send", lambda _self: False)
        return server

    def _tell(self, kind, period):
        self._report(self.instance, subscription={"fecha_fin": "2026-02-10", "notices": [{"kind": kind, "period": period}]})
        mail = self.env["mail.mail"].sudo().search([("recipient_ids", "=", self.partner.id)], order="id desc", limit=1)
        with mute_logger(*MAIL_LOGGERS):
            mail.send()
        return mail

    def test_a_mail_really_leaves_from_the_company(self):
        server = self._mail_server()
        self.env.company.sudo().write({"email": "office@hosting.example.com", "phone": "+34 600 000 000"})
        mail = self._tell("renewed", "1")
        self.assertFalse(mail.exists(), "sent and deleted")
        [text] = server.mails
        self.assertIn("office@hosting.example.com", text)
        self.assertIn("Reply-To: office@hosting.example.com", text)
        self.assertFalse(self._activities(self.instance.subscription_ids))

    def test_a_company_without_an_address_has_a_sender_all_the_same(self):
        server = self._mail_server()
        self.env.company.sudo().write({"email": False, "alias_domain_id": False})
        self.env["ir.config_parameter"].sudo().set_param("web.base.url", "https://manager.example.com")
        self._tell("renewed", "1")
        self.env["ir.mail_server"].sudo().search([], limit=1).from_filter = "relay@hosting.example.com"
        self._tell("expiring", "2")
        self.assertEqual(
            [line.partition("<")[2].partition(">")[0] for line in server.senders],
            ["noreply@manager.example.com", "relay@hosting.example.com"],
        )
        for text in server.mails:
            self.assertIn(f'From: "{self.env.company.name}" <', text, "not the sidecar, whose report it is")

    def test_a_mail_that_fails_is_seen_and_forgotten_when_a_later_one_leaves(self):
        server, subscription = self._mail_server(), self.instance.subscription_ids
        server.refuses = True
        for period in ("1", "2"):
            self._tell("renewed", period)
        activity = self._activities(subscription)
        self.assertEqual(len(activity), 1)
        self.assertIn("did not leave", activity.summary)
        self.assertTrue(subscription.notice_ids[:1].has_failed)
        server.refuses = False
        self._tell("renewed", "3")
        self.assertFalse(self._activities(subscription))

    def test_a_failure_that_nobody_saw_is_found(self):
        self._report(self.instance, subscription={"notices": [{"kind": "renewed", "period": "1"}]})
        subscription = self.instance.subscription_ids
        subscription.notice_ids.mail_id.state = "exception"
        for _time in range(2):
            self.sidecar._cron_watch()
        self.assertEqual(len(self._activities(subscription)), 1)

    def test_what_the_mails_say(self):
        company = self.env.company.sudo()
        company.email = "office@hosting.example.com"
        self.plan.sudo().taxes_id = False
        subscription = self.instance.subscription_ids
        subscription.write({"fecha_fin": "2026-02-10", "suspended_at": "2026-02-14 10:00:00"})
        kinds = ("expiring", "suspended", "renewed", "finalNotice", "removed", "addressChanged")
        for kind in kinds:
            self._report(self.instance, subscription={"notices": [{"kind": kind, "period": "1"}]})
        mails = {notice.kind: notice.sudo().mail_id for notice in subscription.notice_ids}
        self.assertEqual(set(mails), set(kinds))
        for kind, mail in mails.items():
            self.assertIn("office@hosting.example.com", mail.email_from, kind)
            self.assertIn(self.instance.name, mail.body_html, kind)
            self.assertNotIn(subscription.name.replace("/", "-"), mail.body_html, kind)
            self.assertIn(f"/my/instances/{self.instance.id}", mail.body_html, kind)
            self.assertIn("/logo.png", mail.body_html, kind)
        self.assertRegex(mails["renewed"].body_html, "30[.,]00", "what was paid")
        for kind in ("expiring", "suspended", "finalNotice"):
            self.assertIn(f"/my/renew/{subscription.id}/", mails[kind].body_html, kind)
            self.assertRegex(mails[kind].body_html, "30[.,]00", kind)
        kept = format_date(subscription.with_context(lang="en_US").env, "2026-03-16")
        self.assertIn(kept, mails["suspended"].body_html, "until when the data are kept")

    def test_each_mail_can_be_rendered_for_a_subscription_that_it_does_not_concern(self):
        # Odoo refuses to save one that cannot: the upgrade that brings it would fail.
        subscription, ours = self.instance.subscription_ids, {"module": "micro_saas", "model": "mail.template"}
        domain = [(field, "=", value) for field, value in ours.items()]
        templates = self.env["mail.template"].sudo().browse(self.env["ir.model.data"].sudo().search(domain).mapped("res_id"))
        self.assertGreater(len(templates), 7)
        for template in templates.filtered(lambda one: one.model == subscription._name):
            for field in ("subject", "body_html", "email_from", "partner_to", "lang"):
                template._render_field(field, subscription.ids)

    def test_who_cannot_be_invoiced_is_told_all_the_same(self):
        subscription = self.instance.subscription_ids
        subscription.product_id = False
        self._report(self.instance, subscription={"notices": [{"kind": "suspended", "period": "1"}]})
        body = subscription.notice_ids.sudo().mail_id.body_html
        self.assertIn("suspended", body)
        self.assertNotIn("See the invoice and pay", body)
