from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon
from .test_sidecar_methods import holds_none

IMAGE = "odoo@sha256:" + "1" * 64
NEWER = "odoo@sha256:" + "2" * 64
URL = "https://github.com/OCA/web.git"


@tagged("post_install", "-at_install")
class TestSpare(MicroSaasCommon):
    """A started Odoo that is kept ready is nobody's until a claim makes it the instance of a paid unit."""

    sells_beforehand = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env.company.sudo().country_id = cls.env.ref("base.es")
        cls.own_plan = cls.plan.product_tmpl_id.sudo()
        cls.own_plan.write({"microsaas_listo": True, "microsaas_spares": 2})
        cls.template.write({"image_digest": IMAGE, "image_pins": IMAGE})

    def _stock(self, plan=None):
        """Return what the sidecar reads of the spares of a plan."""
        plan = plan or self.own_plan
        [row] = [row for row in self._sidecar().microsaas_plans([]) if row["id"] == plan.id]
        return row

    def _reserve(self, above=0):
        return self._sidecar().microsaas_reserve_spare(self.own_plan.id, self._stock()["spare_content"], above)

    def _say(self, number, state, image=""):
        return self._sidecar().microsaas_report_spare(number, state, image)

    def _ready(self):
        """Return the number of a spare that can be sold."""
        number = self._reserve()
        self._sidecar().microsaas_assign_ports(number, [])
        self.assertIs(self._say(number, "ready", IMAGE), True)
        return number

    def _spare(self, number):
        return self.env["microsaas.spare"].sudo().search([("number", "=", number)])

    def _row(self, number):
        return next((row for row in self._sidecar().microsaas_spares() if row["id"] == number), None)

    def _claim(self, move=None, above=0):
        units = [{"line_id": (move or self._invoice()).invoice_line_ids.id, "unit": 1}]
        return self.env["odoo.docker.instance"].browse(self._claimed_ids(units, above)).sudo()

    # -- how many ----------------------------------------------------------------------------------

    def test_a_plan_says_how_many_and_by_itself_one_if_it_was_sold_lately(self):
        self.assertEqual(self._stock()["spares"], 2)
        self.own_plan.microsaas_spares = 0
        self.assertEqual(self._stock()["spares"], 0)
        plan = self._product("Other plan", es_plan_microsaas=True, microsaas_desde="2020-01-01")
        template = plan.product_tmpl_id.sudo()
        self.assertEqual(template.microsaas_spares, -1)
        template.microsaas_listo = True
        self.assertEqual((self._stock(template)["spares"], self._stock(template)["recent_sales"]), (0, 0))
        instances = [self._claim(self._invoice(self._line(plan))) for _time in range(2)]
        self.assertEqual((self._stock(template)["spares"], self._stock(template)["recent_sales"]), (1, 2))
        self.cr.execute(
            "UPDATE odoo_docker_instance SET create_date = create_date - interval '31 days' WHERE id = ANY(%s)",
            [[one.id for one in instances]],
        )
        self.assertEqual((self._stock(template)["spares"], self._stock(template)["recent_sales"]), (0, 0))

    def test_none_is_wanted_of_a_plan_that_cannot_use_one(self):
        for vals in ({"microsaas_listo": False}, {"microsaas_provision": "manual"}):
            with self.subTest(vals), self.cr.savepoint() as savepoint:
                self.own_plan.write(vals)
                self.assertEqual(self._stock()["spares"], 0)
                savepoint.rollback()
            self.env.invalidate_all()
        self.assertEqual(self._stock()["spares"], 2)

    def test_a_plan_keeps_at_most_twenty(self):
        for number in (-2, 21):
            with self.subTest(number), self.assertRaises(ValidationError), self.cr.savepoint():
                self.own_plan.microsaas_spares = number
        self.own_plan.microsaas_spares = 20

    # -- making ------------------------------------------------------------------------------------

    def test_numbers_of_spares_and_instances_are_one_growing_row(self):
        numbers = [self._instance().id, self._reserve(), self._instance().id, self._reserve()]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(self._sidecar().microsaas_hello("abc123")["highest_instance"], numbers[-1])
        seen = numbers[-1] + 40
        self.assertEqual(self._reserve(above=seen), seen + 1)
        self.assertEqual(self._instance().id, seen + 2)

    def test_none_is_reserved_of_what_the_plan_is_no_more(self):
        content = self._stock()["spare_content"]
        reserve = self._sidecar().microsaas_reserve_spare
        self.assertEqual(reserve(0x7FFFFFFF, content, 0), 0)
        self.assertEqual(reserve(self.own_plan.id, "other", 0), 0)
        for vals in ({"microsaas_listo": False}, {"active": False}, {"es_plan_microsaas": False}):
            with self.subTest(vals), self.cr.savepoint() as savepoint:
                self.own_plan.write(vals)
                self.assertEqual(reserve(self.own_plan.id, content, 0), 0)
                savepoint.rollback()
            self.env.invalidate_all()
        self.assertGreater(reserve(self.own_plan.id, content, 0), 0)

    def test_no_port_is_given_twice(self):
        self._set_param("http_port_last", "20002")
        sidecar, number, instance = self._sidecar(), self._reserve(), self._instance()
        self.assertEqual(sidecar.microsaas_assign_ports(number, []), {"http_port": 20002, "longpolling_port": 29999})
        self.assertEqual(sidecar.microsaas_assign_ports(number, [29999])["longpolling_port"], 29998)
        with self.assertRaisesRegex(ValidationError, "20002"), self.cr.savepoint():
            instance.http_port = 20002
        self.assertNotEqual(self._instance(http_port=20002).http_port, 20002)
        self.assertEqual(sidecar.microsaas_assign_ports(instance.id, [20000, 20001])["http_port"], 0)
        other = sidecar.microsaas_assign_ports(self._reserve(), [])
        self.assertNotIn(other["http_port"], (0, 20002))
        row = self._row(number)
        self.assertEqual((row["http_port"], row["longpolling_port"]), (20002, 29998))

    def test_the_sidecar_reads_a_spare_as_an_instance_of_nobody(self):
        self.own_plan.write({"microsaas_memory_mb": 512, "microsaas_cpus": 0.5})
        self.own_plan.microsaas_repository_ids = [Command.create({"url": URL, "branch": "19.0"})]
        repository = self.own_plan.microsaas_repository_ids
        self._sidecar().microsaas_report_plan(
            self.own_plan.id, True, "", "", [{"id": repository.id, "commit": "a" * 40}]
        )
        number = self._reserve()
        row = self._row(number)
        [desired] = self._sidecar().microsaas_desired(self._instance().ids)
        self.assertLessEqual(desired.keys(), row.keys())
        self.assertFalse(holds_none(row))
        as_made = {"template_code": "odoo", "memory_mb": 512, "cpus": 0.5, "modules": ["account", "sale"]}
        self.assertEqual({name: row[name] for name in as_made}, as_made)
        [used] = row["repositories"]
        self.assertEqual((used["url"], used["branch"], used["commit"], used["of_plan"]), (URL, "19.0", "a" * 40, True))
        self.assertIn("en_US", row["languages"])
        customer = {"name": "", "company_name": "", "email": "", "lang": "en_US", "country_code": "ES"}
        wish = {"desired_state": "running", "state": "draft", "name": f"Spare {number}", "active": True}
        nobodys = {name: False for name in ("sold_as", "copy_of", "job", "subscription", "was_ready", "from_spare")}
        nobodys |= {"subdomain": "", "former_subdomains": [], "domains": [], "partner_id": 0, "may_adopt": False}
        spare = {"plan_id": self.own_plan.id, "spare_state": "making", "fresh": True, "http_port": 0}
        for expected in ({"customer": customer}, wish, nobodys, spare, {"revision": 0, "without_archive": True}):
            self.assertEqual({name: row[name] for name in expected}, expected)
        # When this transaction began: the tests before it are in it too.
        self.assertAlmostEqual(row["requested_at"], row["now"], delta=3600)
        self.own_plan.microsaas_modules = "sale"
        self.assertEqual(self._row(number)["modules"], ["account", "sale"], "as it was reserved")

    def test_it_is_ready_until_it_is_to_leave_and_forgotten_once_it_is_gone(self):
        number = self._reserve()
        self.assertIs(self._say(number, "gone"), False)
        self.assertIs(self._say(number, "ready", IMAGE), True)
        self.assertEqual((self._row(number)["spare_state"], self._row(number)["image_digest"]), ("ready", IMAGE))
        since = self._spare(number).ready_at - timedelta(days=1)
        self._spare(number).ready_at = since
        self.assertIs(self._say(number, "ready", IMAGE), True)
        self.assertEqual(self._spare(number).ready_at, since)
        for _time in range(2):
            self.assertIs(self._say(number, "leaving"), True)
        self.assertIs(self._say(number, "ready", IMAGE), False)
        self.assertEqual(self._row(number)["spare_state"], "leaving")
        for _time in range(2):
            self.assertIs(self._say(number, "gone"), True)
        self.assertIsNone(self._row(number))
        self.assertIs(self._say(number, "leaving"), False)
        self.assertIs(self._say(number, "ready", IMAGE), False)

    # -- the sale ----------------------------------------------------------------------------------

    def test_a_claim_makes_the_oldest_ready_spare_the_instance(self):
        self._reserve()
        newer, older = self._ready(), self._ready()
        self._spare(older).ready_at -= timedelta(hours=1)
        row, move = self._row(older), self._invoice()
        instance = self._claim(move)
        self.assertEqual(instance.id, older)
        for name in ("identity", "http_port", "longpolling_port", "image_digest"):
            self.assertEqual(instance[name], row[name], name)
        self.assertIsNone(self._row(older))
        self.assertIsNotNone(self._row(newer))
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        self.assertIs(desired["from_spare"], True)
        self.assertEqual(self._claim(move), instance, "claimed again, it stays that one")
        self.assertIsNotNone(self._row(newer))

    def test_what_was_a_spare_is_sold_as_any_other(self):
        number = self._ready()
        instance, usual = self._claim(), self._claim()
        self.assertEqual(instance.id, number)
        self.assertEqual((instance.partner_id, instance.template_id), (usual.partner_id, usual.template_id))
        self.assertEqual((instance.desired_state, instance.state, instance.active), ("running", "draft", True))
        self.assertEqual((instance.unidad, instance.plan_id, instance.name), (1, self.own_plan, usual.name))
        self.assertEqual(instance.subscription_ids.state, "draft")
        self.assertEqual(instance.subscription_ids.partner_id, self.partner)
        self.assertTrue(instance.subdomain)
        self.assertNotEqual(instance.subdomain, usual.subdomain)
        self.assertEqual(len(instance.message_ids), len(usual.message_ids))
        self.assertEqual(instance.create_uid, self.bot)
        self._report(instance, state="running", seconds_to_ready=0.5)
        self.assertEqual((instance.state, instance.was_ready), ("running", True))
        self.assertGreater(self._instance().id, number)

    def test_where_none_is_left_an_instance_is_made_as_ever(self):
        number = self._ready()
        self.assertEqual(self._claim().id, number)
        instance = self._claim()
        self.assertGreater(instance.id, number)
        self.assertEqual((instance.from_spare, instance.http_port), (False, 0))
        [desired] = self._sidecar().microsaas_desired(instance.ids)
        self.assertIs(desired["from_spare"], False)

    def test_two_units_of_one_claim_take_two_spares(self):
        numbers = [self._ready(), self._ready()]
        move = self._invoice(self._line(quantity=3))
        units = [{"line_id": move.invoice_line_ids.id, "unit": unit} for unit in (1, 2, 3)]
        claimed = self._claimed_ids(units)
        self.assertEqual(claimed[:2], numbers)
        self.assertNotIn(claimed[2], numbers)

    def test_a_claim_is_not_above_the_number_of_its_spare(self):
        number = self._ready()
        self.assertEqual(self._claim(above=number + 10).id, number)
        self.assertEqual(self._claim(above=number + 10).id, number + 11)

    def test_one_that_is_not_ready_is_not_sold(self):
        making, leaving = self._reserve(), self._ready()
        self._say(leaving, "leaving")
        self.assertNotIn(self._claim().id, (making, leaving))

    def test_one_that_is_not_as_it_would_be_made_today_is_not_sold(self):
        number = self._ready()
        self.assertTrue(self._row(number)["fresh"])
        plan, template, spare = self.own_plan, self.template, self._spare(number)
        for change in (
            lambda: plan.write({"microsaas_memory_mb": 1024}),
            lambda: plan.write({"microsaas_cpus": 2}),
            lambda: plan.write({"microsaas_modules": "account"}),
            lambda: plan.write({"microsaas_repository_ids": [Command.create({"url": URL})]}),
            lambda: plan.write({"active": False}),
            lambda: plan.write({"es_plan_microsaas": False}),
            lambda: template.write({"image_digest": NEWER, "image_pins": NEWER}),
            lambda: template.write({"active": False}),
            lambda: self.env["res.lang"].sudo()._activate_lang("fr_FR"),
            lambda: self.env.company.sudo().write({"country_id": self.env.ref("base.fr").id}),
            lambda: spare.write({"ready_at": fields.Datetime.now() - timedelta(days=8)}),
        ):
            move = self._invoice()
            with self.cr.savepoint() as savepoint:
                change()
                self.assertIs(self._row(number)["fresh"], False)
                if plan.es_plan_microsaas:
                    self.assertNotEqual(self._claim(move).id, number)
                savepoint.rollback()
            self.env.invalidate_all()
            self.env.registry.clear_all_caches()  # of the languages
        self.assertEqual(self._claim().id, number)

    def test_the_image_may_have_another_name_by_now(self):
        number = self._ready()
        self.template.write({"image_digest": NEWER, "image_pins": f"{NEWER}\n{IMAGE}"})
        self.assertEqual(self._claim().id, number)

    def test_it_is_of_its_customers_country_and_languages(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        number = self._ready()
        self.partner.country_id = self.env.ref("base.fr")
        self.assertNotEqual(self._claim().id, number, "its modules have made it Spanish")
        self.partner.country_id = self.env.ref("base.es")
        made = self._spare(number).made_from
        self._spare(number).made_from = {**made, "languages": ["es_ES"]}
        self.assertNotEqual(self._claim().id, number, "it has no English")
        self.partner.lang = "es_ES"
        self.assertEqual(self._claim().id, number)
        self.own_plan.microsaas_modules = False
        self.own_plan.microsaas_listo = True  # prepared anew
        number = self._ready()
        self.partner.country_id = self.env.ref("base.fr")
        self.assertEqual(self._claim().id, number, "what has no modules is of no country")

    def test_it_has_no_language_whose_code_the_sidecar_cannot_use(self):
        self.patch(type(self.own_plan), "_microsaas_languages", lambda _plan: ["en_US", "es_419", "sr@latin", "a b"])
        self.assertEqual(self._row(self._reserve())["languages"], ["en_US", "es_419", "sr@latin"])

    def test_a_spare_that_was_sold_twice_stays_its_first_customers_and_the_second_gets_another(self):
        number = self._ready()
        second = self._claim()
        move, identity = second.factura_id, second.identity
        self._report(second, state="error", reason="ForeignData")
        lost = {"line_id": move.invoice_line_ids.id, "unit": 1, "made_at": "2020-01-01 00:00:00.000001"}
        ports = {"http_port": second.http_port, "longpolling_port": second.longpolling_port}
        found = {
            **{"id": number, "identity": identity, "name": "First", "template_code": self.template.code, "sold_as": lost},
            **{**ports, "restart_count": 0, "running": True, "was_ready": True, "repositories": []},
        }
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [number])
        again = self.env["odoo.docker.instance"].browse(number).sudo()
        self.assertEqual((again.name, again.identity, again.was_ready), ("First", identity, True))
        newcomer = self.env["odoo.docker.instance"].sudo().search([("factura_id", "=", move.id)])
        self.assertEqual((len(newcomer), newcomer.unidad, newcomer.desired_state), (1, 1, "running"))
        self.assertNotIn(number, newcomer.ids)
        self.assertNotEqual(newcomer.identity, identity)
        self.assertIs(newcomer.from_spare, False, "it is made for its customer")
        # Once more: it has its record.
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [number])
        self.assertEqual(again.identity, identity)

    def test_one_whose_port_somebody_else_has_is_not_sold(self):
        number, instance = self._ready(), self._instance()
        self.env.flush_all()
        # As if it had been typed at the same moment: neither saw the other.
        self.cr.execute(
            "UPDATE odoo_docker_instance SET http_port = %s WHERE id = %s", [self._spare(number).http_port, instance.id]
        )
        self.env.invalidate_all()
        self.assertIs(self._row(number)["fresh"], False)
        self.assertNotEqual(self._claim().id, number)

    def test_another_plans_spare_and_a_deleted_plans_are_not_sold(self):
        number = self._ready()
        plan = self._product("Other plan", es_plan_microsaas=True, microsaas_desde="2020-01-01")
        self.assertNotEqual(self._claim(self._invoice(self._line(plan))).id, number)
        spare = self._spare(number)
        self.own_plan.with_context(active_test=False).product_variant_ids.unlink()
        self.own_plan.exists().unlink()
        self.env.invalidate_all()
        self.assertTrue(spare.exists(), "the sidecar has still to remove it")
        row = self._row(number)
        self.assertEqual((row["plan_id"], row["fresh"]), (0, False))
        self.assertTrue(self._say(number, "leaving") and self._say(number, "gone"))

    def test_by_hand_an_instance_is_made_as_ever(self):
        number = self._ready()
        self.assertNotEqual(self._instance().id, number)
        self.assertIsNotNone(self._row(number))

    def test_nobody_chooses_the_number_of_an_instance(self):
        for values in ({"id": 4_000_000}, {"from_spare": True}):
            with self.subTest(values), self.assertRaises(AccessError):
                self._instance(**values)

    # -- a database restored from an older copy ----------------------------------------------------

    def test_what_was_a_spare_in_an_older_copy_is_sold_to_nobody(self):
        number = self._ready()
        self._sidecar().microsaas_distrust("older", number, [])
        self.assertIsNone(self._row(number))
        self.assertGreater(self._claim().id, number)

    def test_an_instance_that_is_found_takes_its_number_back(self):
        number = self._ready()
        found = {**self._row(number), "name": "Luna", "running": True, "was_ready": True, "repositories": []}
        self.assertEqual(self._sidecar().microsaas_adopt([found]), [number])
        self.assertIsNone(self._row(number))
        self.assertEqual(self.env["odoo.docker.instance"].browse(number).name, "Luna")

    # -- who sees it -------------------------------------------------------------------------------

    def test_nothing_of_customers_shows_one(self):
        number = self._ready()
        sidecar = self._sidecar()
        self.assertFalse(self.env["odoo.docker.instance"].sudo().with_context(active_test=False).browse(number).exists())
        self.assertNotIn(number, [row["id"] for row in sidecar.microsaas_states()])
        self.assertNotIn(number, [row["id"] for row in sidecar.microsaas_routes()])
        self.assertNotIn(number, sidecar.microsaas_due(10_000))
        self.assertEqual(sidecar.microsaas_desired([number]), [])

    def test_managers_see_the_list_and_nobody_else_does(self):
        number = self._ready()
        own = self.env["microsaas.spare"]
        self.assertIn(number, own.with_user(self.manager).search([]).mapped("number"))
        for user in (self.seller, self.invoicer, self.employee, self.bot):
            with self.assertRaises(AccessError):
                own.with_user(user).search([])
        for forbidden in (
            lambda: self._spare(number).with_user(self.manager).write({"state": "leaving"}),
            lambda: self._spare(number).with_user(self.manager).unlink(),
        ):
            with self.assertRaises(AccessError):
                forbidden()
        self.own_plan.company_id = self.env.company
        self.assertFalse(own.with_user(self._stranger()).search([("number", "=", number)]))
