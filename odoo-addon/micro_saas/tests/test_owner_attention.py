from datetime import timedelta

from odoo import fields
from odoo.tests import new_test_user, tagged

from .test_renewals import RenewalCase


class OwnerCase(RenewalCase):
    """A company without trouble, beside whatever else a database has."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["microsaas.brake"].sudo().search([]).unlink()
        cls.env["microsaas.backup"].sudo().search([]).unlink()
        cls.sidecar = cls.env["microsaas.sidecar"].sudo()._one()
        company = {"company_id": cls.env.company.id, "company_ids": [(6, 0, cls.env.company.ids)]}
        cls.hoster = new_test_user(cls.env(su=True), "hoster", groups="micro_saas.group_microsaas_user", **company)

    def setUp(self):
        super().setUp()
        self.sidecar.write({"heard_at": fields.Datetime.now(), "manager_backup_since": False})

    def _attention(self, user=None):
        """Return what needs attention of this company, as a user reads it; by default one who reads all."""
        self.env.invalidate_all()
        rows = self.env["microsaas.attention"].with_user(user or self.seller)
        return rows.search([("company_id", "in", (self.env.company.id, False))])

    def _ago(self, **delta):
        return fields.Datetime.now() - timedelta(**delta)

    def _in_error(self, **vals):
        instance = self._running(**vals)
        self._report(instance, state="error", reason="ModulesFailed", detail="moon", next_review=False)
        return instance

    def _overdue(self, **vals):
        day = fields.Date.today() - timedelta(days=40)
        return self._invoice(invoice_date=day, invoice_date_due=day, pay=False, **vals)

    def _mail_failed(self, subscription, period=""):
        mail = self.env["mail.mail"].sudo().create({"state": "exception"})
        values = {"subscription_id": subscription.id, "kind": "welcome", "period": period, "mail_id": mail.id}
        return self.env["microsaas.notice"].sudo().create({**values, "has_failed": True})

    def _without_backup(self):
        """Return an instance that had a night without a backup, and another one whose backup is proven."""
        late, proven = self._running(name="Late"), self._running(name="Proven")
        at = fields.Datetime.to_string(self._ago(hours=5))
        self._backed_up(proven, self._backup(1, date=at, proof="data", proof_date=at))
        self.env.flush_all()
        old = self._ago(days=30)
        self.cr.execute("UPDATE microsaas_backup SET create_date = %s", [old])
        self.cr.execute(
            "UPDATE odoo_docker_instance SET create_date = %s, requested_at = 0 WHERE id = ANY(%s)",
            [old, (late | proven).ids],
        )
        return late


@tagged("post_install", "-at_install")
class TestOwnerAttention(OwnerCase):
    """What needs a person stands in one list, the worst first, and a press opens the place."""

    def _only(self, kind, user=None):
        [row] = self._attention(user)
        self.assertEqual(row.kind, kind)
        self.assertTrue(row.message, "what is the matter")
        return row

    def _opens(self, row, record):
        action = row.action_open()
        self.assertEqual((action["res_model"], action["res_id"]), (record._name, record.id))
        record.with_user(row.env.user).check_access("read")

    def test_what_is_in_order_is_not_in_it(self):
        self._running()
        self._invoice(pay=False, invoice_date_due=fields.Date.today() + timedelta(days=9))
        self.assertFalse(self._attention())

    def test_an_instance_in_error(self):
        instance = self._in_error(name="Luna")
        row = self._only("error")
        self.assertEqual((row.name, row.partner_id), ("Luna", self.partner))
        self.assertIn("moon", row.message)
        self._opens(row, instance)
        self._report(instance, state="running", reason="Running", next_review=False)
        self.assertFalse(self._attention())

    def test_a_silent_sidecar(self):
        self.sidecar.heard_at = self._ago(minutes=6)
        self._opens(self._only("sidecar", self.hoster), self.sidecar)
        self.assertFalse(self._attention(self.invoicer), "an accountant can do nothing about it")

    def test_an_approval(self):
        instance = self._running()
        brake = self.env["microsaas.brake"].sudo().create(
            {"taken": 11, "fleet": 20, "subscription_ids": [(6, 0, instance.subscription_ids.ids)]}
        )
        row = self._only("limit")
        self.assertIn("1 instances", row.message)
        self._opens(row, brake)
        brake.released_at = fields.Datetime.now()
        self.assertFalse(self._attention())

    def test_an_invoice_on_hold(self):
        move = self._invoice()
        self._sidecar().microsaas_hold_invoice(move.id, "TooManyUnits", "21\n20")
        row = self._only("hold")
        self.assertIn("21", row.message)
        self._opens(row, move)
        move.with_user(self.seller).action_microsaas_approve()
        self.assertFalse(self._attention())

    def test_an_invoice_that_is_due(self):
        other = self.setup_other_currency("HRK", rates=[("2020-01-01", 2.0)])
        move = self._overdue(invoice_line_ids=[self._line(price_unit=30)], currency_id=other.id)
        self._overdue(invoice_line_ids=[self._line(self._product("A book"))])
        row = self._only("unpaid")
        self.assertEqual((row.amount, row.name), (15, move.name), "30 in the company's currency")
        self._opens(row, move)
        self._pay(move, amount=10)
        self.assertEqual(self._only("unpaid").amount, 10)
        self._pay(move)
        self.assertFalse(self._attention())

    def test_mails_that_did_not_leave(self):
        subscription = self._running().subscription_ids
        self._mail_failed(subscription, "1")
        notice = self._mail_failed(subscription, "2")
        row = self._only("mail")
        self.assertEqual(row.count, 2)
        self._opens(row, subscription)
        notice.mail_id.state = "sent"
        self.assertEqual(self._only("mail").count, 1)

    def test_an_instance_without_a_proven_backup(self):
        late = self._without_backup()
        self._opens(self._only("backup"), late)

    def test_no_backup_is_missed_where_none_are_made_or_the_first_night_is_not_over(self):
        late = self._without_backup()
        self.cr.execute("UPDATE microsaas_backup SET create_date = now() AT TIME ZONE 'UTC'")
        self.assertFalse(self._attention(), "the first night is not over")
        self.env["microsaas.backup"].sudo().search([]).unlink()
        self.assertTrue(late.was_ready)
        self.assertFalse(self._attention())

    def test_all_that_are_behind_are_one_row(self):
        self.template.image_digest = "sha256:new"
        behind = self._running() | self._running()
        behind.sudo()._quiet().image_digest = "sha256:old"
        self._running().sudo()._quiet().image_digest = "sha256:new"
        row = self._only("update")
        self.assertEqual(row.count, 2)
        action = row.action_open()
        self.assertEqual(self.env[action["res_model"]].search(action["domain"]), behind.sorted("id", reverse=True))
        self.assertTrue(all(behind.mapped("is_update_available")), "as the instance itself says")
        self.assertEqual(self.env["odoo.docker.instance"].search([("is_update_available", "=", False)]) & behind, behind[:0])

    def test_newer_commits_of_the_plan_are_a_newer_version(self):
        instance = self._running()
        repositories, url = self.env["odoo.docker.repository"].sudo(), "https://example.com/a.git"
        plan = repositories.create({"plan_id": self.plan.product_tmpl_id.id, "url": url, "commit": "b" * 40})
        own = {"instance_id": instance.id, "url": url, "of_plan": True, "commit": "a" * 40}
        repositories.create(own)
        self._only("update")
        plan.commit = "a" * 40
        self.assertFalse(self._attention())

    def test_the_worst_comes_first(self):
        self._mail_failed(self._running().subscription_ids)
        self._overdue()
        old, new = self._in_error(name="Old"), self._in_error(name="New")
        old.sudo().error_since = self._ago(days=2)
        self.sidecar.heard_at = self._ago(minutes=6)
        rows = self._attention()
        self.assertEqual(rows.mapped("kind"), ["sidecar", "error", "error", "unpaid", "mail"])
        self.assertEqual(rows.mapped("name")[1:3], [old.name, new.name])

    def test_nobody_reads_of_what_they_may_not_open(self):
        self._overdue()
        self._in_error()
        self.sidecar.heard_at = self._ago(minutes=6)
        self.assertEqual(self._attention(self.hoster).mapped("kind"), ["sidecar", "error"])
        self.assertEqual(self._attention(self.invoicer).mapped("kind"), ["error", "unpaid"])
        stranger = self._stranger()
        self.assertEqual(self._attention(stranger).mapped("kind"), ["sidecar"], "the rest is another company's")
