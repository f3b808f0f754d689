from datetime import timedelta

from odoo import fields
from odoo.tests import tagged

from .test_owner_attention import OwnerCase
from .test_portal import PortalCase
from .test_use import UseCase


@tagged("post_install", "-at_install")
class TestRoom(OwnerCase, UseCase):
    """What does not fit the machine is not sold silently."""

    @property
    def _short_of(self):
        return self.env["microsaas.sidecar"].sudo()._short_of()

    def test_with_room_nobody_is_told_anything(self):
        self._report_use()
        self.assertEqual(self._short_of, [])
        self.assertFalse(self._attention())

    def test_the_owner_reads_of_a_machine_without_room(self):
        self._report_use(short_of=["memory", "disk"])
        [row] = self._attention(self.hoster)
        self.assertEqual((row.kind, row.res_model), ("room", "microsaas.sidecar"))
        self.assertIn("memory, disk space", row.message)
        page = self.env["microsaas.overview"].with_user(self.hoster).browse(self.env.company.id)
        self.assertIn("memory, disk space", page.room_text)

    def test_what_was_measured_long_ago_says_nothing(self):
        self._report_use(short_of=["memory"])
        self.sidecar.host_measured_at = fields.Datetime.now() - timedelta(minutes=21)
        self.assertEqual(self._short_of, [])

    def test_ports_are_room_too(self):
        self._report_use()
        self._set_param("http_port_first", "20000")
        self._set_param("http_port_last", "20000")
        self.assertEqual(self._short_of, [])
        instance = self._running(http_port=20000)
        self.assertEqual(self._short_of, ["ports"])
        instance.sudo().subscription_ids.data_removed_at = fields.Datetime.now()
        instance.sudo()._quiet().write({"http_port": 0, "longpolling_port": 0})
        self.assertEqual(self._short_of, [], "the port of one whose data were removed is given to the next")

    def test_the_owners_page_says_what_is_left_of_the_machine(self):
        page = self.env["microsaas.overview"].with_user(self.hoster).browse(self.env.company.id)
        self.assertFalse(page.memory_text or page.disk_text)
        self._report_use(memory_mb=16384, free_memory_mb=8192, disk_mb=204800, free_disk_mb=512)
        self.assertEqual((page.memory_text, page.disk_text), ("8 GB of 16 GB free", "512 MB of 200 GB free"))
        self.assertFalse(page.room_text)


@tagged("post_install", "-at_install")
class TestPortalRoom(PortalCase):
    def test_who_has_paid_reads_that_theirs_waits_and_that_they_need_do_nothing(self):
        self._settle(state="error", reason="NotEnoughMemory", detail="")
        self.assertEqual(self.instance._portal_status()["title"], "Your Odoo waits for room")
        self._settle(state="error", reason="CrashLoop", detail="")
        self.assertEqual(self.instance._portal_status()["title"], "Something went wrong")
