"""Customers' own domains: entered here, verified by the sidecar, and served by the door once they are.

Entering a domain proves nothing and keeps nobody off: several customers may have entered one, and it is whose DNS says.
"""

import secrets
from datetime import timedelta

from psycopg2.errors import UniqueViolation

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.release import version_info
from odoo.tools import SQL, format_date, mute_logger

from .by_hand import ByHand
from .domain_names import PROOF_LABEL, checked_domain, shown_domain
from .door import address_of, door_addresses, own_domains
from .microsaas_former_domain import KEPT
from .values import write_changed

UNIQUE = "UNIQUE(name, instance_id)"
UNIQUE_MESSAGE = "This domain is in use already."
# Each is looked at by the sidecar again and again, and each verified one gets a certificate.
MOST = 50
# So long the sidecar looks at a domain that has never been verified.
TRIED = timedelta(days=7)


class MicrosaasDomain(ByHand, models.Model):
    """A domain of the customer's own at which an instance is to answer."""

    _name = "microsaas.domain"
    _description = "Own domain of an instance"
    _order = "id"

    name = fields.Char("Domain", required=True, help="In lower case; what is not ASCII is stored as DNS has it.")
    instance_id = fields.Many2one(
        "odoo.docker.instance", "Instance", required=True, ondelete="cascade", index=True
    )
    state = fields.Selection(
        [("pending", "Pending"), ("verified", "Verified"), ("failed", "Failed")],
        default="pending",
        required=True,
        readonly=True,
        copy=False,
    )
    reason = fields.Char(readonly=True, copy=False, help="One word for what is wrong with it.")
    detail = fields.Char(readonly=True, copy=False, help="What it is about: the addresses found.")
    message = fields.Char("What is going on", compute="_compute_message")
    token = fields.Char(
        readonly=True,
        copy=False,
        groups="micro_saas.group_microsaas_user",
        help="What the door answers under this name, and what its TXT record says.",
    )
    dns = fields.Char("What DNS must say", compute="_compute_dns", compute_sudo=True, groups="base.group_user")
    checked_at = fields.Datetime("Last checked", readonly=True, copy=False)
    failing_since = fields.Datetime("Not in order since", readonly=True, copy=False)
    certificate_until = fields.Datetime("Certificate until", readonly=True, copy=False)

    if version_info[0] >= 19:
        _name_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("name_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def init(self):
        super().init()
        # The door serves a domain for one instance.
        self.env.cr.execute(
            """CREATE UNIQUE INDEX IF NOT EXISTS microsaas_domain_verified_uniq
                   ON microsaas_domain (name) WHERE state = 'verified'"""
        )

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("state", "reason", "detail")
    @api.depends_context("lang")
    def _compute_message(self):
        for domain in self:
            domain.message = domain._sentence()

    def _sentence(self):
        """Return what is going on with a domain, as a sentence in the reader's language."""
        _, detail = self.env._, self.detail or ""
        trouble = {
            "DomainNotFound": _("DNS does not know this name yet. Your DNS provider may take some hours."),
            "DomainElsewhere": _("It leads to another server: %s.", detail or "–"),
            "DomainUnproven": self._unproven_sentence(),
            "DomainUnreachable": _("It leads here, but nothing could be reached under it."),
            "DomainAnswersWrong": _("Somebody else answers under this name: it leads to another server in between."),
            "DomainStoppedLeadingHere": _("It does not lead here any more, so your Odoo does not answer there."),
        }.get(self.reason, "")
        if self.state == "verified":
            return trouble or _("It leads here.")
        return trouble or _("It is about to be checked.")

    def _unproven_sentence(self):
        _ = self.env._
        if self._of_another():
            return _("It leads here, but it is or was lately another customer's: only the TXT record proves that it is yours.")
        return _("It leads here, but DNS does not say yet that it is yours: enter the records as they are written.")

    @api.depends("name", "token", "instance_id.subdomain")
    @api.depends_context("lang")
    def _compute_dns(self):
        either = self.env._("or")
        for domain in self:
            choices = [
                ", ".join(f"{record['name']} {record['type']} {record['value']}" for record in records)
                for records in domain._dns_choices()
            ]
            domain.dns = f" {either} ".join(choices)

    # -- create, delete ----------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Enter domains; the sidecar begins to check them.

        :raise UserError: a sentence saying why this can be no domain of this instance
        """
        self.env.flush_all()
        try:
            # A savepoint that flushes would also run what waits for the end of the transaction.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint(flush=False):
                domains = super().create(vals_list)
                self.env.flush_all()
        except UniqueViolation:
            # Somebody else has entered it for the same instance since it was looked for.
            self.env.transaction.clear()
            raise UserError(self.env._("This domain has been entered at the same moment. Reload the page.")) from None
        for domain in domains.sudo():  # who enters a domain need not know it
            domain.token = secrets.token_hex(16)
        domains.instance_id._check_not_removed()
        for instance in domains.instance_id:
            if len(instance.domain_ids) > MOST:
                raise UserError(self.env._("An instance has at most %s domains of its own.", MOST))
        domains.sudo().instance_id._wish_changed(only_names=True)
        return domains

    def _add_server_vals(self, vals):
        """Give the name as DNS has it."""
        vals = super()._add_server_vals(vals)
        instance = self.env["odoo.docker.instance"].browse(vals.get("instance_id") or [])
        instance.check_access("write")
        if instance.staging_of_id:
            raise UserError(self.env._("“%s” is a staging copy: it has no domains of its own.", instance.name))
        name = checked_domain(self.env, vals.get("name"), own_domains(self.env))
        self._check_free(name, instance)
        return {"name": name, "instance_id": instance.id}

    @api.model
    def _check_free(self, name, instance):
        """Refuse a domain that this customer has already. Another customer's is theirs to prove: DNS decides.

        :raise UserError: it is in use
        """
        for known in self.sudo().search([("name", "=", name)]):
            if known._data_are_gone():
                continue
            if known.instance_id == instance:
                raise UserError(self.env._("“%s” is in use already.", name))
            if known._customer() and known._customer() == instance.sudo().partner_id.commercial_partner_id:
                raise UserError(
                    self.env._(
                        "“%(domain)s” is a domain of “%(instance)s” already: remove it there first.",
                        domain=known._shown(),
                        instance=known.instance_id.name,
                    )
                )

    def unlink(self):
        instances = self.sudo().instance_id
        self.env["microsaas.former.domain"].sudo()._remember(self.sudo().filtered(lambda one: one._is_held()))
        result = super().unlink()
        instances.exists()._wish_changed(only_names=True)
        return result

    @api.autovacuum
    def _drop_unverified(self):
        """Drop what was entered a week ago and never verified: nobody looks at it any more."""
        self.search([("state", "=", "pending"), ("create_date", "<", fields.Datetime.now() - TRIED)]).unlink()

    # -- whose a domain is -------------------------------------------------------------------------

    def _customer(self):
        """Return whose instance a domain is entered for; empty for none's."""
        return self.instance_id.partner_id.commercial_partner_id

    def _data_are_gone(self):
        return bool(self.instance_id.subscription_ids.filtered("data_removed_at"))

    def _is_held(self):
        """Tell whether it is its customer's: verified, or until 30 days ago. Another one then needs the TXT record."""
        if self.state == "pending":
            return False
        gone = self.instance_id.subscription_ids.filtered("data_removed_at")[:1].data_removed_at
        over = gone or (self.state == "failed" and self.failing_since)
        return not over or over > fields.Datetime.now() - KEPT

    def _of_another(self):
        """Return those of these domains that are or were lately another customer's."""
        domains = self.sudo()
        names = domains.mapped("name")
        rivals = domains.search([("name", "in", names), ("state", "!=", "pending")])
        former = self.env["microsaas.former.domain"].sudo()._lately(names)
        found = self.browse()
        for domain in domains:
            customer = domain._customer()
            holders = [one._customer() for one in rivals if one.name == domain.name and one != domain and one._is_held()]
            holders += [one.partner_id for one in former if one.name == domain.name]
            if any(not customer or holder != customer for holder in holders):
                found |= domain
        return found

    def _take_from_others(self, proof):
        """This one's DNS names its customer: whoever had the domain has it no more, and their instances' people read so.

        :param proof: "txt" also ends what others have entered and not proven
        """
        others = self.search([("name", "=", self.name), ("id", "!=", self.id)])
        had = others.filtered(lambda one: one.state != "pending")
        for instance in had.instance_id:
            instance._quiet().message_post(
                body=self.env._("“%s” is another instance's now: its DNS says so.", self._shown())
            )
        (others if proof == "txt" else had).unlink()
        self.env["microsaas.former.domain"].search([("name", "=", self.name)]).unlink()
        self.env.flush_all()

    # -- what people read --------------------------------------------------------------------------

    def _shown(self):
        """Return the domain as its owner writes it, with its own letters."""
        return shown_domain(self.name)

    def _dns_choices(self):
        """Return what DNS must say, each of these alone: lists of records, dicts of `type`, `name` and `value`.

        A domain without a label in front (`example.com`) can have no CNAME. One that was another customer's until lately
        needs the TXT record in any case. Call it with sudo.
        """
        self.ensure_one()
        target = address_of(self.env, self.instance_id.subdomain)
        if not target:
            return []
        cname = [{"type": "CNAME", "name": self.name, "value": target}]
        addresses = [
            {"type": "AAAA" if ":" in one else "A", "name": self.name, "value": one} for one in door_addresses(self.env)
        ]
        txt = [{"type": "TXT", "name": f"{PROOF_LABEL}.{self.name}", "value": self.token}]
        if not addresses:
            addresses = [{"type": "A", "name": self.name, "value": self.env._("the address of %s", target)}]
        return [cname + txt if self._of_another() else cname, addresses + txt]

    def _tried_until(self):
        """Return the last day on which it is looked at without having been verified, in the reader's format."""
        return format_date(self.env, self.create_date + TRIED)

    # -- what the sidecar reads and reports ----------------------------------------------------------

    @api.model
    def _of_instances(self, instance_ids):
        """Return `{instance id: [domains]}`, each domain as in `microsaas_desired`, in the customer's order."""
        self.flush_model()
        rows = self.env.execute_query(
            SQL(
                """SELECT instance_id, id, name, state = 'verified', COALESCE(certificate_until > %s, FALSE), token
                     FROM microsaas_domain WHERE instance_id = ANY(%s) ORDER BY id""",
                fields.Datetime.now(),
                list(instance_ids),
            )
        )
        found = {}
        for instance_id, number, name, verified, certified, token in rows:
            domain = {"id": number, "name": name, "verified": verified, "certified": certified, "token": token}
            found.setdefault(instance_id, []).append(domain)
        return found

    def _to_check(self):
        """Return these domains, of instances that have data, as the sidecar checks them; see `microsaas_domains`."""
        domains = self.exists().filtered(lambda one: not one._data_are_gone())
        of_another = domains._of_another()
        former = self.env["microsaas.subdomain"]._redirecting(domains.instance_id.ids)
        return [
            {
                "id": domain.id,
                "instance_id": domain.instance_id.id,
                "name": domain.name,
                "token": domain.token,
                "cnames": [] if domain in of_another else [
                    address_of(self.env, label)
                    for label in (domain.instance_id.subdomain, *former.get(domain.instance_id.id, ()))
                    if label
                ],
                "state": domain.state,
                "reason": domain.reason or "",
                "created_at": fields.Datetime.to_string(domain.create_date),
                "checked_at": fields.Datetime.to_string(domain.checked_at) or "",
                "failing_since": fields.Datetime.to_string(domain.failing_since) or "",
                "certificate_until": fields.Datetime.to_string(domain.certificate_until) or "",
            }
            for domain in domains
        ]

    def _apply_report(self, state, reason, detail, certificate_until, proof):
        """Write what the sidecar saw of a domain; see `microsaas_report_domain`."""
        if state == "verified" and not self._is_proven(proof):
            state, reason, detail, certificate_until = "pending", "DomainUnproven", "", False
        now, before = fields.Datetime.now(), (self.state == "verified", bool(self.certificate_until))
        values = {
            "state": state,
            "reason": reason,
            "detail": detail,
            "checked_at": now,
            "failing_since": (self.failing_since or now) if reason else False,
            "certificate_until": fields.Datetime.to_datetime(certificate_until or False),
        }
        write_changed(self, values)
        # The address of the instance is the first verified one that has a certificate.
        if before != (self.state == "verified", bool(self.certificate_until)):
            self.instance_id._make_due()
            self.instance_id._nudge()

    def _is_proven(self, proof):
        """Tell whether a domain that leads here is this instance's. Then it is nobody else's any more.

        :param proof: "txt", "cname", or "": none now, which one that was verified may be without for a while
        """
        if not proof:
            return self.state == "verified"
        if proof != "txt" and self._of_another():
            return False
        if proof == "txt" or self.state != "verified":
            self._take_from_others(proof)
        return True
