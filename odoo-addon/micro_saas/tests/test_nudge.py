import base64
import json
import threading

from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models import nudge
from .common import ReceiverCommon

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@tagged("post_install", "-at_install")
class TestNudge(ReceiverCommon):
    def setUp(self):
        super().setUp()
        self.url = f"{self.receiver}/webhooks/odoo"
        self.env.cr.postcommit.clear()

    def _connect(self, url=None):
        self._set_param("sidecar_url", url or self.url)
        self._set_param("webhook_secret", SECRET)

    def _commit(self):
        """Run our callback as a commit does, to the end of its thread; other addons' callbacks need a real commit."""
        self.env.flush_all()
        postcommit = self.env.cr.postcommit
        ours = [callback for callback in postcommit._funcs if callback.__module__ == nudge.__name__]
        postcommit.clear()
        for callback in ours:
            callback()
        for thread in threading.enumerate():
            if thread.name == "microsaas.nudge":
                thread.join()

    def _nudges(self):
        """Return `{model: ids}` of what this commit sent."""
        before = len(self.received)
        self._commit()
        nudges = {}
        for _path, _headers, body in self.received[before:]:
            said = json.loads(body)
            self.assertNotIn(said["model"], nudges, "one nudge a model and commit")
            nudges[said["model"]] = said["ids"]
        return nudges

    def test_signed_as_standard_webhooks(self):
        self._connect()
        nudge.nudge(self.env, "account.move", [7, 5])
        self._commit()
        [(_path, headers, body)] = self.received
        self.assertEqual(json.loads(body), {"model": "account.move", "ids": [5, 7]})
        self._assert_signed(headers, body, KEY)

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
