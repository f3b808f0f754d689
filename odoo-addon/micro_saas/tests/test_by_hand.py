import json

from lxml import etree

from odoo.exceptions import AccessError, ValidationError
from odoo.tests import HttpCase, tagged
from odoo.tools import mute_logger

from ..models.by_hand import BY_HAND, COPIED, by_hand, our_fields
from .common import MicroSaasCommon

NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


class ByHandCase(MicroSaasCommon, HttpCase):
    """Every field of every model of ours over real RPC, as each kind of user."""

    PEOPLE = ("seller", "manager", "invoicer", "employee", "bot")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for login in cls.PEOPLE:
            getattr(cls, login).sudo().password = login * 3

    def _records(self):
        """Return one record of each guarded model, with sudo."""
        instance = self._instance().sudo()
        subscription = instance.subscription_ids
        repositories = self.env["odoo.docker.repository"].sudo()
        renewals = self.env["microsaas.renewal"].sudo()
        notices = self.env["microsaas.notice"].sudo()
        rollout = self.env["microsaas.rollout"].sudo().create({})
        webhook = self.env["microsaas.webhook"].sudo().create({"name": "CRM", "url": "https://example.com/"})
        return [
            instance,
            repositories.create({"instance_id": instance.id, "url": "https://github.com/OCA/web.git"}),
            self.template,
            subscription,
            renewals.create({"subscription_id": subscription.id, "fecha_fin_nueva": "2026-12-31"}),
            self.env["microsaas.plan.change"].sudo().create(
                {
                    "subscription_id": subscription.id,
                    "old_product_id": self.plan.id,
                    "new_product_id": self.plan.id,
                    "state": "withdrawn",
                    "currency_id": self.env.company.currency_id.id,
                }
            ),
            notices.create({"subscription_id": subscription.id, "kind": "welcome", "period": ""}),
            self.env["microsaas.charge"].sudo().create(
                {
                    "subscription_id": subscription.id,
                    "last_day": "2026-12-31",
                    "day": "2026-12-28",
                    "amount": 30,
                    "currency_id": self.env.company.currency_id.id,
                }
            ),
            self.env["payment.transaction"].sudo().create(
                {
                    "provider_id": self.env["payment.provider"].sudo().search([], limit=1).id,
                    "payment_method_id": self.env["payment.method"].sudo().with_context(active_test=False).search([], limit=1).id,
                    "currency_id": self.env.company.currency_id.id,
                    "partner_id": self.partner.id,
                    "amount": 30,
                    "reference": "by hand",
                }
            ),
            self.env["microsaas.brake"].sudo().create({"taken": 1, "fleet": 2}),
            self.env["microsaas.sidecar"].sudo().search([], limit=1),
            self.env["microsaas.reserved.port"].sudo().create(
                {"port": 20123, "purpose": "http_port", "instance_id": instance.id}
            ),
            self.env["microsaas.spare"].sudo().create(
                {"number": 4_000_000, "identity": "spare", "made_from": {}, "content": "none"}
            ),
            self.env["microsaas.subdomain"].sudo().search([("instance_id", "=", instance.id)]),
            self.env["microsaas.former.domain"].sudo().create(
                {"name": "luna.es", "partner_id": self.partner.id, "removed_at": "2026-11-27 10:00:00"}
            ),
            self.env["microsaas.domain"].sudo().create({"name": "www.luna.es", "instance_id": instance.id}),
            self.env["microsaas.backup"].sudo().create(
                {"instancia_id": instance.id, "snapshot": "a" * 64, "date": "2026-11-27 03:00:00", "state": "done"}
            ),
            self.env["microsaas.job"].sudo().create({"instancia_id": instance.id, "kind": "backup"}),
            rollout,
            self.env["microsaas.rollout.line"].sudo().create({"rollout_id": rollout.id, "instance_id": instance.id}),
            webhook,
            self.env["microsaas.webhook.message"].sudo().create({"webhook_id": webhook.id, "kind": "x", "body": "{}"}),
            self.env["microsaas.use.sample"].sudo().create(
                {"instance_id": instance.id, "period": "day", "at": "2026-11-27 00:00:00"}
            ),
            self.env["microsaas.limit"].sudo().create(
                {"instance_id": instance.id, "resource": "disk", "since": "2026-11-27 10:00:00"}
            ),
            instance.factura_id.sudo(),
            instance.linea_factura_id.sudo(),
            self.plan.product_tmpl_id.sudo(),
        ]

    def _call(self, model, method, *args):
        """Call a method as the web client does; returns the answer's `error`, None if it went well."""
        params = {"model": model, "method": method, "args": args, "kwargs": {}}
        response = self.url_open(
            f"/web/dataset/call_kw/{model}/{method}",
            data=json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}),
            headers={"Content-Type": "application/json"},
        )
        return response.json().get("error")

    def _refused(self, error):
        return bool(error) and error["data"]["name"] == "odoo.exceptions.AccessError"

    def check_nothing_else_is_written(self, records):
        """Every field of every model that the table does not name, as each kind of user; over RPC where rights are widest."""
        for person in self.PEOPLE:
            user = getattr(self, person)
            self.authenticate(person, person * 3)
            for record in records:
                own = record.with_user(user)
                for name in sorted(our_fields(record) - by_hand(own)):
                    what = f"{person}: {record._name}.{name}"
                    if person in ("seller", "invoicer"):
                        with mute_logger("odoo.http"):
                            error = self._call(record._name, "write", record.ids, {name: False})
                        self.assertTrue(self._refused(error), f"{what}: {error}")
                    else:
                        with self.assertRaises(AccessError, msg=what):
                            own.write({name: False})
                for name in sorted(our_fields(record) - by_hand(own, is_creating=True)):
                    with self.assertRaises(AccessError, msg=f"{person}: {record._name}.{name} at creation"):
                        own.browse().create([{name: False}])


@tagged("post_install", "-at_install")
class TestByHand(ByHandCase):
    def test_every_guarded_model_is_tried(self):
        tried = {record._name for record in self._records()}
        self.assertEqual({name for name in BY_HAND if not name.startswith(("sale.", "microsaas.instance."))}, tried)
        ours = {
            name
            for name, model in self.env.registry.items()
            # What has no table of its own cannot be written.
            if model._original_module == "micro_saas" and not model._abstract and not model._transient and model._auto
        }
        self.assertLessEqual(ours, set(BY_HAND), "a model of ours that nothing guards")

    def test_nothing_else_is_written(self):
        self.check_nothing_else_is_written(self._records())

    def test_what_a_form_can_change_is_written_by_hand(self):
        """Whoever may write a model saves its form: what can be changed there is in the table, and the table is true."""
        self.seller.sudo().group_ids += self.env.ref("product.group_product_manager")
        for model in BY_HAND:
            for view in self.env["ir.ui.view"].sudo().search([("model", "=", model), ("type", "=", "form")]):
                if not (view.get_external_id()[view.id] or "").startswith("micro_saas"):
                    continue
                for person in ("seller", "manager", "invoicer"):
                    own = self.env[model].with_user(getattr(self, person))
                    for right in ("write", "create"):
                        if own.has_access(right):
                            changed = self._changed_by_form(own, view, is_creating=right == "create")
                            refused = changed - by_hand(own, is_creating=right == "create")
                            self.assertFalse(refused, f"{person}: {right} by {view.name}")

    def _changed_by_form(self, model, view, is_creating):
        """Return the names of our fields that a form lets the user change."""
        base = view if view.mode == "primary" else view.inherit_id
        form = etree.fromstring(model.get_view(base.id, "form")["arch"])
        readonly = ("1", "True", "true") if is_creating else ("1", "True", "true", "id")
        return {
            node.get("name")
            for node in form.iterfind(".//field")
            if not any(parent.tag == "field" for parent in node.iterancestors())
            and node.get("name") in our_fields(model)
            and not model._fields[node.get("name")].readonly
            and node.get("readonly") not in readonly
        }

    def test_what_people_write(self):
        instance = self._instance()
        subscription = instance.subscription_ids
        other = self.env["res.partner"].sudo().create({"name": "Other"})
        wishes = {"name": "Luna", "partner_id": other.id, "template_id": self.template.id, "http_port": 20123}
        self.authenticate("seller", "seller" * 3)
        self.assertIsNone(self._call(instance._name, "write", instance.ids, wishes))
        repository = {"instance_id": instance.id, "url": "https://github.com/OCA/web.git"}
        self.assertIsNone(self._call("odoo.docker.repository", "create", repository))
        self.assertIsNone(self._call(instance._name, "start_instance", instance.ids))
        with mute_logger("odoo.http"):
            end = {"fecha_fin": "2030-01-01"}
            self.assertTrue(self._refused(self._call(subscription._name, "write", subscription.ids, end)))
        self.authenticate("manager", "manager" * 3)
        self.assertIsNone(self._call(subscription._name, "write", subscription.ids, end))
        self.env.invalidate_all()
        self.assertEqual((instance.name, instance.desired_state), ("Luna", "running"))
        self.assertEqual(str(subscription.fecha_fin), "2030-01-01")

    def test_a_credit_note_still_knows_its_lines(self):
        move = self._invoice()
        credit = self._credit(move)
        self.assertEqual(credit.invoice_line_ids.microsaas_origen_id, move.invoice_line_ids)
        stranger = self._invoice().invoice_line_ids
        self.env.cr.precommit.data.pop(COPIED)  # as at the end of a transaction
        with self.assertRaises(AccessError):
            move.with_user(self.invoicer).copy(
                {"invoice_line_ids": [(0, 0, {"product_id": self.plan.id, "microsaas_origen_id": stranger.id})]}
            )

    def test_numbers_are_finite(self):
        instance, draft = self._instance(), self._invoice(post=False)
        for number in NOT_FINITE:
            for write in (
                lambda number=number: instance.sudo().write({"requested_at": number}),
                lambda number=number: self.plan.sudo().product_tmpl_id.write({"microsaas_cpus": number}),
                lambda number=number: draft.invoice_line_ids.write({"quantity": number}),
                lambda number=number: self._invoice(self._line(quantity=number), post=False),
            ):
                with self.assertRaises(ValidationError), self.cr.savepoint():
                    write()

    def test_one_bad_row_poisons_no_answer(self):
        bad, good, invoice = self._instance(), self._instance(), self._invoice()
        self.env.flush_all()
        self.cr.execute("UPDATE odoo_docker_instance SET requested_at = 'NaN' WHERE id = %s", [bad.id])
        self.cr.execute(
            "UPDATE account_move_line SET quantity = 'NaN' WHERE id = %s", [invoice.invoice_line_ids.id]
        )
        self.env.invalidate_all()
        rows = self._sidecar().microsaas_desired((bad | good).ids)
        json.dumps(rows, allow_nan=False)
        self.assertEqual(rows[0]["requested_at"], 0.0)
        moves = self._sidecar()
        self.assertNotIn(invoice.id, moves.microsaas_unclaimed(100))
        json.dumps(moves.microsaas_invoice(invoice.id), allow_nan=False)
