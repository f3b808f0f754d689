"""Domains that were a customer's until lately."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.release import version_info
from odoo.tools import SQL

from .by_hand import ByHand

UNIQUE = "UNIQUE(name)"
UNIQUE_MESSAGE = "This domain is kept already."
# So long a domain stays its former customer's: its DNS may lead here on, which proves nothing.
KEPT = timedelta(days=30)


class MicrosaasFormerDomain(ByHand, models.Model):
    """A domain that was removed from a customer's instance: for a while another one has it only by a TXT record."""

    _name = "microsaas.former.domain"
    _description = "Former domain of a customer"
    _order = "id"

    name = fields.Char("Domain", required=True, readonly=True)
    partner_id = fields.Many2one("res.partner", "Customer", required=True, readonly=True, ondelete="cascade", index=True)
    removed_at = fields.Datetime("Removed at", required=True, readonly=True)

    if version_info[0] >= 19:
        _name_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("name_uniq", UNIQUE, UNIQUE_MESSAGE)]

    @api.model
    def _remember(self, domains):
        """Keep whose domains were that are about to be deleted."""
        for domain in domains:
            customer = domain._customer()
            if customer:
                self.env.cr.execute(
                    SQL(
                        """INSERT INTO microsaas_former_domain (name, partner_id, removed_at) VALUES (%s, %s, %s)
                               ON CONFLICT (name) DO UPDATE
                               SET partner_id = excluded.partner_id, removed_at = excluded.removed_at""",
                        domain.name,
                        customer.id,
                        fields.Datetime.now(),
                    )
                )
        self.invalidate_model()

    @api.model
    def _lately(self, names):
        """Return what is kept of these domains."""
        return self.search([("name", "in", names), ("removed_at", ">", fields.Datetime.now() - KEPT)])

    @api.autovacuum
    def _forget(self):
        """Drop what is kept no longer."""
        self.search([("removed_at", "<=", fields.Datetime.now() - KEPT)]).unlink()
