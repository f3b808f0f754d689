import base64
import json
from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import microsaas_webhook
from .common import ReceiverCommon


@tagged("post_install", "-at_install")
class TestWebhook(ReceiverCommon):
    """What other programs are told, by a real receiver on this machine."""

    def setUp(self):
        super().setUp()
        self.url = f"{self.receiver}/hook"
        self._set_param("webhooks_reach_inside", "True")
        self.webhook = self._webhook()

    def _webhook(self, **vals):
        webhooks = self.env["microsaas.webhook"].with_user(self.manager)
        return webhooks.create({"name": "CRM", "url": self.url, **vals})

    def _send(self):
        """Send what waits, as Odoo does by itself; return the kinds that came in, the oldest first."""
        before = len(self.received)
        self.env["microsaas.webhook"].sudo()._cron_send(keep=self.env.flush_all)
        self.env.invalidate_all()
        return [json.loads(body)["type"] for _path, _headers, body in self.received[before:]]

    def _let_pass(self, minutes):
        """Let the pause of the webhook pass, and as much of its trouble."""
        webhook = self.webhook.sudo()
        webhook.retry_at = fields.Datetime.now() - timedelta(seconds=1)
        webhook.failing_since -= timedelta(minutes=minutes)

    def test_the_life_of_an_instance_in_its_order(self):
        instance = self._running()
        self.assertEqual(self._send(), ["instance.created", "instance.ready"])
        said = json.loads(self.received[1][2])["data"]["instance"]
        self.assertEqual((said["id"], said["state"], said["customer"]["name"]), (instance.id, "running", self.partner.name))
        self.assertEqual((said["plan"]["name"], said["invoice"]["name"]), ("Odoo hosting", instance.factura_id.name))
        subscription = {"id": instance.subscription_ids.id}
        self._report(instance, subscription={**subscription, "suspended_at": "2026-01-01 10:00:00"})
        self._report(instance, subscription={**subscription, "suspended_at": False})
        self._report(instance, state="error", reason="ImageGone", detail="x")
        self._report(instance, state="error", reason="ImageGone", detail="x")
        self._report(instance, state="running", reason="Running")
        instance.action_remove()
        self._report(instance, state="removed", reason="Removed")
        events = ["suspended", "resumed", "failed", "removed"]
        self.assertEqual(self._send(), [f"instance.{event}" for event in events], "each once")
        self.assertEqual(self._send(), [], "nothing is sent twice")
        self.assertEqual(set(self.webhook.webhook_message_ids.mapped("state")), {"delivered"})

    def test_messages_are_signed_as_standard_webhooks_and_have_no_secret_in_them(self):
        self._running()
        self._send()
        _path, headers, body = self.received[0]
        self._assert_signed(headers, body, base64.b64decode(self.webhook.secret.removeprefix("whsec_")))
        self.assertNotIn("whsec", body.decode())
        self.assertNotIn("password", body.decode())

    def test_what_is_not_taken_comes_again_first_and_under_the_same_id(self):
        self._running()
        self.answers = [500]
        self.assertEqual(self._send(), ["instance.created"], "the second waits for the first")
        self.assertEqual(self.webhook.webhook_message_ids.sorted("id")[0].answer, "HTTP 500")
        self.assertEqual(self._send(), [], "not before its pause is over")
        self._let_pass(1)
        self.assertEqual(self._send(), ["instance.created", "instance.ready"])
        ids = [headers["webhook-id"] for _path, headers, _body in self.received]
        self.assertEqual(ids[0], ids[1])
        self.assertNotEqual(ids[1], ids[2])
        self.assertFalse(self.webhook.failing_since)

    def test_a_receiver_that_hangs_keeps_no_other_one_waiting(self):
        other = self._webhook(url=f"{self.url}/other")
        self._running()
        self.answers = [None]
        with patch.object(microsaas_webhook, "WHOLE_TIMEOUT", 1), patch.object(microsaas_webhook, "TIMEOUT", (1, 20)):
            self._send()
            self._let_pass(1)
            self._send()
        first = self.webhook.webhook_message_ids.sorted("id")[0]
        self.assertEqual((first.answer, first.attempts), ("no answer in time", 2))
        paths = [path for path, _headers, _body in self.received]
        self.assertEqual(paths, ["/hook", "/hook/other", "/hook/other"], "one request of each webhook at a time")
        self.assertEqual(set(other.webhook_message_ids.mapped("state")), {"delivered"})

    def test_who_was_served_longest_ago_comes_first_and_each_has_a_share_of_the_time(self):
        other = self._webhook(url=f"{self.url}/other")
        for _number in range(3):
            self.webhook.action_test()
            other.action_test()
        with patch.object(microsaas_webhook, "SHARE_SECONDS", -1):
            self.assertEqual(len(self._send()), 2, "one of each")
            other.sudo().served_at -= timedelta(seconds=10)
            self._send()
        paths = [path for path, _headers, _body in self.received]
        self.assertEqual(paths, ["/hook", "/hook/other", "/hook/other", "/hook"])

    def test_after_days_in_vain_a_message_is_given_up_and_somebody_was_told(self):
        self.webhook.action_test()
        self.answers = [503] * 4
        for number in range(3):
            self.assertEqual(self._send(), ["webhook.test"], number)
            self._let_pass(60)
        self.assertEqual(len(self.webhook.sudo().activity_ids), 1)
        self.env.cr.execute("UPDATE microsaas_webhook_message SET create_date = now() - interval '4 days'")
        self.env.invalidate_all()
        self.webhook.action_test()
        self._let_pass(3 * 24 * 60)
        self.assertEqual(self._send(), ["webhook.test"])
        older, newer = self.webhook.webhook_message_ids.sorted("id")
        self.assertEqual((older.state, older.attempts, newer.state), ("given_up", 4, "waiting"), "by its age alone")
        self.webhook.action_send_now()
        self.assertEqual(self._send(), ["webhook.test", "webhook.test"])
        self.assertFalse(self.webhook.sudo().activity_ids.filtered("active"), "closed by itself")

    def test_after_a_week_of_silence_each_message_arrives_once(self):
        self._running()
        silence = {"return_value": (0, "no answer in time")}
        with patch.object(self.env.registry["microsaas.webhook.message"], "_post", **silence) as post:
            for _day in range(6):
                self._send()
                self._let_pass(24 * 60)
            self.env.cr.execute("UPDATE microsaas_webhook_message SET create_date = now() - interval '6 days'")
            self.env.invalidate_all()
            self._send()
        self.assertEqual(post.call_count, 7, "one request at a time, however much waits")
        self.assertEqual(self.webhook.webhook_message_ids.mapped("state"), ["given_up"] * 2, "kept all the same")
        told = self.webhook.sudo().activity_ids
        self.assertEqual(len(told), 1, "told once, not each day")
        self.assertIn("answers: no answer in time.", told.note)
        self.assertIn("“Try again now” sends that too", told.note)
        self.webhook.action_send_now()
        self.assertEqual(self._send(), ["instance.created", "instance.ready"], "in their order")
        self.assertEqual(self._send(), [], "and not once more")

    def test_one_that_is_gone_for_good_is_switched_off(self):
        self.webhook.action_test()
        self.answers = [410]
        self._send()
        self.assertFalse(self.webhook.active)
        self._running()
        self.assertEqual(self._send(), [])

    def test_no_redirect_is_followed(self):
        self.webhook.action_test()
        self.answers = [307]
        self.assertEqual(self._send(), ["webhook.test"])
        self.assertEqual(self.webhook.webhook_message_ids.answer, "HTTP 307")

    def test_nothing_is_sent_of_what_was_rolled_back(self):
        with self.assertRaises(RuntimeError), self.env.cr.savepoint():
            self._running()
            raise RuntimeError
        self.assertEqual(self._send(), [])

    def test_another_companys_webhook_hears_nothing_and_a_staging_copy_is_no_event(self):
        stranger = self._stranger()
        theirs = self.env["microsaas.webhook"].with_user(stranger).create({"name": "x", "url": f"{self.url}/theirs"})
        instance = self._running()
        copy = self._instance()
        copy.sudo()._quiet().staging_of_id = instance
        self._send()
        before = len(self.received)
        self._report(copy, state="running", reason="Running")
        self._send()
        self.assertEqual(len(self.received), before)
        self.assertFalse(theirs.webhook_message_ids)

    @mute_logger("odoo.sql_db")
    def test_which_addresses_a_webhook_may_have(self):
        self._set_param("webhooks_reach_inside", False)
        for url in (
            *("http://example.com/x", "ftp://example.com", "https://", "example.com", "https://me:secret@example.com/"),
            *("https://example.com:99999/", "http://169.254.169.254/latest"),
        ):
            with self.assertRaises(ValidationError, msg=url), self.env.cr.savepoint():
                self._webhook(url=url)
        self._webhook(url="https://example.com:8443/x?y=1")

    def test_nothing_is_sent_to_what_is_not_on_the_internet_unless_an_administrator_allows_it(self):
        self.webhook.action_test()
        self._set_param("webhooks_reach_inside", False)
        self.assertEqual(self._send(), [])
        self.assertEqual(self.webhook.webhook_message_ids.answer, "its address is not on the internet")
        for url in ("https://10.0.0.7/", "https://[::1]/", "https://169.254.169.254/", "https://localhost/"):
            self.assertFalse(microsaas_webhook._is_on_the_internet(url), url)
        self.assertTrue(microsaas_webhook._is_on_the_internet("https://8.8.8.8/"))

    def test_only_managers_have_webhooks_and_nobody_writes_a_secret(self):
        with self.assertRaises(AccessError):
            self.webhook.with_user(self.seller).read(["url"])
        for press in ("action_test", "action_new_secret", "action_send_now"):
            with self.assertRaises(AccessError):
                getattr(self.webhook.with_user(self.seller), press)()
        with self.assertRaises(AccessError):
            self.webhook.write({"secret": "whsec_AAAA"})
        before = self.webhook.secret
        self.webhook.action_new_secret()
        self.assertNotEqual(self.webhook.secret, before)

    def test_what_is_over_for_a_month_is_forgotten(self):
        self.webhook.action_test()
        self._send()
        self.webhook.action_test()
        messages = self.webhook.sudo().webhook_message_ids.sorted("id")
        self.env.cr.execute(
            "UPDATE microsaas_webhook_message SET create_date = now() - interval '31 days' WHERE id = ANY(%s)", [messages.ids]
        )
        self.env.invalidate_all()
        self.env["microsaas.webhook.message"]._gc_messages()
        self.assertEqual(messages.exists(), messages[1], "one that waits is kept")
        self.webhook.active = False
        self.env["microsaas.webhook.message"]._gc_messages()
        self.assertFalse(messages.exists(), "unless its webhook is switched off")
