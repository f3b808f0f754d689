import base64
import secrets

import requests

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from .nudge import post
from .sidecar import PORT_RANGES, SIDECAR_GROUP, in_payment_is_paid, port_range

BOT_LOGIN = "microsaas-sidecar"


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    microsaas_sidecar_url = fields.Char(
        "Sidecar's address", config_parameter="microsaas.sidecar_url"
    )
    microsaas_webhook_secret = fields.Char(
        "Webhook secret", config_parameter="microsaas.webhook_secret"
    )
    microsaas_http_port_first = fields.Integer("First HTTP port")
    microsaas_http_port_last = fields.Integer("Last HTTP port")
    microsaas_longpolling_port_first = fields.Integer("First longpolling port")
    microsaas_longpolling_port_last = fields.Integer("Last longpolling port")
    microsaas_in_payment_is_paid = fields.Boolean("In payment counts as paid")
    microsaas_tz = fields.Selection(related="company_id.microsaas_tz", readonly=False)
    microsaas_notice_days = fields.Integer(related="company_id.microsaas_notice_days", readonly=False)
    microsaas_grace_days = fields.Integer(related="company_id.microsaas_grace_days", readonly=False)
    microsaas_retention_days = fields.Integer(related="company_id.microsaas_retention_days", readonly=False)
    microsaas_final_notice_days = fields.Integer(
        related="company_id.microsaas_final_notice_days", readonly=False
    )
    microsaas_reconsider_hours = fields.Integer(
        related="company_id.microsaas_reconsider_hours", readonly=False
    )

    def get_values(self):
        values = super().get_values()
        values["microsaas_in_payment_is_paid"] = in_payment_is_paid(self.env)
        for field in PORT_RANGES:
            first, last = port_range(self.env, field)
            values |= {f"microsaas_{field}_first": first, f"microsaas_{field}_last": last}
        return values

    def set_values(self):
        super().set_values()
        # By hand: a `config_parameter` field stores False and 0 as "not set", which here means the default.
        params = self.env["ir.config_parameter"].sudo()
        if self.microsaas_in_payment_is_paid != in_payment_is_paid(self.env):
            params.set_param("microsaas.in_payment_is_paid", str(self.microsaas_in_payment_is_paid))
            self.env["odoo.docker.instance"]._review_all()
        self._microsaas_check_ranges()
        for field in PORT_RANGES:
            for end in ("first", "last"):
                params.set_param(f"microsaas.{field}_{end}", self[f"microsaas_{field}_{end}"])

    def _microsaas_check_ranges(self):
        ranges = [
            range(self[f"microsaas_{field}_first"], self[f"microsaas_{field}_last"] + 1)
            for field in PORT_RANGES
        ]
        if any(not ports or ports[0] < 1024 or ports[-1] > 65535 for ports in ranges):
            raise ValidationError(
                self.env._("A range of ports goes upwards and lies between 1024 and 65535.")
            )
        if set(ranges[0]) & set(ranges[1]):
            raise ValidationError(
                self.env._("The HTTP ports and the longpolling ports must not overlap.")
            )

    def action_microsaas_test(self):
        """Send one signed nudge about nothing and say what came back.

        :return: a notification
        :raise UserError: the cause, and what to do about it
        """
        self._microsaas_check_admin()
        url, secret = self.microsaas_sidecar_url, self.microsaas_webhook_secret
        if not (url and secret):
            raise UserError(self.env._("Fill in the sidecar's address and the secret first."))
        try:
            status = post(url, secret, "account.move", []).status_code
        except ValueError as error:  # requests' own errors for a bad URL are ValueErrors too
            raise UserError(
                self.env._(
                    "The address or the secret is malformed: %s. An address looks like"
                    " http://sidecar:8471/webhooks/odoo, a secret like whsec_ and base64.",
                    error,
                )
            ) from error
        except requests.RequestException as error:
            raise UserError(
                self.env._(
                    "The sidecar does not answer at %s. Check that it runs and that this server"
                    " reaches that address.",
                    url,
                )
            ) from error
        if status == 401:
            raise UserError(
                self.env._(
                    "The sidecar refuses the signature: its webhook secret is another one. Copy the"
                    " same secret to both sides and compare both clocks."
                )
            )
        if status != 202:
            raise UserError(
                self.env._(
                    "%(url)s answers %(status)s instead of 202. Is it the sidecar's address?",
                    url=url,
                    status=status,
                )
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": "success", "message": self.env._("The sidecar answers.")},
        }

    def action_microsaas_connect(self):
        """Show, once, what a sidecar needs to connect.

        :return: an act_window of `microsaas.connect`
        """
        values = self.microsaas_connect()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Connect a sidecar"),
            "res_model": "microsaas.connect",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {f"default_{name}": value for name, value in values.items()},
        }

    @api.model
    def microsaas_connect(self):
        """Prepare the sidecar's user, a new API key for it and, where missing, the webhook secret.

        Earlier keys stay valid, so a running sidecar is not cut off before it has the new one.

        :return: dict of `login`, `api_key`, `webhook_secret`, `database`
        :raise AccessError: the user is not a system administrator
        """
        self._microsaas_check_admin()
        params = self.env["ir.config_parameter"].sudo()
        if not params.get_param("microsaas.webhook_secret"):
            secret = base64.b64encode(secrets.token_bytes(32)).decode()
            params.set_param("microsaas.webhook_secret", f"whsec_{secret}")
        bot = self._microsaas_bot()
        # sudo: only then may a key live without an end, which an unattended daemon needs.
        api_keys = self.env["res.users.apikeys"].with_user(bot).sudo()
        return {
            "login": bot.login,
            "api_key": api_keys._generate(None, "MicroSaaS sidecar", None),
            "webhook_secret": params.get_param("microsaas.webhook_secret"),
            "database": self.env.cr.dbname,
        }

    def _microsaas_bot(self):
        """Return the sidecar's user: internal, without a password, with the sidecar's rights only."""
        users = self.env["res.users"].sudo().with_context(active_test=False, no_reset_password=True)
        bot = users.search([("login", "=", BOT_LOGIN)])
        groups = "group_ids" if "group_ids" in users._fields else "groups_id"  # 19, 18
        vals = {"active": True, groups: [Command.set(self.env.ref(SIDECAR_GROUP).ids)]}
        if bot:
            bot.write(vals)
        return bot or users.create({"name": "MicroSaaS sidecar", "login": BOT_LOGIN, **vals})

    def _microsaas_check_admin(self):
        if not (self.env.su or self.env.user.has_group("base.group_system")):
            raise AccessError(self.env._("Only an administrator sets up the sidecar."))
