"""How people get into an instance's own Odoo without its password: by a link of the sidecar's that works once (ADR 21).

Nothing of it is kept here: the link goes to the browser that has asked for it. Who was let in stands in the chatter.
"""

from calendar import timegm

from odoo import models
from odoo.exceptions import UserError

from .door import door_domain


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def _opens_as(self, user):
        """Return the login as which a portal user may open the instance's Odoo: their own in it; empty for who may not.

        That is who administers it and could set that password too, and signs in here with that same login: the e-mail address of
        their contact they write themselves, and could write a colleague's. Without a door nobody may: on the same host as this Odoo,
        the cookie of the one would take the place of the other's.
        """
        self.ensure_one()
        if not (door_domain(self.env) and self._may_set_password(user)):
            return ""
        person = user.partner_id
        login = self._login() if person == self._administrator() else person._microsaas_email()
        return login if login == user.login.lower() else ""

    def _open_by_customer(self, user, login):
        """Return a one-time link that logs a portal user in to the instance's Odoo as themselves. Call it with sudo.

        :param login: as `_opens_as` has it
        :raise UserError: they have no such user there, or one whom a password alone does not let in; try again, or wait
        """
        self.ensure_one()
        link = self._login_link(login)
        self._note_opened(user.name)
        office = self.with_context(lang=self.company_id.partner_id.lang).env
        self._message_log(
            body=office._("%(user)s opened it from the portal, as “%(login)s”.", user=user.name, login=login),
            author_id=user.partner_id.id,
        )
        return link

    def _login_link(self, login, ends_at=None):
        """Return a one-time link that logs a user in to the instance's Odoo.

        :param login: theirs in that Odoo
        :param ends_at: until when the session lasts at most, in UTC; the sidecar ends it within two hours. None: it ends as any
            other does
        :raise UserError: it has no such user, or one whom a password alone does not let in; try again, or wait
        """
        payload = {"instance": self.id, "login": login, "ends_at": ends_at and timegm(ends_at.timetuple())}
        link = self._one_time_link("logins", payload)
        if not link:
            raise UserError(
                self.env._(
                    "This Odoo does not let “%s” in from here: it has no such user, or one who signs in with more than a"
                    " password. Open its address and sign in there.",
                    login,
                )
            )
        return link

    def _note_opened(self, who):
        # The last time of each person is enough: who opens it every morning is not to push all else out.
        others = [line for line in self.portal_history or [] if (line["what"], line["who"]) != ("opened", who)]
        self._quiet().portal_history = others
        self._note_for_customer("opened", who)
