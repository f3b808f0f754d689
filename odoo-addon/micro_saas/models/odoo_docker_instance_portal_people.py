"""Who of a company may do what with its instance in the portal, and who decides that."""

from odoo import fields, models
from odoo.exceptions import UserError

RANKS = ("administer", "act", "look")


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    acting_ids = fields.Many2many(
        "res.partner",
        "microsaas_instance_acting_rel",
        "instance_id",
        "partner_id",
        "May act in the portal",
        copy=False,
        groups="base.group_user",
        help="People of the customer's company who may restart, renew and rename it, change its plan and cancel it, beside who ordered"
        " it and the company's contacts for invoices. Its administrator chooses them in the portal.",
    )

    def _may_act(self, user):
        person, customer = user.partner_id, self.partner_id.commercial_partner_id
        # Whoever has left the company has left this too.
        is_chosen = person in self.acting_ids and person.commercial_partner_id == customer
        return is_chosen or super()._may_act(user)

    def _portal_people(self, user):
        """Return who of the customer's company has an account here, and what each may do.

        Call it with sudo. Colleagues learn of each other only where they may act themselves.

        :return: list of dict of `person`, `may` (`administer`, `act` or `look`) and `is_chosen` (the administrator may
            take it back), who may do most first
        """
        self.ensure_one()
        if not self._may_act(user):
            return []
        company = self.partner_id.commercial_partner_id
        accounts = self.env["res.users"].search([("partner_id", "child_of", company.ids)], order="name, id")
        rows = [
            {"person": one.partner_id, "may": self._may_of(one), "is_chosen": one.partner_id in self.acting_ids}
            for one in accounts
        ]
        return sorted(rows, key=lambda row: RANKS.index(row["may"]))

    def _may_of(self, user):
        if self._is_administered_by(user):
            return "administer"
        return "act" if self._may_act(user) else "look"

    def _let_act(self, user, person_id, may_act):
        """Let somebody of the customer's company act for the instance in the portal, or only look again. Call it with sudo.

        :param user: who decides it: its administrator, or the company's own login
        :raise UserError: somebody else decides it, or it is nobody of the company
        """
        self.ensure_one()
        if not self._is_administered_by(user):
            raise UserError(self.env._("Who may act is decided by %s.", self._administrator().display_name))
        people = self.env["res.users"].search(
            [("partner_id", "child_of", self.partner_id.commercial_partner_id.ids), ("partner_id", "=", person_id)]
        ).partner_id
        if not people:
            raise UserError(self.env._("This person has no account of your company."))
        self._quiet().acting_ids = self.acting_ids | people if may_act else self.acting_ids - people
        office = self.with_context(lang=self.company_id.partner_id.lang).env
        self._note_for_customer("let_act", user.name)
        names = {"user": user.name, "person": people.name}
        if may_act:
            body = office._("%(user)s lets %(person)s act in the portal.", **names)
        else:
            body = office._("%(user)s lets %(person)s only look in the portal.", **names)
        self._message_log(body=body)
