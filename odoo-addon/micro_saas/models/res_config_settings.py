from urllib.parse import urlsplit

import requests

from odoo import Command, api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from .nudge import post
from .settings import PORT_RANGES, SIDECAR_GROUP, in_payment_is_paid, port_range
from .webhook_secrets import forget_earlier, is_rotating, make_secret, sidecar_url, webhook_secrets

BOT_LOGIN = "microsaas-sidecar"
# A nudge about nothing.
NOTHING = {"model": "account.move", "ids": []}


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    microsaas_sidecar_url = fields.Char(
        "Sidecar's address", config_parameter="microsaas.sidecar_url"
    )
    # Never the secret itself: what a settings field holds, `default_get` gives to whoever asks.
    microsaas_webhook_secret_set = fields.Boolean("Webhook secret", readonly=True)
    microsaas_webhook_rotating = fields.Boolean("The sidecar has an earlier secret", readonly=True)
    microsaas_operator_id = fields.Many2one(
        "res.users",
        "Operator",
        config_parameter="microsaas.operator_id",
        domain=[("share", "=", False)],
        help="Told of instances in error, of mails that did not leave and of a sidecar that is silent.",
    )
    microsaas_no_mail_server = fields.Boolean("No outgoing mail server", readonly=True)
    microsaas_sidecar_silence = fields.Char("Nothing heard of the sidecar", readonly=True)
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

    @api.model
    def default_get(self, fields):
        """Nobody but an administrator reads our settings: Odoo fetches them with sudo, whoever asks."""
        values = super().default_get(fields)
        if self._microsaas_is_admin():
            return values
        return {name: value for name, value in values.items() if not name.startswith("microsaas_")}

    def get_values(self):
        values = super().get_values()
        if not self._microsaas_is_admin():
            return values
        values["microsaas_webhook_secret_set"] = bool(webhook_secrets(self.env))
        values["microsaas_webhook_rotating"] = is_rotating(self.env)
        values["microsaas_no_mail_server"] = self.env["ir.mail_server"]._microsaas_is_missing()
        values["microsaas_sidecar_silence"] = self.env["microsaas.sidecar"]._silence_sentence()
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
        url, secrets = self.microsaas_sidecar_url, webhook_secrets(self.env)
        if not (url and secrets):
            raise UserError(
                self.env._("Fill in the sidecar's address and press “Connect a sidecar” first.")
            )
        try:
            # With the newest alone: an earlier one must not hide that the sidecar does not have it.
            status = post(url, secrets[:1], NOTHING).status_code
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
                    "The sidecar refuses the signature: its webhook secret is another one. Press “Make a new"
                    " secret”, put it into the sidecar's configuration, restart it, and compare both clocks."
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
        forget_earlier(self.env)
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {"type": "success", "message": self.env._("The sidecar answers.")},
        }

    def action_microsaas_connect(self):
        """Show, once, what a sidecar needs to connect.

        :return: an act_window of `microsaas.connect`
        """
        return self._microsaas_show_once(self.env._("Connect a sidecar"), self.microsaas_connect())

    def action_microsaas_new_secret(self):
        """Make a new webhook secret and show it, once. The earlier one works until the sidecar has the new one.

        :return: an act_window of `microsaas.connect`
        """
        self._microsaas_check_admin()
        return self._microsaas_show_once(
            self.env._("New webhook secret"), {"webhook_secret": make_secret(self.env)}
        )

    def _microsaas_show_once(self, title, values):
        return {
            "type": "ir.actions.act_window",
            "name": title,
            "res_model": "microsaas.connect",
            "view_mode": "form",
            "views": [(False, "form")],
            "target": "new",
            "context": {f"default_{name}": value for name, value in values.items()},
        }

    @api.model
    def microsaas_connect(self):
        """Prepare the sidecar's user, and make a new API key for it and a new webhook secret.

        Earlier keys and secrets stay valid, so a running sidecar is not cut off before it has the new ones.

        :return: dict of `login`, `api_key`, `webhook_secret`, `database`
        :raise AccessError: the user is not a system administrator
        """
        self._microsaas_check_admin()
        bot = self._microsaas_bot()
        # sudo: only then may a key live without an end, which an unattended daemon needs.
        api_keys = self.env["res.users.apikeys"].with_user(bot).sudo()
        return {
            "login": bot.login,
            "api_key": api_keys._generate(None, "MicroSaaS sidecar", None),
            "webhook_secret": make_secret(self.env),
            "database": self.env.cr.dbname,
        }

    @api.model
    def _microsaas_try_newest_secret(self):
        """Forget the earlier secrets as soon as the sidecar accepts the newest one alone."""
        url, secrets = sidecar_url(self.env), webhook_secrets(self.env)
        if not (url and is_rotating(self.env)):
            return
        try:
            if post(url, secrets[:1], NOTHING).status_code == 202:
                forget_earlier(self.env)
        except (ValueError, requests.RequestException):
            return  # away, or not set up rightly: the earlier ones go on counting

    def _microsaas_bot(self):
        """Return the sidecar's user: internal, without a password, with the sidecar's rights only."""
        users = self.env["res.users"].sudo().with_context(active_test=False, no_reset_password=True)
        bot = users.search([("login", "=", BOT_LOGIN)])
        groups = "group_ids" if "group_ids" in users._fields else "groups_id"  # 19, 18
        vals = {"active": True, groups: [Command.set(self.env.ref(SIDECAR_GROUP).ids)]}
        if bot:
            bot.write(vals)
        bot = bot or users.create({"name": "MicroSaaS sidecar", "login": BOT_LOGIN, **vals})
        # Odoo sends nothing in the name of somebody without an address.
        bot.email = bot.email or self.env.company.email or f"{BOT_LOGIN}@{self._microsaas_host()}"
        return bot

    def _microsaas_host(self):
        return urlsplit(self.get_base_url()).hostname or "localhost"

    def _microsaas_is_admin(self):
        return self.env.su or self.env.user.has_group("base.group_system")

    def _microsaas_check_admin(self):
        if not self._microsaas_is_admin():
            raise AccessError(self.env._("Only an administrator sets up the sidecar."))
