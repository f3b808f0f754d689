"""Outgoing webhooks: what happens to instances, told to other programs by signed messages (Standard Webhooks).

A message is written down in the transaction of what it tells, so it is neither lost nor sent too early. It is sent afterwards, at least
once, in the order of what happened; a receiver knows one that comes again by its `webhook-id`.
"""

import json
import time
from datetime import timedelta, timezone
from urllib.parse import urlsplit

import requests

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .alerts import close_activities, person_for, raise_activity
from .by_hand import MANAGER, ByHand
from .nudge import new_message_id, signed_headers
from .webhook_secrets import new_secret

ACTIVITY = "micro_saas.mail_activity_type_trouble"
TIMEOUT = (3, 10)  # seconds to connect, seconds to answer
# Minutes until the next attempt, one for each that failed: more than three days. Then a message is given up.
PAUSES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
TROUBLE_AFTER = timedelta(hours=1)
KEPT_FOR = timedelta(days=30)
# So long one run begins further messages, and so long of one receiver's, in seconds: Odoo ends a run after two minutes, which may not
# happen in the middle, for then all of it would be sent again.
RUN_SECONDS, SHARE_SECONDS = 30, 5
MOST_AT_ONCE = 200
LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class MicrosaasWebhook(ByHand, models.Model):
    """An address of another program that is told what happens to a company's instances."""

    _name = "microsaas.webhook"
    _description = "Webhook"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id"

    name = fields.Char(required=True)
    url = fields.Char("Address", required=True, tracking=True, help="Messages are sent there by POST; https, or this server itself.")
    active = fields.Boolean(default=True, tracking=True)
    company_id = fields.Many2one("res.company", "Company", required=True, default=lambda self: self.env.company)
    secret = fields.Char(
        readonly=True,
        copy=False,
        required=True,
        groups=MANAGER,
        default=lambda self: new_secret(),
        help="The receiver verifies with it that a message is from here and was not changed: see standardwebhooks.com.",
    )
    webhook_message_ids = fields.One2many("microsaas.webhook.message", "webhook_id", "Messages", readonly=True)
    waiting_count = fields.Integer("Waiting messages", compute="_compute_waiting_count")
    failing_since = fields.Datetime("Failing since", readonly=True, copy=False)
    served_at = fields.Datetime("Last attempt", readonly=True, copy=False)
    retry_at = fields.Datetime("Next attempt", readonly=True, copy=False, help="Empty: at once.")

    def _compute_waiting_count(self):
        groups = self.env["microsaas.webhook.message"]._read_group(
            [("webhook_id", "in", self.ids), ("state", "=", "waiting")], ["webhook_id"], ["__count"]
        )
        counts = {webhook.id: count for webhook, count in groups}
        for webhook in self:
            webhook.waiting_count = counts.get(webhook.id, 0)

    @api.constrains("url")
    def _check_url(self):
        for webhook in self:
            try:
                url = urlsplit(webhook.url)
                is_usable = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOOPBACK)
                is_usable = is_usable and bool(url.hostname) and url.username is None and (url.port is None or url.port > 0)
            except ValueError:
                is_usable = False
            if not is_usable:
                raise ValidationError(
                    self.env._(
                        "Write the address of a webhook as https://example.com/path, without a name and a password in it."
                        " Only on this server itself may it begin with http://."
                    )
                )

    # -- what people press -------------------------------------------------------------------------

    def action_test(self):
        """Send a message of the kind `webhook.test`.

        :return: True
        """
        for webhook in self:
            webhook.check_access("write")
            webhook.sudo()._write_down("webhook.test", {})
        return True

    def action_new_secret(self):
        """Make a new secret. Messages carry its signature from the next attempt on.

        :return: True
        """
        for webhook in self:
            webhook.check_access("write")
            webhook.sudo().secret = new_secret()
        return True

    def action_send_now(self):
        """Try again now, also what was given up; once more with all pauses.

        :return: True
        """
        for webhook in self:
            webhook.check_access("write")
            given_up = webhook.sudo().webhook_message_ids.filtered(lambda message: message.state == "given_up")
            given_up.write({"state": "waiting", "attempts": 0})
            webhook.sudo().retry_at = False
        self._send_soon()
        return True

    # -- what happens ------------------------------------------------------------------------------

    @api.model
    def _tell(self, company, kind, data):
        """Write down one message for each webhook of a company, to be sent once this transaction is committed.

        :param kind: such as `instance.ready`
        :param data: what becomes JSON
        """
        for webhook in self.sudo().search([("company_id", "=", company.id)]):
            webhook._write_down(kind, data)

    def _write_down(self, kind, data):
        moment = fields.Datetime.now().replace(tzinfo=timezone.utc)
        body = json.dumps({"type": kind, "timestamp": moment.isoformat(), "data": data}, ensure_ascii=False)
        self.env["microsaas.webhook.message"].create({"webhook_id": self.id, "kind": kind, "body": body})
        self._send_soon()

    @api.model
    def _send_soon(self):
        self.env.ref("micro_saas.cron_webhooks").sudo()._trigger()

    @api.model
    def _cron_send(self):
        """Send what waits: of each receiver in order, until one message fails or its share of the run is over.

        Whoever was served longest ago comes first, so no number of slow receivers keeps another one waiting for ever.
        """
        end = time.monotonic() + RUN_SECONDS
        for webhook in self.search([("webhook_message_ids.state", "=", "waiting")], order="served_at NULLS FIRST, id"):
            if webhook.retry_at and webhook.retry_at > fields.Datetime.now():
                continue
            webhook.served_at = fields.Datetime.now()
            share_end = time.monotonic() + SHARE_SECONDS
            waiting = [("webhook_id", "=", webhook.id), ("state", "=", "waiting")]
            for message in self.env["microsaas.webhook.message"].search(waiting, order="id", limit=MOST_AT_ONCE):
                if time.monotonic() > end:
                    self._send_soon()
                    return
                if not webhook._send(message):
                    break
                if time.monotonic() > share_end:
                    self._send_soon()
                    break

    def _send(self, message):
        """Send one message. Return whether the next one may follow."""
        status, answer = message._post(self.url, self.secret)
        message.write({"attempts": message.attempts + 1, "answer": answer})
        if 200 <= status < 300:
            message.write({"state": "delivered", "delivered_at": fields.Datetime.now()})
            self._is_well()
            return True
        if status == 410:
            self._message_log(body=self.env._("The receiver wants no more messages (410): switched off."))
            self.active = False
            return False
        if message.attempts > len(PAUSES):
            message.state = "given_up"
        now = fields.Datetime.now()
        self.failing_since = self.failing_since or now
        self.retry_at = now + timedelta(minutes=PAUSES[min(message.attempts, len(PAUSES)) - 1])
        if now - self.failing_since >= TROUBLE_AFTER:
            self._alert(answer)
        return False

    def _is_well(self):
        if self.failing_since:
            self.write({"failing_since": False, "retry_at": False})
            close_activities(self, ACTIVITY, self.env._("Messages are taken again."))

    def _alert(self, answer):
        office = self.with_context(lang=self.company_id.partner_id.lang)
        raise_activity(
            office,
            ACTIVITY,
            person_for(self.env, self.create_uid, is_technical=True),
            office.env._("A webhook’s messages are not taken"),
            office.env._("“%(name)s” answers: %(answer)s. It is tried again; what is in vain for three days is given up.", name=self.name, answer=answer),
        )


class MicrosaasWebhookMessage(ByHand, models.Model):
    """One message to one receiver."""

    _name = "microsaas.webhook.message"
    _description = "Message of a webhook"
    _order = "id desc"
    _rec_name = "kind"

    webhook_id = fields.Many2one("microsaas.webhook", required=True, readonly=True, ondelete="cascade", index=True)
    identity = fields.Char("Id", readonly=True, required=True, default=lambda self: new_message_id())
    kind = fields.Char("What happened", readonly=True, required=True)
    body = fields.Text(readonly=True, required=True)
    state = fields.Selection(
        [("waiting", "Waiting"), ("delivered", "Taken"), ("given_up", "Given up")],
        default="waiting",
        required=True,
        readonly=True,
        index=True,
    )
    attempts = fields.Integer(readonly=True, aggregator=None)
    answer = fields.Char("Last answer", readonly=True)
    delivered_at = fields.Datetime("Taken at", readonly=True)

    def _post(self, url, secret):
        """Send it once. Return the status, 0 without an answer, and what to say of it; the answer's body is not read."""
        body = self.body.encode()
        headers = signed_headers([secret], self.identity, body)
        try:
            with requests.post(
                url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                return response.status_code, f"HTTP {response.status_code}"
        except requests.Timeout:
            return 0, self.env._("no answer in time")
        except (ValueError, requests.RequestException) as error:
            return 0, type(error).__name__

    @api.autovacuum
    def _gc_messages(self):
        """Forget what is over for a month."""
        over = [("state", "!=", "waiting"), ("create_date", "<", fields.Datetime.now() - KEPT_FOR)]
        self.sudo().search(over, limit=10_000).unlink()
