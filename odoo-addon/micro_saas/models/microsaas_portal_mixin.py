"""What the customer of an instance sees in the portal, and what they may do there by themselves.

Choosing a password: the sidecar makes a one-time link when they ask for it, and none is ever stored. What is mailed is
a link to a page of this Odoo. Its token opens that page and nothing else, for a week at most, and is known here by its
hash alone.
"""

import hashlib
import hmac
import logging
import math
import secrets
import time
from datetime import timedelta
from urllib.parse import urljoin, urlsplit

import requests

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import NO_ACCESS
from odoo.tools import format_date

from .nudge import post
from .webhook_secrets import sidecar_url, webhook_secrets

_logger = logging.getLogger(__name__)

# How far an instance is on its way to running, in percent, when the sidecar begins a step.
PERCENT = {
    "AssigningPorts": 10,
    "FetchingRepositories": 20,
    "Rendering": 30,
    "StartingDatabase": 35,
    "PreparingTemplate": 40,
    "CreatingDatabase": 50,
    "HandingOver": 50,
    "WaitingForMemory": 50,
    "Starting": 70,
    "WaitingForAnswer": 85,
    "UpdatingApps": 95,
    "ApplyingLimits": 95,
}
# How often a customer may restart their Odoo: each restart takes a start slot that others wait for.
RESTARTS = 5
MINUTES = 10
DAY = 24 * 60 * 60
# Each change of a name is a load of the door, and each new domain perhaps an order at the certificate authority.
RENAMES_A_DAY, DOMAINS_A_DAY = 5, 20
# Each is looked up in DNS again and again.
UNVERIFIED = 10
# How many former addresses a customer may keep from everybody else.
RENAMES = 5
# How long the page of the welcome mail is open.
VALID_FOR = timedelta(days=7)
# Seconds to connect, seconds to answer: the sidecar asks us about the instance, then the instance's database.
TIMEOUT = (2, 15)


class MicrosaasPortalMixin(models.AbstractModel):
    """The part of `odoo.docker.instance` that its customer meets: status, people, restarts, the first password."""

    _name = "microsaas.portal.mixin"
    _description = "Customer's page of an instance"

    # -- fields ------------------------------------------------------------------------------------

    # A removed one is shown for as long as it has data or is paid for: who paid is not told that there was nothing.
    is_shown_to_customer = fields.Boolean(
        "Shown to the customer", compute="_compute_is_shown_to_customer", compute_sudo=True
    )
    portal_restarts = fields.Json(
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="When the customer last restarted it: seconds since 1970.",
    )
    portal_renames = fields.Json(
        readonly=True, copy=False, groups="base.group_user", help="When the customer last renamed it: seconds since 1970."
    )
    portal_domains = fields.Json(
        readonly=True, copy=False, groups="base.group_user", help="When the customer last entered domains: seconds since 1970."
    )
    welcome_hash = fields.Char("Hash of the welcome page's token", readonly=True, copy=False, groups=NO_ACCESS)
    welcome_until = fields.Datetime("Welcome page until", readonly=True, copy=False, groups=NO_ACCESS)

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("active", "subscription_ids.data_removed_at", "subscription_ids.fecha_fin")
    def _compute_is_shown_to_customer(self):
        today = fields.Date.today()
        for instance in self:
            subscription = instance.subscription_ids[:1]
            is_paid = subscription.fecha_fin and subscription.fecha_fin >= today
            instance.is_shown_to_customer = instance.active or not subscription.data_removed_at or is_paid

    # -- what the customer is told -----------------------------------------------------------------

    def _portal_status(self):
        """Return what the customer is told: dict of `code`, `title`, `text`, `percent` and `poll`.

        `percent` is 0 unless something goes on; `poll` is in seconds, 0 where nothing will change by itself.
        Causes of errors are for the operator, so they are not in it.
        """
        self.ensure_one()
        _ = self.env._
        if self.desired_state == "draft":
            return self._status("waiting", _("It will be prepared soon"), _("We start it by hand and tell you."))
        if self.desired_state == "removed":
            return self._status("removed", _("It was removed"), self._removed_text())
        if self._suspended_subscription():
            text = _(
                "It is not paid for. It starts again as soon as you renew it; your data are kept until %s.",
                format_date(self.env, self.sudo().subscription_ids[:1]._data_kept_until()),
            )
            return self._status("suspended", _("Your Odoo is suspended"), text)
        if self.state == "error":
            return self._status("error", _("Something went wrong"), self._trouble_text(self.alerted_at), poll=5)
        if self.desired_state == "stopped":
            if self.state == "running":
                return self._status("stopped", _("Your Odoo is being stopped"), _("Your data are kept."), poll=1)
            text = _("We have stopped it. Your data are kept. Write to us to have it started again.")
            return self._status("stopped", _("Your Odoo is stopped"), text, poll=self.microsaas_busy and 1)
        if self._is_being_started() or self.state != "running":
            title = _("Your Odoo is starting") if self.was_ready else _("Your Odoo is being prepared")
            percent = PERCENT.get(self.reason, 5)
            text = self.phase_message if self.reason in PERCENT else _("It is about to begin.")
            if self.env["microsaas.sidecar"]._people_know_of_silence():
                text = _("It takes longer than usual. We have been told and look after it. You need not do anything.")
            return self._status("preparing", title, text, percent=percent, poll=1)
        title = _("Your Odoo is asleep: it wakes when you open it") if self.is_asleep else _("Your Odoo is ready")
        # With another name its address is about to be another.
        return self._status("running", title, self.instance_url or "", poll=self.microsaas_busy and 1)

    def _is_being_started(self):
        """Tell whether the sidecar has, or is about to have, work with it for which it does not answer meanwhile."""
        # A backup, a restore or a download is asked for while it runs, and goes on beside it.
        runs_on = self.only_names_changed or (self.job_id and self.state == "running")
        return self.microsaas_busy and not (runs_on and self.reason not in PERCENT)

    def _trouble_text(self, somebody_knows):
        """Return what the customer reads of a trouble: that somebody was told, only once somebody was."""
        _ = self.env._
        if somebody_knows:
            return _("We have been told and look after it. You need not do anything.")
        return _("It is tried again by itself. If this lasts, we are told and look after it.")

    def _removed_text(self):
        """Return until when the data of a removed instance are kept, and what the customer can do."""
        _, subscription = self.env._, self.sudo().subscription_ids[:1]
        if self.sudo().erased_at:
            return _("Its data and all backups of them were erased on %s.", format_date(self.env, self.sudo().erased_at))
        if subscription.data_removed_at:
            return _(
                "Its data were removed on %s. A last backup is kept for a while: write to us if you need them.",
                format_date(self.env, subscription.data_removed_at),
            )
        if subscription.hidden_at:
            return _(
                "Its data are kept until %s. Write to us before then to have it back.",
                format_date(self.env, subscription._data_kept_until()),
            )
        return _("Its data are kept for now. Write to us to have it back.")

    def _status(self, code, title, text, percent=0, poll=0):
        return {"code": code, "title": title, "text": text, "percent": percent, "poll": int(poll)}

    def _portal_invoices(self):
        """Return the posted invoices of this instance, the first sale and its renewals, newest first."""
        moves = self.factura_id | self.subscription_ids.renewal_line_ids.move_id
        return moves.filtered(lambda move: move.state == "posted").sorted("id", reverse=True)

    # -- people: who ordered it and administers it, who may act for its company --------------------

    def _administrator(self):
        """Return the person who logs in first: who ordered it, else who is invoiced; the first with an e-mail address."""
        people = self.ordered_by_id | self.partner_id | self.partner_id.commercial_partner_id
        return people.filtered(lambda one: one._microsaas_email())[:1] or people[:1]

    def _login(self):
        """Return the administrator's login; `admin` for want of an e-mail address, as the sidecar has it."""
        return self._administrator()._microsaas_email() or "admin"

    def _ordering_person(self):
        """Return who ordered what this instance was sold by."""
        return self.linea_factura_id._microsaas_ordered_by() or self.factura_id.partner_id

    def _desired_customer(self):
        """Return whose instance it is, as the sidecar reads it."""
        person, customer, company = self._administrator(), self.partner_id, self.company_id.partner_id
        country = customer.country_id or customer.commercial_partner_id.country_id
        owner = customer.commercial_company_name or customer.commercial_partner_id.name
        return {
            "name": person.name or owner or self.name,
            "company_name": owner or self.name,
            "email": person._microsaas_email(),
            "lang": person.lang or customer.lang or company.lang or "en_US",
            "country_code": (country or company.country_id).code or "",
        }

    def _may_act(self, user):
        """Tell whether a portal user may act for its company: restart, renew and rename it, change its plan, cancel it.

        That is who ordered it, who is invoiced, the company's own login, and its contacts for invoices.
        """
        person, customer = user.partner_id, self.partner_id.commercial_partner_id
        if person in self.ordered_by_id | self.partner_id | customer | self._ordering_person():
            return True
        return person.type == "invoice" and person.commercial_partner_id == customer

    def _may_set_password(self, user):
        """Tell whether a user of the portal may choose the administrator's password: that person, or the company's own login.

        A colleague with an account of their own in the shop is not the administrator of the company's Odoo, and neither
        is the contact that its invoices go to.
        """
        return self.state == "running" and self._is_administered_by(user)

    def _is_administered_by(self, user):
        """Tell whether a user of the portal has all rights in the instance: the administrator, or the company's own login.

        The seller's people never are: they write whose it is, and could make themselves either.
        """
        return user.share and user.partner_id in self._administrator() | self.partner_id.commercial_partner_id

    # -- restarts ----------------------------------------------------------------------------------

    def _restart_by_customer(self):
        """Restart an instance for its customer. Call it with sudo.

        :raise UserError: as restart_instance(), or too often
        """
        self.ensure_one()
        recent = self._lately(self.portal_restarts, 60 * MINUTES)
        if len(recent) >= RESTARTS:
            raise UserError(
                self.env._(
                    "“%(instance)s” was restarted %(count)s times within %(minutes)s minutes. Wait some minutes;"
                    " if that does not help, ask us.",
                    instance=self.name,
                    count=RESTARTS,
                    minutes=MINUTES,
                )
            )
        self.restart_instance()
        self._quiet().portal_restarts = [*recent, time.time()]
        self._note_for_customer("restarted", self.env.user.name)

    def _lately(self, moments, seconds):
        """Return those of the moments (seconds since 1970) that are no longer ago."""
        since = time.time() - seconds
        return [moment for moment in moments or [] if moment > since]

    def _hours_until(self, moments, most):
        """Return in how many hours, rounded up, fewer than `most` of the moments are within a day."""
        return math.ceil((moments[-most] + DAY - time.time()) / 3600)

    # -- addresses ---------------------------------------------------------------------------------

    def _rename_by_customer(self, name):
        """Give an instance another subdomain for its customer. Call it with sudo.

        :raise UserError: the rule that the name breaks, that it was removed, or too often
        """
        self.ensure_one()
        self._check_not_removed()
        if name == self.subdomain:
            return
        recent = self._lately(self.portal_renames, DAY)
        if len(recent) >= RENAMES_A_DAY:
            raise UserError(
                self.env._(
                    "The address was changed %(count)s times within a day. You can change it again in %(hours)s h.",
                    count=RENAMES_A_DAY,
                    hours=self._hours_until(recent, RENAMES_A_DAY),
                )
            )
        former = self.env["microsaas.subdomain"]._redirecting(self.ids).get(self.id, [])
        if len(former) >= RENAMES and name not in former:
            raise UserError(
                self.env._(
                    "Its address was changed %s times lately. The old ones lead to it for 90 days, and others cannot"
                    " have them: take one of them again, or wait.",
                    RENAMES,
                )
            )
        self.subdomain = name
        self._quiet().portal_renames = [*recent, time.time()]
        self._note_for_customer("renamed", self.env.user.name)

    def _add_domain(self, name):
        """Enter a domain of the customer's own for them. Call it with sudo.

        :raise UserError: a sentence saying why it can be none, or too many
        """
        self.ensure_one()
        recent = self._lately(self.portal_domains, DAY)
        if len(recent) >= DOMAINS_A_DAY:
            raise UserError(
                self.env._(
                    "%(count)s domains were entered within a day. You can enter another one in %(hours)s h.",
                    count=DOMAINS_A_DAY,
                    hours=self._hours_until(recent, DOMAINS_A_DAY),
                )
            )
        if len(self.domain_ids.filtered(lambda domain: domain.state != "verified")) >= UNVERIFIED:
            raise UserError(
                self.env._(
                    "%s of its domains are not verified. You can enter another one as soon as one is verified or removed.",
                    UNVERIFIED,
                )
            )
        self.env["microsaas.domain"].create({"name": name, "instance_id": self.id})
        self._quiet().portal_domains = [*recent, time.time()]

    # -- passwords ---------------------------------------------------------------------------------

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
        return self._one_time_link("invitations", {"instance": self.id, "is_first": is_first})

    def _one_time_link(self, kind, payload):
        """Return a link that the sidecar makes.

        :param kind: the last part of the address where it does: `invitations`, `downloads`, `logins`
        :param payload: what the link is to lead to
        :return: the link; empty for one that there is not any more
        :raise UserError: a sentence for the customer: try again, or wait
        """
        self.ensure_one()
        url, known = sidecar_url(self.env), webhook_secrets(self.env)
        later = self.env._("This is not possible at the moment. Please try again in a minute.")
        if not (url and known):
            raise UserError(later)
        try:
            response = post(urljoin(url, f"../{kind}"), known, payload, TIMEOUT)
            status, answer = response.status_code, response.json() if response.ok else {}
        except (ValueError, requests.RequestException) as error:
            _logger.warning("No link (%s) to instance %s: %s", kind, self.id, type(error).__name__)
            raise UserError(later) from None
        if status == 429:
            raise UserError(
                self.env._("That was asked for too often. Please try again in a quarter of an hour.")
            )
        if status == 410 or (status == 404 and kind in ("downloads", "logins")):  # Gone, or never there
            return ""
        if status != 200 or urlsplit(answer.get("url", "")).scheme not in ("http", "https"):
            _logger.warning("No link (%s) to instance %s: the sidecar answers %s", kind, self.id, status)
            raise UserError(later)
        return answer["url"]


def _hash(token):
    return hashlib.sha256(token.encode()).hexdigest()
