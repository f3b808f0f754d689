"""The people of an instance: who ordered it and administers it, whose company it is, who may act for them."""

from odoo import fields, models
from odoo.tools import email_normalize_all


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    ordered_by_id = fields.Many2one(
        "res.partner",
        "Ordered by",
        index="btree_not_null",
        copy=False,
        help="The person who is its administrator and gets its first login. The customer is who is invoiced.",
    )

    def _administrator(self):
        """Return the person who logs in first: who ordered it, else who is invoiced; the first with an e-mail address."""
        people = self.ordered_by_id | self.partner_id | self.partner_id.commercial_partner_id
        return people.filtered(lambda one: one._microsaas_email())[:1] or people[:1]

    def _login(self):
        """Return the administrator's login; `admin` for want of an e-mail address, as the sidecar has it."""
        return self._administrator()._microsaas_email() or "admin"

    def _may_be_managed_by(self, user):
        """Tell whether a portal user may restart and renew it: for its company, not merely of its company.

        That is who ordered it, who is invoiced, the company's own login, and its contacts for invoices.
        """
        person, customer = user.partner_id, self.partner_id.commercial_partner_id
        if person in self.ordered_by_id | self.partner_id | customer | self._ordering_person():
            return True
        return person.type == "invoice" and person.commercial_partner_id == customer

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


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _microsaas_email(self):
        """Return one address in lower case, as a login is written; empty for none. The field may hold several."""
        return next(iter(email_normalize_all(self.email or "")), "")
