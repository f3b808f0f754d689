"""How customers choose their password: the sidecar makes a one-time link when they ask for it, and none is ever stored.

What is mailed is a link to a page of this Odoo. Its token opens that page and nothing else, for a week at most, and is
known here by its hash alone.
"""

import hashlib
import hmac
import logging
import secrets
from datetime import timedelta
from urllib.parse import urljoin, urlsplit

import requests

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import NO_ACCESS

from .nudge import post
from .webhook_secrets import sidecar_url, webhook_secrets

_logger = logging.getLogger(__name__)

VALID_FOR = timedelta(days=7)
# Seconds to connect, seconds to answer: the sidecar asks us about the instance, then the instance's database.
TIMEOUT = (2, 15)


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    welcome_hash = fields.Char("Hash of the welcome page's token", readonly=True, copy=False, groups=NO_ACCESS)
    welcome_until = fields.Datetime("Welcome page until", readonly=True, copy=False, groups=NO_ACCESS)

    def _welcome_url(self):
        """Return the address of a new welcome page; the pages before it close.

        Whoever has the address may choose the administrator's password until somebody has logged in.
        """
        self.ensure_one()
        token = secrets.token_urlsafe(32)
        self.sudo().write(
            {"welcome_hash": _hash(token), "welcome_until": fields.Datetime.now() + VALID_FOR}
        )
        return f"{self.get_base_url()}/my/instances/{self.id}/welcome/{token}"

    def _welcome_state(self, token):
        """Return what a token is good for: `open`, `over` (it was, until somebody logged in or a week went by) or ""."""
        instance = self.sudo()
        if not hmac.compare_digest(_hash(token), instance.welcome_hash or ""):
            return ""
        is_open = instance.welcome_until and instance.welcome_until >= fields.Datetime.now()
        return "open" if is_open else "over"

    def _close_welcome(self):
        """Somebody has logged in: the page in the mail has done what it was for."""
        self.sudo().welcome_until = False

    def _password_link(self, is_first):
        """Return a new link with which the administrator of the instance sets their password, once.

        :param is_first: only while nobody has logged in yet
        :return: the link; empty if `is_first` and somebody has logged in already
        :raise UserError: a sentence for the customer: try again, or wait
        """
        self.ensure_one()
        url, known = sidecar_url(self.env), webhook_secrets(self.env)
        later = self.env._("This is not possible at the moment. Please try again in a minute.")
        if not (url and known):
            raise UserError(later)
        payload = {"instance": self.id, "is_first": is_first}
        try:
            response = post(urljoin(url, "../invitations"), known, payload, TIMEOUT)
            status, answer = response.status_code, response.json() if response.ok else {}
        except (ValueError, requests.RequestException) as error:
            _logger.warning("No link to log in to instance %s: %s", self.id, type(error).__name__)
            raise UserError(later) from None
        if status == 429:
            raise UserError(
                self.env._("That was asked for too often. Please try again in a quarter of an hour.")
            )
        if status == 410:  # Gone
            return ""
        if status != 200 or urlsplit(answer.get("url", "")).scheme not in ("http", "https"):
            _logger.warning("No link to log in to instance %s: the sidecar answers %s", self.id, status)
            raise UserError(later)
        return answer["url"]


def _hash(token):
    return hashlib.sha256(token.encode()).hexdigest()
