from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestPorts(MicroSaasCommon):
    """A port that was given to a customer is not given to another."""

    def _running(self, http_port, longpolling_port):
        instance = self._instance()
        ports = {"http_port": http_port, "longpolling_port": longpolling_port}
        url = f"http://127.0.0.1:{http_port}"
        self._report(instance, state="running", seconds_to_ready=1.0, instance_url=url, **ports)
        return instance

    def _remove(self, instance):
        instance.action_remove()
        self._report(instance, state="removed", active=False, http_port=0, longpolling_port=0)

    def _next(self):
        """Return the ports that the next instance would get, and leave them free."""
        draft = self._instance()._quiet()
        ports = self._sidecar().microsaas_assign_ports(draft.id, [])
        draft.write({"http_port": 0, "longpolling_port": 0})
        return ports["http_port"], ports["longpolling_port"]

    def test_an_instance_gets_the_lowest_pair_that_nobody_and_nothing_uses(self):
        self._instance(http_port=20000, longpolling_port=25000)
        instance = self._instance()
        revision = instance.revision
        self._sidecar().microsaas_assign_ports(instance.id, [20001, 25002])
        self.assertEqual((instance.http_port, instance.longpolling_port), (20002, 25001))
        self._sidecar().microsaas_assign_ports(instance.id, [20001, 20002, 25001, 25002])
        self.assertEqual((instance.http_port, instance.longpolling_port), (20003, 25003))
        self.assertEqual(instance.revision, revision, "no person wished for it")
        with self.assertRaises(AccessError):
            self.env["microsaas.sidecar.api"].with_user(self.seller).microsaas_assign_ports(instance.id, [])

    def test_where_a_range_is_used_up_nothing_is_assigned(self):
        self._set_param("longpolling_port_last", "25000")
        instance = self._instance()
        ports = self._sidecar().microsaas_assign_ports(instance.id, [25000])
        self.assertEqual(ports["longpolling_port"], 0)
        self.assertEqual((instance.http_port, instance.longpolling_port), (0, 0))

    def test_a_removed_customers_ports_are_nobody_elses(self):
        self._remove(self._running(20000, 25000))
        self.assertEqual(self._next(), (20001, 25001))
        with self.assertRaisesRegex(ValidationError, "20000"), self.cr.savepoint():
            self._instance().http_port = 20000
        self.assertNotEqual(self._instance(http_port=20000).http_port, 20000)

    def test_a_restored_instance_comes_back_where_it_was(self):
        instance = self._running(20000, 25000)
        self._remove(instance)
        self._running(*self._next())
        instance.action_restaurar()
        self.assertEqual((instance.http_port, instance.longpolling_port), (20000, 25000))
        self._remove(instance)
        self._sidecar().microsaas_restore(instance.id, "odoo", "begin")
        self.assertEqual((instance.http_port, instance.longpolling_port), (20000, 25000))

    def test_a_late_report_of_its_removal_takes_nothing_from_a_restored_instance(self):
        instance = self._running(20000, 25000)
        self._remove(instance)
        removal = {"revision": instance.revision, "state": "removed", "http_port": 0, "longpolling_port": 0, "active": False}
        instance.action_restaurar()
        self._report(instance, **removal)
        self.assertTrue(instance.active)
        self.assertEqual((instance.http_port, instance.longpolling_port), (20000, 25000))
        self.assertLessEqual(instance.next_review, fields.Datetime.now(), "what is wanted now is seen to")

    def test_addresses_of_an_earlier_version_are_reserved(self):
        instance = self._running(20000, 25000)
        reserved = self.env["microsaas.reserved.port"].sudo()
        reserved.search([]).unlink()
        self.env.flush_all()
        for _i in range(2):
            reserved.init()
        self._remove(instance)
        self.assertEqual(self._next(), (20001, 25001))

    def test_ports_of_what_never_ran_are_free_again(self):
        draft = self._instance(http_port=20000, longpolling_port=25000)
        self._remove(draft)
        self.assertEqual(self._next(), (20000, 25000))

    def test_an_address_that_a_person_changed_stays_its_customers(self):
        instance = self._running(20000, 25000)
        instance.write({"http_port": 20010})
        self.assertEqual(self._next(), (20001, 25001))
        instance.write({"http_port": 20000})
        self.assertEqual(self._next()[0], 20001)

    def test_the_customer_is_told_a_changed_address(self):
        instance = self._running(20000, 25000)
        notices = instance.subscription_ids.notice_ids
        self._report(instance, instance_url="http://127.0.0.1:20000")
        self.assertNotIn("addressChanged", notices.mapped("kind"))
        self._report(instance, instance_url="http://127.0.0.1:20010")
        self.assertIn("addressChanged", instance.subscription_ids.notice_ids.mapped("kind"))
        mail = self.env["mail.mail"].sudo().search([("subject", "=", "Your Odoo has a new address")])
        self.assertEqual(len(mail), 1)
        self.assertIn("http://127.0.0.1:20010", mail.body_html)

    def test_long_after_the_data_went_the_port_is_free(self):
        instance = self._running(20000, 25000)
        self._remove(instance)
        subscription = instance.sudo().subscription_ids
        subscription.data_removed_at = fields.Datetime.now() - timedelta(days=364)
        self.assertEqual(self._next(), (20001, 25001))
        subscription.data_removed_at = fields.Datetime.now() - timedelta(days=366)
        self.assertEqual(self._next(), (20000, 25000))
        other = self._running(20000, 25000)
        self.assertEqual(other.http_port, 20000)
        self._set_param("reserved_port_days", "1000")
        self._remove(other)
        self.assertEqual(self._next(), (20001, 25001))

    def test_when_the_range_is_used_up_the_oldest_purged_goes_first_and_it_is_said(self):
        for field, first in (("http_port", 20000), ("longpolling_port", 25000)):
            self._set_param(f"{field}_first", str(first))
            self._set_param(f"{field}_last", str(first + 2))
        instances = [self._running(20000 + i, 25000 + i) for i in range(3)]
        for instance in instances:
            self._remove(instance)
        self.assertEqual(self._next(), (0, 0))
        now = fields.Datetime.now()
        instances[0].sudo().subscription_ids.data_removed_at = now - timedelta(days=10)
        instances[2].sudo().subscription_ids.data_removed_at = now - timedelta(days=20)
        self.assertEqual(self._next(), (20002, 25002))
        self.assertIn("20002", " ".join(instances[2].sudo().message_ids.mapped("body")))
