from unittest.mock import patch

import requests

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from ..models import res_config_settings
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
        self.assertEqual(again["default_webhook_secret"], connection["webhook_secret"])
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
        settings = self.settings.create({"microsaas_sidecar_url": "http://sidecar", "microsaas_webhook_secret": False})
        with self.assertRaisesRegex(UserError, "Fill in"):
            settings.action_microsaas_test()
        settings.microsaas_webhook_secret = "whsec_c2VjcmV0"
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
