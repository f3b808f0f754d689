import time
from datetime import datetime, timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import tagged

from .common import MicroSaasCommon


def holds_none(value):
    """Tell whether None is anywhere in `value`: XML-RPC cannot carry it."""
    if isinstance(value, dict):
        return any(holds_none(one) for one in value.values())
    return value is None or (isinstance(value, list) and any(map(holds_none, value)))


@tagged("post_install", "-at_install")
class TestInstanceMethods(MicroSaasCommon):
    def test_hello_keeps_the_first_install_id(self):
        hello = self._sidecar().microsaas_hello("abc123")
        self.assertEqual(hello["install_id"], "abc123")
        self.assertEqual(hello["http_ports"], [20000, 24999])
        self.assertEqual(hello["longpolling_ports"], [25000, 29999])
        self.assertRegex(hello["addon_version"], r"^\d+\.0\.1\.0\.0$")
        self.assertEqual(self._sidecar().microsaas_hello("other9")["install_id"], "abc123")

    def test_hello_says_whether_mails_leave_and_who_sends_them(self):
        self.env["ir.mail_server"].sudo().search([]).active = False
        company = self._sidecar().env.company.sudo()
        company.write({"email": False, "alias_domain_id": False})
        hello = self._sidecar().microsaas_hello("abc123")
        self.assertEqual((hello["has_mail_server"], hello["has_company_email"]), (False, False))
        self.env["ir.mail_server"].sudo().create({"name": "relay", "smtp_host": "smtp.example.com"})
        company.email = "office@hosting.example.com"
        hello = self._sidecar().microsaas_hello("abc123")
        self.assertEqual((hello["has_mail_server"], hello["has_company_email"]), (True, True))

    def test_due_is_oldest_first_and_knows_archived_rows(self):
        first, second, third = (self._instance() for _i in range(3))
        now = fields.Datetime.now()
        first.sudo().next_review = now - timedelta(minutes=1)
        second.sudo().write({"next_review": now - timedelta(minutes=2), "active": False})
        second.sudo().next_review = now - timedelta(minutes=2)
        third.sudo().next_review = now + timedelta(minutes=5)
        due = [row for row in self._sidecar().microsaas_due(1000) if row in (first | second | third).ids]
        self.assertEqual(due, [second.id, first.id])
        self.assertEqual(len(self._sidecar().microsaas_due(1)), 1)

    def test_desired(self):
        instance = self._instance(name="Luna", repository_ids=[(0, 0, {"url": "https://x/y.git"})])
        [desired] = self._sidecar().microsaas_desired([instance.id, 0x7FFFFFFF])
        self.assertFalse(holds_none(desired))
        self.assertEqual(desired["name"], "Luna")
        self.assertEqual(desired["template_code"], "odoo")
        self.assertEqual(desired["modules"], ["account", "sale"])
        self.assertEqual(
            desired["customer"],
            {
                "name": "Panadería Luna",
                "company_name": "Panadería Luna",
                "email": "luna@example.com",
                "lang": "en_US",
                "country_code": "ES",
            },
        )
        self.assertEqual(
            desired["repositories"],
            [
                {
                    "id": instance.repository_ids.id,
                    "url": "https://x/y.git",
                    "branch": "",
                    "commit": "",
                    "of_plan": False,
                }
            ],
        )
        subscription = desired["subscription"]
        self.assertEqual((subscription["id"], subscription["state"]), (instance.subscription_ids.id, "draft"))
        self.assertAlmostEqual(desired["now"], time.time(), delta=60)
        bare = self.env["odoo.docker.instance"].sudo().create({"name": "Bare"})
        bare.subscription_ids.unlink()
        [desired] = self._sidecar().microsaas_desired(bare.ids)
        self.assertFalse(holds_none(desired))
        self.assertIs(desired["subscription"], False)

    def test_report_writes_what_it_is_given(self):
        instance = self._instance()
        review = fields.Datetime.now() + timedelta(minutes=5)
        self._report(
            instance,
            state="running",
            reason="UnknownTemplate",
            detail="moon",
            http_port=20005,
            longpolling_port=25005,
            instance_url="http://localhost:20005",
            log=["10:00 started", {"at": "10:01", "reason": "Running", "detail": ""}],
            next_review=fields.Datetime.to_string(review),
            seconds_to_ready=1.25,
            subscription={"state": "active", "fecha_inicio": "2026-01-01", "fecha_fin": "2026-01-31"},
        )
        self.assertEqual(instance.state, "running")
        self.assertEqual(instance.phase_message, "There is no template “moon”.")
        self.assertEqual(instance.log, "10:01 Running.\n10:00 started")
        self.assertEqual(instance.next_review, review)
        self.assertEqual(instance.segundos_hasta_listo, 1.25)
        self.assertTrue(instance.was_ready)
        self.assertEqual(instance.revision, 0)
        self.assertEqual(fields.Date.to_string(instance.subscription_ids.fecha_fin), "2026-01-31")
        self._report(instance, reason="", detail="", next_review=False, subscription={"fecha_fin": ""})
        self.assertFalse(instance.phase_message or instance.next_review)
        self.assertFalse(instance.subscription_ids.fecha_fin)
        self.assertEqual((instance.state, instance.http_port), ("running", 20005))

    def test_the_log_says_why_something_was_restarted_and_the_messages_once_an_hour(self):
        instance = self._running()
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        instance.company_id.sudo().partner_id.lang = "es_ES"
        line = {"at": "10:01", "reason": "Starting", "detail": "", "because": "ContainersGone"}
        self._report(instance, log=[line])
        self.assertEqual(instance.log, "10:01 Starting the instance. Its containers were gone.")
        said = "Iniciando la instancia. Sus contenedores habían desaparecido."

        def notes():
            return [message for message in instance.sudo().message_ids if said in (message.body or "")]

        self.assertEqual(len(notes()), 1)
        self._report(instance, log=[line])
        self.assertEqual(len(notes()), 1)
        instance.sudo().drift_noted_at -= timedelta(hours=2)
        self._report(instance, log=[line, {"at": "10:02", "reason": "Running", "detail": ""}])
        self.assertEqual(len(notes()), 2)
        # Of a later version, and of one that gives no cause.
        self._report(instance, log=[{**line, "because": "Unheard"}, {**line, "because": ""}])
        self.assertTrue(instance.log.startswith("10:01 Starting the instance.\n10:01 Starting the instance.\n10:02"))
        self.assertEqual(len(notes()), 2)

    def test_an_operator_is_told_since_when_and_why_an_instance_is_as_it_is(self):
        instance = self._instance()
        instance.start_instance()

        def told(lines=2):
            [row] = self._sidecar().microsaas_told([instance.id, instance.id + 1000], lines)
            return row

        self.assertEqual(told(), {"id": instance.id, "since_at": 0, "sentence": "", "log": []})
        self._report(instance, reason="Rendering", log=["one", "two", "three"])
        began = told()
        self.assertEqual(began["sentence"], "Writing the configuration.")
        self.assertEqual(began["log"], ["three", "two"])
        self.assertEqual(told(0)["log"], [])
        self.assertAlmostEqual(began["since_at"], time.time(), delta=60)
        instance.sudo().shown_since -= timedelta(hours=1)
        self._report(instance, reason="Starting")
        self.assertAlmostEqual(told()["since_at"], time.time() - 3600, delta=60)
        self._report(instance, state="running", reason="Running")
        self.assertAlmostEqual(told()["since_at"], time.time(), delta=60)
        with self.assertRaises(AccessError):
            self.env["microsaas.sidecar.api"].with_user(self.seller).microsaas_told(instance.ids, 1)

    def test_a_report_without_news_writes_nothing(self):
        instance = self._instance()
        report = {"state": "running", "reason": "Running", "next_review": "2040-01-01 00:00:00"}
        self._report(instance, **report)
        self.env.flush_all()
        self.cr.execute("UPDATE odoo_docker_instance SET write_date = '2000-01-01'")
        instance.invalidate_recordset()
        self._report(instance, **report)
        self.assertEqual(instance.write_date, datetime(2000, 1, 1))

    def test_a_report_about_an_older_wish_is_reviewed_at_once(self):
        instance = self._instance()
        revision = instance.revision
        instance.start_instance()
        report = {"id": instance.id, "revision": revision, "next_review": "2040-01-01 00:00:00"}
        self._sidecar().microsaas_report([report])
        self.assertLessEqual(instance.next_review, fields.Datetime.now())

    def test_the_log_keeps_the_newest(self):
        instance = self._instance()
        for number in range(30):
            self._report(instance, log=[f"{number} " + "x" * 500])
        self.assertLessEqual(len(instance.log), 10_000)
        self.assertTrue(instance.log.startswith("29 x"))
        self.assertTrue(all(line.endswith("x" * 500) for line in instance.log.splitlines()))
        self._report(instance, log=["y" * 20_000])
        self.assertEqual(instance.log, "y" * 10_000)

    def test_a_taken_port_is_refused(self):
        self._instance(http_port=20000)
        other = self._instance()
        with self.assertRaisesRegex(ValidationError, "20000"), self.cr.savepoint():
            self._report(other, http_port=20000)
        self._report(other, http_port=20001)

    def test_claim_is_idempotent(self):
        move = self._invoice(self._line(quantity=2))
        units = [{"line_id": move.invoice_line_ids.id, "unit": unit} for unit in (2, 1)]
        claimed = self._sidecar().microsaas_claim(units)
        ids = [row["id"] for row in claimed]
        self.assertEqual(self._claimed_ids(units), ids)
        rows = self._sidecar().microsaas_desired(ids)
        self.assertEqual([{**row, "now": 0} for row in claimed], [{**row, "now": 0} for row in rows])
        second, first = self.env["odoo.docker.instance"].browse(ids)
        self.assertEqual((first.unidad, second.unidad), (1, 2))
        self.assertEqual((first.state, first.desired_state), ("draft", "running"))
        self.assertEqual(first.subscription_ids.state, "draft")
        [desired] = self._sidecar().microsaas_desired(first.ids)
        self.cr.execute("SELECT max(create_date) FROM account_partial_reconcile")
        [paid_at] = self.cr.fetchone()
        self.assertAlmostEqual(desired["requested_at"], (paid_at - datetime(1970, 1, 1)).total_seconds(), 5)

    def test_claim_refuses_what_is_not_sold(self):
        unpaid, paid = self._invoice(pay=False), self._invoice()
        for line, unit in ((unpaid.invoice_line_ids, 1), (paid.invoice_line_ids, 2), (paid.invoice_line_ids, 0)):
            with self.assertRaises(UserError), self.cr.savepoint():
                self._claimed_ids([{"line_id": line.id, "unit": unit}])

    def test_templates_are_kept_in_step(self):
        templates = self._sidecar()
        one = {"code": "odoo", "name": "Odoo 19", "odoo_version": "19.0"}
        two = {"code": "odoo-own-db", "name": "Own database", "odoo_version": "19.0"}
        self.assertIs(templates.microsaas_sync([one, two]), True)
        self.assertEqual(self.template.name, "Odoo 19")
        own = self.env["docker.compose.template"].sudo().search([("code", "=", "odoo-own-db")])
        templates.microsaas_sync([one])
        self.assertFalse(own.active)
        templates.microsaas_sync([one, two])
        self.assertTrue(own.active)


@tagged("post_install", "-at_install")
class TestInvoiceMethods(MicroSaasCommon):
    sells_beforehand = False

    def _unclaimed(self):
        return self._sidecar().microsaas_unclaimed(1000)

    def test_unclaimed_is_what_was_sold_and_paid(self):
        manual = self._product("By hand", es_plan_microsaas=True, microsaas_provision="manual")
        future = self._product("New plan", es_plan_microsaas=True, microsaas_desde="2099-01-01")
        unwanted = [
            self._invoice(pay=False),
            self._invoice(post=False),
            self._invoice(self._line(manual)),
            self._invoice(self._line(future)),
            self._invoice(self._line(self._product("A book"))),
            self._invoice(self._line(quantity=-1), self._line(self._product("Book"), quantity=5)),
        ]
        credited = self._invoice()
        self._credit(credited)
        held = self._invoice()
        self._sidecar().microsaas_hold_invoice(held.id, "TooManyUnits", "21\n20")
        free, paid = self._invoice(self._line(discount=100)), self._invoice(self._line(quantity=2))
        unclaimed = self._unclaimed()
        for move in [*unwanted, credited, held]:
            self.assertNotIn(move.id, unclaimed)
        self.assertIn(free.id, unclaimed)
        self.assertIn(paid.id, unclaimed)
        claim = [{"line_id": paid.invoice_line_ids.id, "unit": 1}]
        [claimed] = self._claimed_ids(claim)
        self.assertIn(paid.id, self._unclaimed())
        self._claimed_ids([{**claim[0], "unit": 2}])
        self.assertNotIn(paid.id, self._unclaimed())
        self._sidecar().microsaas_report([{"id": claimed, "revision": 0, "active": False}])
        self.assertNotIn(paid.id, self._unclaimed())

    def test_oldest_payment_first(self):
        first, second = self._invoice(pay=False), self._invoice(pay=False)
        for move, paid in ((second, "2020-01-01"), (first, "2020-01-02")):
            self._pay(move)
            self.env.flush_all()
            self.cr.execute(
                """UPDATE account_partial_reconcile SET create_date = %s
                    WHERE debit_move_id IN (SELECT id FROM account_move_line WHERE move_id = %s)""",
                [paid, move.id],
            )
        unclaimed = [row for row in self._unclaimed() if row in (first | second).ids]
        self.assertEqual(unclaimed, [second.id, first.id])

    def test_invoice(self):
        move = self._invoice(self._line(quantity=2), self._line(self._product("A book")))
        self._instance(move)
        invoice = self._sidecar().microsaas_invoice(move.id)
        self.assertFalse(holds_none(invoice))
        self.assertEqual((invoice["payment_state"], invoice["reversed_ratio"]), ("paid", 0.0))
        plan, book = invoice["lines"]
        self.assertEqual((plan["is_plan"], plan["provision"], plan["claimed"]), (True, "automatic", [1]))
        self.assertEqual((plan["desde"], plan["quantity"], plan["price_subtotal"]), ("2020-01-01", 2, 60))
        self.assertFalse(book["is_plan"])
        self.assertEqual(plan["backlog"], 1)
        self._invoice(self._line(quantity=3))
        invoice = self._sidecar().microsaas_invoice(move.id)
        self.assertEqual([line["backlog"] for line in invoice["lines"]], [4, 0])
        self.assertEqual(self._sidecar().microsaas_invoice(0x7FFFFFFF), {})

    def test_reversed_ratio(self):
        move = self._invoice(self._line(quantity=4))
        credit = self._credit(move, post=False)
        credit.invoice_line_ids.quantity = 1
        credit.action_post()
        invoices = self._sidecar()
        self.assertEqual(invoices.microsaas_invoice(move.id)["reversed_ratio"], 0.25)
        unpaid = self._invoice(pay=False)
        self._credit(unpaid)
        self.assertEqual(invoices.microsaas_invoice(unpaid.id)["reversed_ratio"], 1.0)

    def test_hold_is_said_once_and_ends(self):
        move = self._invoice()
        invoices = self._sidecar()
        for _time in range(2):
            self.assertIs(invoices.microsaas_hold_invoice(move.id, "TooManyUnits", "21\n20"), True)
        self.assertEqual(len(move.activity_ids), 1)
        invoices.microsaas_hold_invoice(move.id, "", "")
        self.assertFalse(move.activity_ids or move.microsaas_hold)
