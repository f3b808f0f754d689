"""Outgoing webhooks: what happens to instances, told to other programs by signed messages (Standard Webhooks).

A message is written down in the transaction of what it tells, so it is neither lost nor sent too early. It is sent afterwards, at least
once, in the order of what happened; a receiver knows one that comes again by its `webhook-id`.
"""

import ipaddress
import json
import socket
import threading
import time
from datetime import timedelta, timezone
from urllib.parse import urlsplit

import requests

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from .alerts import close_activities, person_for, raise_activity
from .by_hand import MANAGER, ByHand
from .signed_messages import new_message_id, new_secret, signed_headers

ACTIVITY = "micro_saas.mail_activity_type_trouble"
TIMEOUT = (3, 10)  # seconds to connect, seconds of silence
WHOLE_TIMEOUT = 15  # seconds for all of an answer: silence is broken by one byte
# Minutes until the next attempt, one for each that failed in a row.
PAUSES = (1, 5, 30, 120, 300, 600, 840, 1200, 1440)
GIVEN_UP_AFTER = timedelta(days=3)
TROUBLE_AFTER = timedelta(hours=1)
KEPT_FOR = timedelta(days=30)
# So long one run begins further messages, and so long of one receiver's, in seconds: Odoo ends a run after two minutes, which may not
# happen in the middle, for then all of it would be sent again.
RUN_SECONDS, SHARE_SECONDS = 30, 5
MOST_AT_ONCE = 200
# A system parameter, for administrators of this Odoo: webhooks may have addresses that are not on the internet, and http://.
REACHES_INSIDE = "microsaas.webhooks_reach_inside"
# Which webhooks' requests this process still waits for, by their ids: a receiver may hold one for as long as it likes.
_under_way = {}


class MicrosaasWebhook(ByHand, models.Model):
    """An address of another program that is told what happens to a company's instances."""

    _name = "microsaas.webhook"
    _description = "Webhook"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id"

    name = fields.Char(required=True)
    url = fields.Char("Address", required=True, tracking=True, help="Messages are sent there by POST.")
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
    failures = fields.Integer("Attempts in vain", readonly=True, copy=False, aggregator=None)
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
                is_usable = url.scheme == "https" or (url.scheme == "http" and self._reaches_inside())
                is_usable = is_usable and bool(url.hostname) and url.username is None and (url.port is None or url.port > 0)
            except ValueError:
                is_usable = False
            if not is_usable:
                raise ValidationError(
                    self.env._(
                        "Write the address of a webhook as https://example.com/path, without a name and a password in it."
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
        """Try again now, also what was given up.

        :return: True
        """
        for webhook in self:
            webhook.check_access("write")
            given_up = webhook.sudo().webhook_message_ids.filtered(lambda message: message.state == "given_up")
            given_up.write({"state": "waiting"})
            webhook.sudo().write({"failures": 0, "failing_since": False, "retry_at": False})
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
    def _reaches_inside(self):
        return bool(self.env["ir.config_parameter"].sudo().get_param(REACHES_INSIDE))

    @api.model
    def _cron_send(self, keep=None):
        """Send what waits: of each receiver in order, until one message fails or its share of the run is over.

        Whoever was served longest ago comes first, so no number of slow receivers keeps another one waiting for ever. What is known is
        kept before each message is sent, so a run that is killed sends no message of an earlier one again.

        :param keep: how; by default a commit
        """
        keep = keep or self.env.cr.commit
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
                webhook._expect_the_worst(message)
                keep()
                may_go_on = webhook._send(message)
                keep()
                if not may_go_on:
                    break
                if time.monotonic() > share_end:
                    self._send_soon()
                    break

    def _expect_the_worst(self, message):
        """Note an attempt as one in vain, before it is made: should this process be killed meanwhile, it was one."""
        message.attempts += 1
        self.failures += 1
        self.failing_since = self.failing_since or fields.Datetime.now()
        self.retry_at = fields.Datetime.now() + timedelta(minutes=PAUSES[min(self.failures, len(PAUSES)) - 1])

    def _send(self, message):
        """Send one message. Return whether the next one may follow."""
        status, answer = message._post(self.url, self.secret)
        message.answer = answer
        if 200 <= status < 300:
            message.write({"state": "delivered", "delivered_at": fields.Datetime.now()})
            self._recovered()
            return True
        if status == 410:
            self._message_log(body=self.env._("The receiver wants no more messages (410): switched off."))
            self.active = False
            return False
        now = fields.Datetime.now()
        if now - self.failing_since >= GIVEN_UP_AFTER:
            old = [("webhook_id", "=", self.id), ("state", "=", "waiting"), ("create_date", "<", now - GIVEN_UP_AFTER)]
            self.env["microsaas.webhook.message"].search(old).state = "given_up"
        if now - self.failing_since >= TROUBLE_AFTER:
            self._alert(answer)
        return False

    def _recovered(self):
        """A message was taken: what was said of its trouble is over."""
        self.write({"failures": 0, "failing_since": False, "retry_at": False})
        if self.activity_ids:
            close_activities(self, ACTIVITY, self.env._("Messages are taken again."))

    def _alert(self, answer):
        office = self.with_context(lang=self.company_id.partner_id.lang)
        raise_activity(
            office,
            ACTIVITY,
            person_for(self.env, self.create_uid, is_technical=True),
            office.env._("A webhook’s messages are not taken"),
            office.env._(
                "“%(name)s” answers: %(answer)s. It is tried again; what is in vain for three days is given up. “Try again now” sends"
                " that too, for 30 days.",
                name=self.name,
                answer=answer,
            ),
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
        earlier = _under_way.get(self.webhook_id.id)
        if earlier and earlier.is_alive():
            return 0, self.env._("no answer in time")
        if not (self.webhook_id._reaches_inside() or _is_on_the_internet(url)):
            return 0, self.env._("its address is not on the internet")
        body, result = self.body.encode(), []
        headers = signed_headers([secret], self.identity, body)
        thread = threading.Thread(target=_request, args=(url, headers, body, result), name="microsaas.webhook", daemon=True)
        _under_way[self.webhook_id.id] = thread
        thread.start()
        thread.join(WHOLE_TIMEOUT)
        return result[0] if result else (0, self.env._("no answer in time"))

    @api.autovacuum
    def _gc_messages(self):
        """Forget what is over for a month, and what waits for a webhook that is switched off."""
        old = ("create_date", "<", fields.Datetime.now() - KEPT_FOR)
        over = ["|", ("state", "!=", "waiting"), ("webhook_id.active", "=", False)]
        self.sudo().search([old, *over], limit=10_000).unlink()


def _request(url, headers, body, result):
    """Send one message, and put `(status, what to say of it)` into a list; nothing where it was silence that ended it."""
    try:
        with requests.post(
            url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            result.append((response.status_code, f"HTTP {response.status_code}"))
    except requests.Timeout:
        return
    except (ValueError, requests.RequestException) as error:
        result.append((0, type(error).__name__))


def _is_on_the_internet(url):
    """Whether all that a URL's host resolves to are public addresses, so that no service of ours is asked in its name."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None)
    except (OSError, ValueError):
        return True  # the request says so itself
    return all(ipaddress.ip_address(address[0].partition("%")[0]).is_global for *_kind, address in found)
