"""Whether the sidecar is alive, as Odoo sees it: when it last asked what is due, and who is told when it stops asking."""

import time
from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL, format_datetime

from .alerts import close_activities, person_for, raise_activity
from .by_hand import ByHand
from .door import keep_door
from .settings import port_range
from .values import seconds_of

ACTIVITY = "micro_saas.mail_activity_type_trouble"
# The sidecar asks twice a minute; what it writes down is at most one tiny row a minute.
NOTED_EVERY = timedelta(minutes=1)
SILENT_AFTER = timedelta(minutes=5)


class MicrosaasSidecar(ByHand, models.Model):
    """The sidecar that serves this database: one record."""

    _name = "microsaas.sidecar"
    _description = "Sidecar"
    _inherit = ["mail.thread", "mail.activity.mixin"]

    name = fields.Char(required=True, readonly=True, default="Sidecar")
    heard_at = fields.Datetime("Last heard of", readonly=True, help="To the minute.")
    heard_in = fields.Char("Database that it works for", readonly=True, help="Its database.uuid: a duplicate has another one.")
    alerted_at = fields.Datetime("Told people", readonly=True, help="That nothing is heard of it.")
    backups_reported_on = fields.Date(
        "Reported the backups", readonly=True, help="The last day on which the operator was told of the night's backups."
    )

    @api.model
    def _introduce(self, install_id, door):
        """Keep the first sidecar's install id, and return what each one learns of this database; see `microsaas_hello`."""
        params = self.env["ir.config_parameter"].sudo()
        # A sidecar that works for another database says nothing about this one's door.
        if door is not None and params.get_param("microsaas.install_id", install_id) == install_id:
            keep_door(self.env, door)
        if not params.get_param("microsaas.install_id"):
            params.set_param("microsaas.install_id", install_id)
        company = self.env.company.sudo()
        addon = self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])
        return {
            "install_id": params.get_param("microsaas.install_id"),
            "addon_version": addon.latest_version or "",
            "http_ports": list(port_range(self.env, "http_port")),
            "longpolling_ports": list(port_range(self.env, "longpolling_port")),
            "has_mail_server": not self.env["ir.mail_server"]._microsaas_is_missing(),
            "has_company_email": bool(company.email or company.catchall_email),
            "failed_mails": self.env["microsaas.notice"].sudo().search_count([("mail_id.state", "=", "exception")]),
            "cron_at": seconds_of(self.env.ref("micro_saas.cron_watch").sudo().lastcall),
            "heard_at": seconds_of(self._one().heard_at),
            "now": time.time(),
            "database_uuid": params.get_param("database.uuid") or "",
            **self.env["microsaas.manager.history"]._last_numbers(),
        }

    @api.model
    def _hear(self):
        """Note that the sidecar has asked something. Writes at most once a minute, and then one row."""
        now, database = fields.Datetime.now(), self._database()
        heard = self.env.execute_query(
            SQL(
                """UPDATE microsaas_sidecar SET heard_at = %s, heard_in = %s
                    WHERE heard_at IS NULL OR heard_at < %s OR heard_in IS DISTINCT FROM %s RETURNING id, alerted_at""",
                now,
                database,
                now - NOTED_EVERY,
                database,
            )
        )
        self.invalidate_model(["heard_at", "heard_in"])
        for sidecar_id, alerted_at in heard:
            if alerted_at:
                self.sudo().browse(sidecar_id)._is_back()

    def _is_back(self):
        self.alerted_at = False
        close_activities(self, ACTIVITY, self.env._("The sidecar is heard of again."))

    @api.model
    def _one(self):
        return self.sudo().search([], limit=1)

    @api.model
    def _database(self):
        return self.env["ir.config_parameter"].sudo().get_param("database.uuid") or ""

    def _is_heard_of(self):
        """Tell whether a sidecar works for this database now: not for the one that this is a duplicate of."""
        return bool(self.heard_at) and not self._is_silent() and self.heard_in == self._database()

    def _is_silent(self):
        """Tell whether the sidecar was heard of once and is no more."""
        return bool(self.heard_at and self.heard_at < fields.Datetime.now() - SILENT_AFTER)

    @api.model
    def _silence_sentence(self):
        """Return a sentence for people of the office while nothing is heard of the sidecar; else empty."""
        sidecar = self._one()
        if not sidecar._is_silent():
            return ""
        return self.env._(
            "The sidecar has not been heard of since %s: nothing is created, started or stopped until it runs again.",
            format_datetime(self.env, sidecar.heard_at, dt_format="short"),
        )

    @api.model
    def _people_know_of_silence(self):
        """Tell whether the sidecar is silent and somebody was told so."""
        sidecar = self._one()
        return bool(sidecar.alerted_at) and sidecar._is_silent()

    @api.model
    def _cron_watch(self):
        """Tell the operator, once, when nothing is heard of the sidecar; and see to all other trouble that has lasted."""
        sidecar = self._one()
        if sidecar._is_silent():
            if not sidecar.alerted_at and raise_activity(
                sidecar,
                ACTIVITY,
                person_for(self.env, is_technical=True),
                self.env._("The sidecar is silent"),
                self._silence_sentence(),
            ):
                sidecar.alerted_at = fields.Datetime.now()
        elif sidecar.alerted_at:
            sidecar._is_back()
        self.env["odoo.docker.instance"]._alert_lasting_errors()
        self.env["odoo.docker.instance"]._remove_over_stagings()
        self.env["microsaas.limit"]._review_known()
        self.env["microsaas.rollout"]._advance()
        self.env["microsaas.notice"]._alert_failed_mails()
        self.env["res.config.settings"]._microsaas_try_newest_secret()
