from datetime import timedelta

from odoo import fields
from odoo.exceptions import UserError
from odoo.tests import tagged

from .test_owner_attention import OwnerCase
from .test_use import UseCase


@tagged("post_install", "-at_install")
class TestLimit(OwnerCase, UseCase):
    """Who nears or passes a limit of their plan is told once, has time, and loses nothing by itself."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan.product_tmpl_id.write({"microsaas_disk_mb": 1000, "microsaas_users": 10})
        cls.instance = cls._running()
        cls.instance.factura_id.sudo().invoice_user_id = cls.seller

    def setUp(self):
        super().setUp()
        self.seconds = 0

    def _uses(self, disk_mb=100, users=1):
        self.seconds += 1
        at = fields.Datetime.now() - timedelta(minutes=10) + timedelta(seconds=self.seconds)
        self._report_use(self._use(self.instance, at, disk_mb=disk_mb, users=users))

    @property
    def _limits(self):
        return [(limit.resource, bool(limit.over_since)) for limit in self.instance.sudo().limit_ids]

    @property
    def _told(self):
        kinds = ("limitNear", "limitOver")
        return self.instance.sudo().subscription_ids.notice_ids.filtered(lambda notice: notice.kind in kinds).sorted("id")

    def _activities(self):
        kind = self.env.ref("micro_saas.mail_activity_type_limit")
        return self.instance.sudo().activity_ids.filtered(lambda one: one.active and one.activity_type_id == kind)

    def test_below_four_fifths_nobody_is_told(self):
        self._uses(disk_mb=799, users=7)
        self.assertEqual((self._limits, len(self._told), len(self._activities())), ([], 0, 0))

    def test_from_four_fifths_on_the_customer_and_the_seller_are_told_once(self):
        self._uses(disk_mb=800)
        self._uses(disk_mb=950)
        self.assertEqual(self._limits, [("disk", False)])
        self.assertEqual(self._told.mapped("kind"), ["limitNear"])
        self.assertEqual(self._activities().mapped("summary"), ["The disk of the plan is nearly full"])
        self.assertEqual(self._activities().user_id, self.seller)
        mail = self._told.mail_id
        self.assertEqual(mail.recipient_ids, self.partner)
        self.assertIn("800 MB of the 1,000 MB of disk of its plan.", mail.body_html)

    def test_two_limits_at_once_are_one_mail(self):
        self._uses(disk_mb=1001, users=8)
        self.assertEqual(self._told.mapped("kind"), ["limitOver"])
        self.assertIn("1,001 MB of the 1,000 MB of disk of its plan.", self._told.mail_id.body_html)
        self.assertNotIn("8 users", self._told.mail_id.body_html, "of these it has enough")
        self.assertEqual(len(self._activities()), 2)

    def test_the_mail_is_in_the_customers_language(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        self.partner.lang = "es_ES"
        self._uses(users=11)
        self.assertIn("11 usuarios de los 10 de su plan.", self._told.mail_id.body_html)
        self.assertIn("No se apaga nada", self._told.mail_id.body_html)

    def test_a_closed_activity_is_not_raised_again(self):
        self._uses(disk_mb=800)
        self._activities().action_feedback()
        self._uses(disk_mb=820)
        self.assertFalse(self._activities())

    def test_over_a_limit_there_is_time_and_nothing_is_switched_off(self):
        self._uses(disk_mb=1001)
        self.assertEqual(self._limits, [("disk", True)])
        self.assertEqual(self._told.mapped("kind"), ["limitOver"])
        day = self.instance.sudo().limit_ids._react_until()
        self.assertEqual(day, self.env.company._microsaas_today() + timedelta(days=14))
        self.assertEqual((self.instance.state, self.instance.desired_state), ("running", "running"))

    def test_near_and_then_over_are_two_mails_and_back_to_near_none(self):
        for disk_mb in (900, 1100, 900, 1100):
            self._uses(disk_mb=disk_mb)
        self.assertEqual(self._told.mapped("kind"), ["limitNear", "limitOver"])

    def test_it_is_over_well_below_and_the_next_time_is_told_again(self):
        self._uses(disk_mb=1100)
        self._uses(disk_mb=760)
        self.assertEqual(self._limits, [("disk", False)])
        self.assertFalse(self._activities(), "the one of too much is closed")
        self._uses(disk_mb=749)
        self.assertEqual(self._limits, [])
        self.instance.sudo().subscription_ids.notice_ids.period = "earlier"
        self._uses(disk_mb=800)
        self.assertEqual(self._told.mapped("kind"), ["limitOver", "limitNear"])

    def test_who_goes_to_and_fro_is_told_once_a_week(self):
        for disk_mb in (1100, 100, 1100, 100, 1100, 100):
            self._uses(disk_mb=disk_mb)
        self.assertEqual(self._told.mapped("kind"), ["limitOver"])
        self._uses(users=11)
        self.assertEqual(self._told.mapped("kind"), ["limitOver", "limitOver"], "of users nobody was told yet")
        # A notice says the second of what it tells of, and here all happens in one.
        self.env.cr.execute(
            "UPDATE microsaas_notice SET create_date = now() - interval '8 days', period = period || ' earlier'"
        )
        self.env.invalidate_all()
        self._uses(disk_mb=1100)
        self.assertEqual(self._told.mapped("kind"), ["limitOver"] * 3)

    def test_who_has_all_of_few_users_has_what_they_paid_for(self):
        self.plan.product_tmpl_id.microsaas_users = 3
        self._uses(users=3)
        self.assertEqual(self._limits, [])
        self._uses(users=4)
        self.assertEqual(self._limits, [("users", True)])
        self._uses(users=3)
        self.assertEqual(self._limits, [])

    def test_without_a_limit_there_is_none(self):
        self.plan.product_tmpl_id.write({"microsaas_disk_mb": 0, "microsaas_users": 0})
        self._uses(disk_mb=10**6, users=10**6)
        self.assertEqual(self._limits, [])

    def test_a_larger_plan_ends_it_though_nothing_is_measured(self):
        self._uses(disk_mb=1100)
        self.plan.product_tmpl_id.microsaas_disk_mb = 2000
        self.env["microsaas.sidecar"].sudo()._cron_watch()
        self.assertEqual(self._limits, [])
        self.assertFalse(self._activities())

    def test_a_plan_that_gives_less_than_is_used_is_refused_with_a_sentence(self):
        same = {"es_plan_microsaas": True, "plantilla_id": self.instance.template_id.id}
        smaller = self._product("Smaller", microsaas_disk_mb=500, microsaas_users=2, **same)
        subscription = self.instance.sudo().subscription_ids.with_context(lang="en_US")
        self.assertEqual(subscription._plan_obstacle(smaller), "")
        self._uses(disk_mb=501)
        self.assertIn("takes 501 MB of disk, and plan Smaller gives 500 MB", subscription._plan_obstacle(smaller))
        self._uses(disk_mb=500, users=3)
        self.assertIn("has 3 users, and plan Smaller has 2", subscription._plan_obstacle(smaller))
        self._uses(disk_mb=500, users=2)
        self.assertEqual(subscription._plan_obstacle(smaller), "")

    def test_a_smaller_plan_that_is_asked_for_below_present_use_leaves_nothing_behind(self):
        subscription, smaller = self._subscription_and_smaller_plan()
        self._uses(disk_mb=501)
        with self.assertRaisesRegex(UserError, "make room first"):
            subscription._change_plan(smaller, "A test wants it.")
        self.assertEqual((subscription.change_ids.ids, subscription.product_id), ([], self.plan))

    def test_a_smaller_plan_comes_though_more_is_used_by_then_and_its_customer_has_time(self):
        subscription, smaller = self._subscription_and_smaller_plan()
        self._uses(disk_mb=400)
        change = subscription._change_plan(smaller, "A test wants it.")
        self._uses(disk_mb=600)
        self.assertFalse(self._told, "of the present plan it has enough")
        change.day = subscription.company_id._microsaas_today()
        change._cron_review()
        self.assertEqual((change.state, subscription.product_id), ("done", smaller), "its days are not invoiced at the old price")
        self.assertEqual((self._limits, self._told.mapped("kind")), ([("disk", True)], ["limitOver"]))
        self.assertIn("600 MB of the 500 MB of disk of its plan.", self._told.mail_id.body_html)
        self.assertEqual((self.instance.state, self.instance.desired_state), ("running", "running"))

    def _subscription_and_smaller_plan(self):
        """Return a subscription that is paid for three weeks yet, and a cheaper plan with half of its disk."""
        today = self.env.company._microsaas_today()
        subscription = self.instance.sudo().subscription_ids.with_context(lang="en_US")
        paid = {"fecha_inicio": today - timedelta(days=9), "fecha_fin": today + timedelta(days=20)}
        subscription.write({"state": "active", **paid})
        same = {"es_plan_microsaas": True, "plantilla_id": self.instance.template_id.id}
        return subscription, self._product("Smaller", list_price=12.0, microsaas_disk_mb=500, **same)

    def test_what_is_removed_is_over_nothing(self):
        self._uses(disk_mb=1100)
        self.instance.action_remove()
        self.env["microsaas.sidecar"].sudo()._cron_watch()
        self.assertEqual(self._limits, [])

    def test_who_is_over_needs_attention_and_who_is_near_does_not(self):
        self._uses(disk_mb=900)
        self.assertFalse(self._attention())
        self._uses(disk_mb=1100, users=11)
        for user in (None, self.hoster, self.invoicer):
            [row] = self._attention(user)
            self.assertEqual((row.kind, row.count, row.partner_id), ("over", 2, self.partner))
            self.assertIn("1.1 GB of the 1,000 MB of disk of its plan. The customer was given time until", row.message)
            self.assertEqual(row.action_open()["res_id"], self.instance.id)

    def test_the_sidecar_reads_how_many_users_the_plan_has_and_what_one_more_is_told(self):
        plan = self.plan.product_tmpl_id
        limit = self._row(self.instance)["user_limit"]
        self.assertEqual(limit["users"], 10)
        page = f"{self.instance.get_base_url()}/my/instances/{self.instance.id}"
        for said in (plan.name, "has 10", "Change plan", page):
            self.assertIn(said, limit["refusal"])
        plan.microsaas_users = 0
        self.assertIs(self._row(self.instance)["user_limit"], False)

    def test_the_refusal_is_in_the_language_of_who_administers_the_odoo(self):
        self.env["res.lang"]._activate_lang("es_ES")
        self.instance.sudo()._administrator().lang = "es_ES"
        self.assertIn("Cambiar de plan", self._row(self.instance)["user_limit"]["refusal"])

    def test_another_number_of_users_has_the_sidecar_look_at_all_instances_of_the_plan(self):
        self.instance._quiet().next_review = False
        self.plan.product_tmpl_id.microsaas_disk_mb = 500
        self.assertFalse(self.instance.sudo().next_review)
        self.plan.product_tmpl_id.microsaas_users = 20
        self.assertTrue(self.instance.sudo().next_review)

    def _row(self, instance):
        return self._sidecar().microsaas_desired(instance.ids)[0]
