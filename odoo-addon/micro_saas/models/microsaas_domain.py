"""Customers' own domains: entered here, verified by the sidecar, and served by the door once they are."""

import secrets
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.release import version_info
from odoo.tools import SQL

from .by_hand import ByHand
from .domain_names import checked_domain
from .door import own_domains
from .values import write_changed

UNIQUE = "UNIQUE(name)"
UNIQUE_MESSAGE = "This domain is in use already."
# Each is looked at by the sidecar again and again, and each verified one gets a certificate.
MOST = 10
# So long a domain that does not lead here keeps off another customer, whose it may be.
KEPT_UNVERIFIED = timedelta(days=3)


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
        groups="micro_saas.group_microsaas_manager",
        help="What the door answers under this name alone.",
    )
    checked_at = fields.Datetime("Last checked", readonly=True, copy=False)
    failing_since = fields.Datetime("Not in order since", readonly=True, copy=False)
    certificate_until = fields.Datetime("Certificate until", readonly=True, copy=False)

    if version_info[0] >= 19:
        _name_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("name_uniq", UNIQUE, UNIQUE_MESSAGE)]

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
            "DomainUnreachable": _("It leads here, but nothing could be reached under it."),
            "DomainAnswersWrong": _("Somebody else answers under this name: it leads to another server in between."),
            "DomainStoppedLeadingHere": _("It does not lead here any more, so your Odoo does not answer there."),
        }.get(self.reason, "")
        if self.state == "verified":
            return trouble or _("It leads here.")
        return trouble or _("It is about to be checked.")

    # -- create, delete ----------------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Enter domains; the sidecar begins to check them.

        :raise UserError: a sentence saying why this can be no domain of this instance
        """
        domains = super().create(vals_list)
        for domain in domains.sudo():  # who enters a domain need not know it
            domain.token = secrets.token_hex(16)
        domains.instance_id._check_not_removed()
        for instance in domains.instance_id:
            if len(instance.domain_ids) > MOST:
                raise UserError(self.env._("An instance has at most %s domains of its own.", MOST))
        domains.sudo().instance_id._wish_changed()
        return domains

    def _add_server_vals(self, vals):
        """Give the name as DNS has it."""
        vals = super()._add_server_vals(vals)
        instance = self.env["odoo.docker.instance"].browse(vals.get("instance_id") or [])
        instance.check_access("write")
        name = checked_domain(self.env, vals.get("name"), own_domains(self.env))
        self._check_free(name)
        return {"name": name, "instance_id": instance.id}

    @api.model
    def _check_free(self, name):
        """Refuse a domain that is another's, unless it does not lead here: entering a name proves nothing.

        :raise UserError: it is in use
        """
        known = self.sudo().search([("name", "=", name)])
        if known and not known._is_over():
            raise UserError(self.env._("“%s” is in use already.", name))
        known.unlink()
        self.env.flush_all()

    def _is_over(self):
        """Tell whether somebody else may enter this domain, who has it by now: it does not lead here, or to nothing."""
        if self.instance_id.subscription_ids.filtered("data_removed_at"):
            return True
        return self.state != "verified" and self.create_date <= fields.Datetime.now() - KEPT_UNVERIFIED

    def unlink(self):
        instances = self.sudo().instance_id
        result = super().unlink()
        instances.exists()._wish_changed()
        return result

    # -- what people read --------------------------------------------------------------------------

    def _shown(self):
        """Return the domain as its owner writes it, with its own letters."""
        try:
            return self.name.encode("ascii").decode("idna")
        except UnicodeError:
            return self.name

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

    @api.model
    def _to_check(self):
        """Return every domain of an instance that has data, as the sidecar checks it; see `microsaas_domains`."""
        kept = [("instance_id.subscription_ids.data_removed_at", "=", False)]
        domains = self.search(kept, order="checked_at NULLS FIRST, id")
        return [
            {
                "id": domain.id,
                "instance_id": domain.instance_id.id,
                "name": domain.name,
                "token": domain.token,
                "state": domain.state,
                "reason": domain.reason or "",
                "created_at": fields.Datetime.to_string(domain.create_date),
                "checked_at": fields.Datetime.to_string(domain.checked_at) or "",
                "failing_since": fields.Datetime.to_string(domain.failing_since) or "",
                "certificate_until": fields.Datetime.to_string(domain.certificate_until) or "",
            }
            for domain in domains
        ]

    def _apply_report(self, state, reason, detail, certificate_until):
        """Write what the sidecar saw of a domain; see `microsaas_report_domain`."""
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
