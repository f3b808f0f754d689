import json
from unittest.mock import patch

import requests

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import HttpCase, new_test_user, tagged
from odoo.tools import mute_logger

from ..models import res_config_settings
from ..models.webhook_secrets import webhook_secrets
from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestSettings(MicroSaasCommon):
    def setUp(self):
        super().setUp()
        self.settings = self.env["res.config.settings"].with_user(self.env.ref("base.user_admin"))

    def test_connect(self):
        connection = self.settings.microsaas_connect()
        self.assertEqual(connection["login"], "microsaas-sidecar")
        self.assertRegex(connection["webhook_secret"], r"^whsec_[A-Za-z0-9+/]{43}=$")
        uid = self.env["res.users.apikeys"]._check_credentials(scope="rpc", key=connection["api_key"])
        bot = self.env["res.users"].sudo().browse(uid)
        self.assertTrue(bot.has_group("micro_saas.group_microsaas_sidecar"))
        again = self.settings.create({}).action_microsaas_connect()["context"]
        self.assertNotEqual(again["default_webhook_secret"], connection["webhook_secret"])
        self.assertNotEqual(again["default_api_key"], connection["api_key"])
        with self.assertRaises(AccessError):
            self.settings.with_user(self.manager).microsaas_connect()

    def test_values_come_back(self):
        self.settings.create(
            {"microsaas_http_port_first": 30000, "microsaas_http_port_last": 30009}
            | {"microsaas_in_payment_is_paid": False}
        ).execute()
        settings = self.settings.create({})
        self.assertEqual(settings.microsaas_http_port_first, 30000)
        self.assertFalse(settings.microsaas_in_payment_is_paid)
        self.assertEqual(self._sidecar().microsaas_hello("abc123")["http_ports"], [30000, 30009])

    def test_ranges(self):
        for first, last in ((20000, 19999), (80, 90), (24000, 25000), (65000, 65536)):
            settings = self.settings.create(
                {"microsaas_http_port_first": first, "microsaas_http_port_last": last}
            )
            with self.subTest(first=first), self.assertRaises(ValidationError), self.cr.savepoint():
                settings.execute()

    def test_connection_is_tested(self):
        settings = self.settings.create({"microsaas_sidecar_url": "http://sidecar"})
        with self.assertRaisesRegex(UserError, "Fill in"):
            settings.action_microsaas_test()
        settings.action_microsaas_new_secret()
        answer = requests.Response()
        for status, sentence in ((401, "another one"), (404, "instead of 202")):
            answer.status_code = status
            with patch.object(res_config_settings, "post", return_value=answer):
                with self.assertRaisesRegex(UserError, sentence):
                    settings.action_microsaas_test()
        for error, sentence in ((requests.ConnectionError(), "does not answer"), (ValueError("x"), "malformed")):
            with patch.object(res_config_settings, "post", side_effect=error):
                with self.assertRaisesRegex(UserError, sentence):
                    settings.action_microsaas_test()
        answer.status_code = 202
        with patch.object(res_config_settings, "post", return_value=answer):
            self.assertEqual(settings.action_microsaas_test()["params"]["type"], "success")

    def test_a_new_secret_counts_beside_the_earlier_one_until_the_sidecar_has_it(self):
        first = self.settings.microsaas_connect()["webhook_secret"]
        second = self.settings.create({}).action_microsaas_new_secret()["context"]["default_webhook_secret"]
        self.assertEqual(webhook_secrets(self.env), [second, first])
        self.assertTrue(self.settings.create({}).microsaas_webhook_rotating)
        self._set_param("sidecar_url", "http://sidecar/webhooks/odoo")
        answer = requests.Response()
        for status, known in ((401, [second, first]), (202, [second])):
            answer.status_code = status
            with patch.object(res_config_settings, "post", return_value=answer) as post:
                self.env["microsaas.sidecar"].sudo()._cron_watch()
            self.assertEqual(post.call_args[0][1], [second], "the newest alone")
            self.assertEqual(webhook_secrets(self.env), known)
        with self.assertRaises(AccessError):
            self.settings.with_user(self.manager).action_microsaas_new_secret()


@tagged("post_install", "-at_install")
class TestSettingsOfStrangers(MicroSaasCommon, HttpCase):
    """What somebody reads who has signed up in the shop, or has not even done that."""

    def _default_get(self, fields):
        params = {"model": "res.config.settings", "method": "default_get", "args": [fields], "kwargs": {}}
        response = self.url_open(
            "/web/dataset/call_kw",
            data=json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}),
            headers={"Content-Type": "application/json"},
        )
        return response.json()

    def test_nobody_reads_our_settings(self):
        settings = self.env["res.config.settings"]
        secret = settings.sudo().microsaas_connect()["webhook_secret"]
        self._set_param("sidecar_url", "http://sidecar:8471/webhooks/odoo")
        ours = [name for name in settings._fields if name.startswith("microsaas_")]
        new_test_user(self.env(su=True), "stranger", password="strangerstranger", groups="base.group_portal")
        self.manager.sudo().password = "managermanager"
        for login in (None, "stranger", "manager"):
            self.authenticate(login, login and login * 2)
            for fields in (ours, ["microsaas_webhook_secret"], ["microsaas_sidecar_url", "company_id"]):
                with mute_logger("odoo.http"):
                    answer = self._default_get(fields)
                self.assertFalse(set(answer.get("result", {})) & set(ours), login)
                self.assertNotIn(secret[6:], json.dumps(answer))
        admin = settings.with_user(self.env.ref("base.user_admin"))
        self.assertEqual(admin.default_get(["microsaas_sidecar_url"])["microsaas_sidecar_url"], "http://sidecar:8471/webhooks/odoo")

    def test_the_secret_itself_is_in_no_setting(self):
        admin = self.env["res.config.settings"].with_user(self.env.ref("base.user_admin"))
        secret = admin.microsaas_connect()["webhook_secret"]
        values = admin.default_get(list(admin._fields))
        self.assertTrue(values["microsaas_webhook_secret_set"])
        self.assertNotIn(secret, str(values))
        self.assertNotIn(secret, str(admin.create({}).read()))
        for user in (self.manager, self.invoicer, self.employee, self.bot):
            with self.assertRaises(AccessError):
                self.env["ir.config_parameter"].with_user(user).search_read([("key", "=like", "microsaas.%")])
