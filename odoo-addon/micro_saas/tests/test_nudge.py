import base64
import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Empty, Queue

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import nudge
from .common import MicroSaasCommon

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@tagged("post_install", "-at_install")
class TestNudge(MicroSaasCommon):
    def setUp(self):
        super().setUp()
        self.received = received = Queue()

        class Sidecar(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 - the base class names it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                received.put((dict(self.headers.items()), body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_args):
                pass

        server = HTTPServer(("127.0.0.1", 0), Sidecar)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/webhooks/odoo"
        self.env.cr.postcommit.clear()

    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        # Odoo's guard against real requests knows a timeout of one number only.
        kwargs["timeout"] = sum(kwargs["timeout"])
        return super()._request_handler(session, request, **kwargs)

    def _connect(self, url=None):
        self._set_param("sidecar_url", url or self.url)
        self._set_param("webhook_secret", SECRET)

    def _commit(self):
        """Run our callback as a commit does; other addons' callbacks need a real commit."""
        self.env.flush_all()
        postcommit = self.env.cr.postcommit
        ours = [callback for callback in postcommit._funcs if callback.__module__ == nudge.__name__]
        postcommit.clear()
        for callback in ours:
            callback()

    def _nudges(self):
        """Return `{model: ids}` of what this commit sent, after its thread has ended."""
        self._commit()
        for thread in threading.enumerate():
            if thread.name == "microsaas.nudge":
                thread.join()
        nudges = {}
        while True:
            try:
                _headers, body = self.received.get_nowait()
            except Empty:
                return nudges
            body = json.loads(body)
            self.assertNotIn(body["model"], nudges, "one nudge a model and commit")
            nudges[body["model"]] = body["ids"]

    def test_signed_as_standard_webhooks(self):
        self._connect()
        nudge.nudge(self.env, "account.move", [7, 5])
        self._commit()
        headers, body = self.received.get(timeout=5)
        self.assertEqual(json.loads(body), {"model": "account.move", "ids": [5, 7]})
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        self.assertEqual(headers["webhook-signature"], f"v1,{digest}")

    def test_money_in_both_directions(self):
        self._connect()
        move = self._invoice(pay=False)
        self._nudges()
        payment = self._pay(move)
        self.assertIn(move.id, self._nudges()["account.move"])
        payment.action_cancel()
        self.assertEqual(move.payment_state, "not_paid")
        self.assertIn(move.id, self._nudges()["account.move"])

    def test_a_credit_note_nudges_about_the_invoice(self):
        self._connect()
        move = self._invoice()
        self._nudges()
        self._credit(move)
        self.assertEqual(move.payment_state, "paid")
        self.assertIn(move.id, self._nudges()["account.move"])

    def test_every_button(self):
        self._connect()
        instance = self._instance()
        self.assertEqual(self._nudges()["odoo.docker.instance"], instance.ids)
        for button in ("start_instance", "restart_instance", "stop_instance", "action_remove"):
            getattr(instance, button)()
            self.assertEqual(self._nudges(), {"odoo.docker.instance": instance.ids}, button)

    def test_how_many_are_kept_ready(self):
        self._connect()
        plan = self.plan.product_tmpl_id.sudo()
        self._nudges()
        plan.microsaas_spares = 2
        self.assertEqual(self._nudges(), {"product.template": plan.ids})

    def test_back_up_now(self):
        self._connect()
        instance = self._running()
        self._nudges()
        instance.action_backup()
        self.assertEqual(self._nudges(), {"odoo.docker.instance": instance.ids})
        self._sidecar().microsaas_report_job(instance.job_id.id, "done")
        self._sidecar().microsaas_report_backups(instance.id, [self._backup()])
        self.assertEqual(self._nudges(), {})

    def test_reports_nudge_nobody(self):
        self._connect()
        instance = self._instance()
        self._nudges()
        self._report(instance, state="running", log=["ready"], subscription={"state": "active"})
        self.assertEqual(self._nudges(), {})

    def test_nothing_is_sent_without_a_sidecar_or_after_a_rollback(self):
        self._instance()
        self.assertEqual(self._nudges(), {})
        self._connect()
        nudge.nudge(self.env, "account.move", [1])
        self.env.cr.postcommit.clear()  # as a rollback does
        self.assertEqual(self._nudges(), {})

    def test_a_sidecar_that_is_away_troubles_nobody(self):
        self._connect("http://127.0.0.1:1/webhooks/odoo")
        self._instance().start_instance()
        with mute_logger("odoo.addons.micro_saas.models.nudge"):
            self.assertEqual(self._nudges(), {})
        self._set_param("webhook_secret", "whsec_not base64!")
        self._instance().start_instance()
        with mute_logger("odoo.addons.micro_saas.models.nudge"):
            self.assertEqual(self._nudges(), {})
