from datetime import timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.tests import new_test_user, tagged
from odoo.tools import mute_logger

from .common import MicroSaasCommon


@tagged("post_install", "-at_install")
class TestStaging(MicroSaasCommon):
    """A staging copy is an instance that is no customer's: made from a proven backup, and removed after some days."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.instance = cls._running()
        cls.backup = cls._backed_up(
            cls.instance, cls._backup(proof="data", proof_date="2026-11-27 04:00:00")
        ).with_user(cls.manager)

    def _copy(self):
        action = self.backup.action_staging()
        return self.env[action["res_model"]].with_user(self.manager).browse(action["res_id"])

    def _row(self, instance):
        [row] = self._sidecar().microsaas_desired([instance.id])
        return row

    # -- what it is --------------------------------------------------------------------------------

    def test_it_belongs_to_the_same_customer_and_begins_at_once(self):
        copy = self._copy()
        self.assertEqual((copy.staging_of_id, copy.partner_id), (self.instance, self.partner))
        self.assertEqual((copy.template_id, copy.company_id), (self.instance.template_id, self.instance.company_id))
        self.assertEqual((copy.desired_state, copy.state), ("running", "draft"))
        self.assertEqual(copy.subdomain, f"{self.instance.subdomain}-staging")
        self.assertEqual(copy.staging_backup_date, self.backup.date)
        self.assertAlmostEqual(
            copy.staging_until, fields.Datetime.now() + timedelta(days=7), delta=timedelta(minutes=1)
        )
        self.assertNotEqual(copy.identity, self.instance.identity)
        self.assertEqual(self.instance.with_user(self.manager).staging_id, copy)

    def test_the_sidecar_reads_from_what_it_is_made(self):
        self.plan.product_tmpl_id.sudo().write(
            {"microsaas_memory_mb": 900, "microsaas_cpus": 1.5, "microsaas_users": 3}
        )
        self.env["odoo.docker.repository"].sudo().create(
            {"instance_id": self.instance.id, "url": "https://example.com/a.git", "branch": "19.0", "commit": "c" * 40}
        )
        self.instance.sudo().image_digest = f"sha256:{'d' * 64}"
        self.instance.restart_instance()
        row, origin = self._row(self._copy()), self._row(self.instance)
        self.assertEqual(
            row["copy_of"],
            {"id": self.instance.id, "identity": self.instance.identity, "snapshot": self.backup.snapshot},
        )
        self.assertIs(origin["copy_of"], False)
        self.assertEqual(row["image_digest"], f"sha256:{'d' * 64}")
        self.assertEqual((row["memory_mb"], row["cpus"], row["modules"]), (900, 1.5, origin["modules"]))
        self.assertEqual(row["user_limit"], origin["user_limit"])
        self.assertEqual(row["user_limit"]["users"], 3)
        self.assertEqual(
            [(one["url"], one["branch"], one["commit"]) for one in row["repositories"]],
            [("https://example.com/a.git", "19.0", "c" * 40)],
        )
        self.assertIs(row["subscription"], False)
        self.assertIs(row["sold_as"], False)

    def test_another_name_is_found_where_its_own_is_taken(self):
        other = self._running()
        other.subdomain = f"{self.instance.subdomain}-staging"
        name = self._copy().subdomain
        self.assertNotEqual(name, other.subdomain)
        self.assertTrue(name.startswith(f"{self.instance.subdomain}-staging-"), name)

    def test_a_long_name_keeps_its_ending(self):
        self.instance.subdomain = "a" * 40
        self.assertEqual(self._copy().subdomain, f"{'a' * 27}-staging")

    # -- what it is not: a customer ------------------------------------------------------------------

    def test_it_has_no_subscription_no_invoice_no_mail_and_no_kept_ports(self):
        mails = self.env["mail.mail"].sudo().search_count([])
        copy = self._copy()
        self._report(copy, http_port=28069, longpolling_port=28072)
        self._report(copy, state="running", reason="Running", instance_url="http://copy.example.com", next_review=False)
        self._report(copy, instance_url="http://other.example.com")
        self.assertTrue(copy.was_ready)
        self.assertFalse(copy.subscription_ids or copy.factura_id or copy.sudo().linea_factura_id)
        self.assertFalse(self.env["microsaas.reserved.port"].sudo().search([("instance_id", "=", copy.id)]))
        self.assertEqual(self.env["mail.mail"].sudo().search_count([]), mails)
        self.assertNotIn(self.partner, copy.message_partner_ids)
        copy.action_remove()
        self._report(copy, state="removed", reason="Purged", active=False, http_port=0, longpolling_port=0)
        self.assertEqual(self.env["mail.mail"].sudo().search_count([]), mails)

    def test_it_is_counted_nowhere(self):
        move = self.instance.factura_id
        before = move.instancia_count, move.subscription_count
        fleet = self.env["microsaas.brake"].sudo()._recent_suspensions(self.instance.id)
        copy = self._copy()
        self._report(copy, state="running", reason="Running", next_review=False)
        self.env.invalidate_all()
        self.assertEqual((move.instancia_count, move.subscription_count), before)
        self.assertEqual(self.env["microsaas.brake"].sudo()._recent_suspensions(self.instance.id), fleet)
        action = self.env["ir.actions.act_window"]._for_xml_id("micro_saas.odoo_docker_instance_action")
        listed = self.env["odoo.docker.instance"].search([*eval(action["domain"])])  # noqa: S307 - our own data
        self.assertIn(self.instance, listed)
        self.assertNotIn(copy, listed)

    def test_nobody_waits_for_a_backup_of_it(self):
        copy = self._copy()
        self._report(copy, state="running", reason="Running", next_review=False)
        self.env.flush_all()
        long_ago = fields.Datetime.now() - timedelta(days=3)
        self.cr.execute(
            "UPDATE odoo_docker_instance SET create_date = %s, requested_at = 0 WHERE id IN %s",
            [long_ago, (copy.id, self.instance.id)],
        )
        self.env.invalidate_all()
        watched = self.env["microsaas.backup.watch"].sudo()._newest()
        self.assertIn(self.instance.id, watched)
        self.assertNotIn(copy.id, watched)
        rows = {row["id"]: row["is_copy"] for row in self._sidecar().microsaas_states()}
        self.assertEqual((rows[copy.id], rows[self.instance.id]), (True, False))
        with self.assertRaisesRegex(UserError, "no backups"):
            copy.action_backup()

    def test_the_portal_does_not_show_it(self):
        copy = self._copy()
        customer = new_test_user(self.env, "luna", "base.group_portal")
        customer.sudo().partner_id.parent_id = self.partner
        mine = self.env["odoo.docker.instance"].with_user(customer).search([])
        self.assertEqual(mine, self.instance.with_user(customer))
        with self.assertRaises(AccessError):
            copy.with_user(customer).read(["name"])

    def test_it_has_no_domain_of_a_customers_own(self):
        copy = self._copy()
        with self.assertRaisesRegex(UserError, "no domains of its own"):
            self.env["microsaas.domain"].with_user(self.manager).create(
                {"name": "www.luna.example", "instance_id": copy.id}
            )

    # -- who makes one, and of what --------------------------------------------------------------------

    def test_only_a_manager_makes_one(self):
        for user in (self.seller, self.employee, self.invoicer):
            with self.subTest(user.login), self.assertRaises(AccessError):
                self.backup.with_user(user).action_staging()
        with self.assertRaises(AccessError):
            self._copy().with_user(self.invoicer).action_extend_staging()

    def test_what_says_whose_copy_it_is_is_not_written_by_hand(self):
        copy = self._copy()
        for vals in (
            {"staging_of_id": False},
            {"staging_until": "2099-01-01 00:00:00"},
            {"staging_snapshot": "f" * 64},
        ):
            with self.subTest(vals), self.assertRaisesRegex(AccessError, "not written by hand"):
                copy.write(vals)
        with self.assertRaisesRegex(AccessError, "not written by hand"):
            self.env["odoo.docker.instance"].with_user(self.manager).create({"staging_of_id": self.instance.id})

    def test_what_is_not_proven_is_not_copied(self):
        for number, proof in enumerate(("none", "failed"), start=2):
            reason = "ProofRows" if proof == "failed" else ""
            rows = self._backed_up(self.instance, self._backup(number, proof=proof, reason=reason))
            with self.subTest(proof), self.assertRaisesRegex(UserError, "not proven"):
                rows.with_user(self.manager).action_staging()
        self._backed_up(self.instance, failure={"reason": "BackupFailed", "detail": "x"})
        with self.assertRaisesRegex(UserError, "it has failed"):
            self.instance.backup_ids.filtered(lambda one: one.state == "failed").with_user(
                self.manager
            ).action_staging()

    def test_an_instance_has_one_copy_at_a_time(self):
        copy = self._copy()
        with self.assertRaisesRegex(UserError, "has a staging copy already"):
            self.backup.action_staging()
        with self.assertRaises(Exception), mute_logger("odoo.sql_db"), self.cr.savepoint():  # noqa: B017
            self.env["odoo.docker.instance"].sudo().create(
                {"name": "x", "staging_of_id": self.instance.id, "partner_id": self.partner.id}
            )
        name = copy.subdomain
        copy.action_remove()
        again = self._copy()
        self.assertNotEqual(again, copy)
        self.assertEqual(again.subdomain, name, "a removed copy keeps no name")

    def test_no_copy_of_a_copy_nor_of_what_is_removed_or_suspended(self):
        copy = self._copy()
        backup = self._backed_up(copy, self._backup(9, proof="data")).with_user(self.manager)
        with self.assertRaisesRegex(UserError, "is a staging copy itself"):
            backup.action_staging()
        copy.action_remove()
        self.instance.subscription_ids.sudo().write({"state": "expired"})
        with self.assertRaisesRegex(UserError, "suspended"):
            self.backup.action_staging()
        self.instance.subscription_ids.sudo().write({"state": "active"})
        self.instance.action_remove()
        with self.assertRaisesRegex(UserError, "was removed"):
            self.backup.action_staging()

    def test_an_operator_makes_one_on_the_sidecars_host(self):
        ask = self._sidecar().microsaas_ask_for_staging
        with self.assertRaisesRegex(UserError, "no such backup"):
            ask(self.instance.id, "f" * 64)
        copy = self.env["odoo.docker.instance"].browse(ask(self.instance.id, self.backup.snapshot))
        self.assertEqual(copy.staging_of_id, self.instance)
        with self.assertRaisesRegex(UserError, "has a staging copy already"):
            ask(self.instance.id, self.backup.snapshot)
        with self.assertRaises(AccessError):
            self.env["microsaas.sidecar.api"].with_user(self.seller).microsaas_ask_for_staging(self.instance.id, "x")

    # -- how it ends -------------------------------------------------------------------------------

    def _expire(self, copy):
        copy.sudo().staging_until = fields.Datetime.now() - timedelta(minutes=1)

    def _watch(self):
        self.env["microsaas.sidecar"].sudo()._cron_watch()

    def test_it_expires_and_is_not_brought_back(self):
        copy = self._copy()
        self._report(copy, state="running", reason="Running", next_review=False)
        self._watch()
        self.assertEqual(copy.desired_state, "running")
        self._expire(copy)
        self._watch()
        self.assertEqual(copy.desired_state, "removed")
        self.assertLessEqual(copy.next_review, fields.Datetime.now(), "the sidecar is to act")
        with self.assertRaisesRegex(UserError, "its data are gone"):
            copy.action_restaurar()
        with self.assertRaisesRegex(UserError, "was removed"):
            copy.action_extend_staging()
        self.assertEqual(self.instance.desired_state, "running")

    def test_it_is_kept_longer_seven_days_at_a_time(self):
        copy = self._copy()
        until = copy.staging_until
        self.assertIs(copy.action_extend_staging(), True)
        self.assertEqual(copy.staging_until, until + timedelta(days=7))
        self._expire(copy)
        copy.action_extend_staging()
        self._watch()
        self.assertEqual(copy.desired_state, "running", "kept in the last moment")
        with self.assertRaisesRegex(UserError, "is no staging copy"):
            self.instance.with_user(self.manager).action_extend_staging()

    def test_it_goes_with_its_original(self):
        copy = self._copy()
        self.instance.action_remove()
        self._watch()
        self.assertEqual(copy.desired_state, "removed")

    def test_the_door_forgets_it_once_it_is_to_go(self):
        copy = self._copy()

        def routes():
            return [row["id"] for row in self._sidecar().microsaas_routes()]

        self.assertIn(copy.id, routes())
        copy.action_remove()
        self.assertNotIn(copy.id, routes())
        self.assertIn(self.instance.id, routes())
