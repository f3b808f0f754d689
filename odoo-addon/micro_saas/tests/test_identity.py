import uuid

from psycopg2 import IntegrityError

from odoo.exceptions import AccessError
from odoo.tests import tagged
from odoo.tools import mute_logger

from ..models.microsaas_manager_history import ACTIVITY
from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestIdentity(MicroSaasCommon):
    def _found(self, instance, **over):
        """Return what the sidecar says of `instance` after Odoo has lost it."""
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        names = ("id", "identity", "name", "template_code", "http_port", "longpolling_port", "restart_count")
        repositories = [{"url": "https://x/y.git", "branch": "19.0", "commit": "abc", "of_plan": False}]
        found = {name: desired[name] for name in (*names, "sold_as")}
        return {**found, "running": True, "was_ready": True, "repositories": repositories, **over}

    def _forget(self, instance):
        """Take the record away, as a restore of an older copy does."""
        self.env["microsaas.reserved.port"].sudo().search([("instance_id", "=", instance.id)]).unlink()
        instance.sudo().subscription_ids.unlink()
        self.env.flush_all()
        self.cr.execute("DELETE FROM odoo_docker_instance WHERE id = %s", [instance.id])
        self.env.invalidate_all()

    def test_each_instance_has_an_identity_of_its_own(self):
        one, other = self._instance(), self._instance()
        chosen = self._instance(self._invoice(), name="x")
        forged = self.env["odoo.docker.instance"].with_user(self.seller)
        forged = forged.with_context(default_identity=one.identity).create({"factura_id": self._invoice().id})
        identities = {it.identity for it in (one, other, chosen, forged)}
        self.assertEqual(len(identities), 4)
        for identity in identities:
            self.assertEqual(str(uuid.UUID(identity)), identity)

    def test_nobody_writes_an_identity_or_has_it_twice(self):
        one, other = self._instance(), self._instance()
        for vals in ({"identity": other.identity}, {"is_unmarked": True}):
            with self.subTest(vals), self.assertRaises(AccessError):
                one.write(vals)
            with self.subTest(vals), self.assertRaises(AccessError):
                self._instance(**vals)
        with mute_logger("odoo.sql_db"), self.assertRaises(IntegrityError), self.cr.savepoint():
            one.sudo().identity = other.identity
            one.flush_recordset()

    def test_rows_of_an_earlier_version_get_an_identity_each(self):
        one, other, draft = self._instance(), self._instance(), self._instance()
        (one | other).start_instance()
        self.env.flush_all()
        self.cr.execute("ALTER TABLE odoo_docker_instance ALTER COLUMN identity DROP NOT NULL")
        self.cr.execute("UPDATE odoo_docker_instance SET identity = NULL, is_unmarked = NULL")
        for column in ("identity", "is_unmarked"):
            self.env["odoo.docker.instance"]._init_column(column)
        self.env.invalidate_all()
        self.assertEqual(len({one.identity, other.identity, draft.identity}), 3)
        desired = self._sidecar().microsaas_desired((one | other | draft).ids)
        self.assertEqual([it["may_adopt"] for it in desired], [True, True, False])
        self._report(one, adopted=True)
        self.assertFalse(one.is_unmarked)

    def test_the_sidecar_reads_which_unit_was_sold(self):
        instance = self._instance()
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        line = instance.linea_factura_id
        self.assertEqual((desired["sold_as"]["line_id"], desired["sold_as"]["unit"]), (line.id, 1))
        self.assertRegex(desired["sold_as"]["made_at"], r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$")

    def test_what_was_made_by_hand_was_sold_as_nothing(self):
        bare = self.env["odoo.docker.instance"].sudo().create({"name": "Bare"})
        [desired] = self._sidecar().microsaas_desired(bare.ids)
        self.assertIs(desired["sold_as"], False)

    def test_checkpoints_and_numbers_only_grow(self):
        before = self._sidecar().microsaas_hello("abc123")
        first = self._sidecar().microsaas_checkpoint()
        self.assertGreater(first, before["checkpoint"])
        self.assertEqual(self._sidecar().microsaas_checkpoint(), first + 1)
        instance = self._instance()
        after = self._sidecar().microsaas_hello("abc123")
        self.assertEqual((after["checkpoint"], after["highest_instance"]), (first + 1, instance.id))
        with self.assertRaises(AccessError):
            self.env["microsaas.sidecar.api"].with_user(self.seller).microsaas_checkpoint()

    def test_a_claim_takes_no_number_that_the_host_has_seen(self):
        seen = self._instance().id + 40
        units = [{"line_id": self._invoice().invoice_line_ids.id, "unit": 1}]
        [claimed] = self._claimed_ids(units, seen)
        self.assertEqual(claimed, seen + 1)
        self.assertEqual(self._claimed_ids(units, seen), [claimed])
        units = [{"line_id": self._invoice().invoice_line_ids.id, "unit": 1}]
        self.assertEqual(self._claimed_ids(units, seen), [claimed + 1])

    def test_people_are_told_once_that_the_sidecar_waits(self):
        company = self.env["res.company"].search([], order="id", limit=1).partner_id
        seen = self._instance().id + 7
        for _i in range(2):
            self._sidecar().microsaas_distrust("older", seen, [
                {"id": 9, "name": "<Luna>", "url": "http://127.0.0.1:20001"},
                {"id": 10, "name": "", "url": ""},
            ])
        activity = company.activity_search([ACTIVITY])
        self.assertEqual(len(activity), 1)
        self.assertIn("9: &lt;Luna&gt;, http://127.0.0.1:20001", activity.note)
        self.assertIn("10: no identity mark", activity.note)
        self.assertIn("microsaas reconcile-host", activity.note)
        self.assertGreater(self._instance().id, seen)
        self._sidecar().microsaas_adopt([])
        self.assertFalse(company.activity_search([ACTIVITY]))

    def test_a_lost_instance_gets_its_record_again(self):
        move = self._invoice()
        instance = self._instance(move, http_port=20005, longpolling_port=25005)
        instance.start_instance()
        self._report(instance, state="running", seconds_to_ready=1.0)
        found = self._found(instance)
        self._forget(instance)
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [found["id"]])
        again = self.env["odoo.docker.instance"].browse(found["id"])
        self.assertEqual((again.identity, again.factura_id, again.unidad), (found["identity"], move, 1))
        self.assertEqual((again.partner_id, again.template_id), (self.partner, self.template))
        self.assertEqual((again.http_port, again.longpolling_port), (20005, 25005))
        self.assertEqual((again.desired_state, again.was_ready), ("running", True))
        self.assertEqual(again.repository_ids.mapped("commit"), ["abc"])
        self.assertEqual(again.subscription_ids.notice_ids.mapped("kind"), ["welcome"])
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [found["id"]])
        self.assertGreater(self._instance().id, found["id"])

    def test_a_line_that_only_has_the_number_again_is_not_taken(self):
        instance = self._instance()
        found = self._found(instance)
        found["sold_as"]["made_at"] = "2020-01-01 00:00:00.000001"
        self._forget(instance)
        self._sidecar().microsaas_adopt([found])
        again = self.env["odoo.docker.instance"].browse(found["id"])
        self.assertFalse(again.factura_id or again.linea_factura_id or again.partner_id)

    def test_a_record_that_took_the_number_and_never_ran_gets_another(self):
        collided = self._instance(name="Newcomer")
        collided.start_instance()
        move, number = collided.factura_id, collided.id
        found = self._found(collided, identity=str(uuid.uuid4()), name="Old", sold_as=False)
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [number])
        newcomer = self.env["odoo.docker.instance"].search([("factura_id", "=", move.id)])
        self.assertEqual((newcomer.name, newcomer.desired_state, newcomer.unidad), ("Newcomer", "running", 1))
        self.assertNotEqual(newcomer.id, number)
        self.assertEqual(self.env["odoo.docker.instance"].browse(number).name, "Old")

    def test_two_who_have_run_are_left_to_a_person(self):
        instance = self._instance()
        self._report(instance, state="running", seconds_to_ready=1.0)
        found = self._found(instance, identity=str(uuid.uuid4()))
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [])
        self.assertNotEqual(instance.identity, found["identity"])
