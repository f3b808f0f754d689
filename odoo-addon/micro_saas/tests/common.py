import base64
import hashlib
import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from odoo import Command, fields

from odoo.addons.account.tests.common import AccountTestInvoicingCommon
from odoo.addons.mail.tests.common import mail_new_test_user


class MicroSaasCommon(AccountTestInvoicingCommon):
    """One plan, one template, and a user of each kind; invoices are posted and paid as people do it."""

    # Most of the time of a test is an invoice and its payment: the first that a test wants is made once for all of its class. Not where
    # what a paid invoice brings about is looked at, or a setting before it. What every test of a class wants beside it, setUpClass makes.
    sells_beforehand = True
    _sold_beforehand = None

    @classmethod
    def setup_independent_company(cls, **_kwargs):
        # The tests' database is a new one, and its company has a chart of accounts: another takes two seconds, in each class.
        return None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        company = {"company_id": cls.env.company.id, "company_ids": [Command.set(cls.env.company.ids)]}
        cls.seller, cls.manager, cls.invoicer, cls.bot, cls.employee = (
            mail_new_test_user(cls.env(su=True), login, groups=groups, **company)
            for login, groups in {
                "seller": "micro_saas.group_microsaas_user,account.group_account_invoice",
                "manager": "micro_saas.group_microsaas_manager,account.group_account_invoice",
                "invoicer": "account.group_account_invoice",
                "bot": "micro_saas.group_microsaas_sidecar",
                "employee": "base.group_user",
            }.items()
        )
        # The database may have been made in another language, and have no English.
        cls.env["res.lang"].sudo()._activate_lang("en_US")
        people = cls.env.company.partner_id | cls.env.ref("base.public_user").sudo().partner_id
        people.sudo().lang = "en_US"
        cls.env["ir.default"].sudo().set("res.partner", "lang", "en_US")  # of pages for visitors, and of new people
        cls.template = cls.env["docker.compose.template"].sudo().create({"name": "Odoo", "code": "odoo"})
        cls.plan = cls._product("Odoo hosting", es_plan_microsaas=True, microsaas_modules="account, sale")
        cls.plan.microsaas_desde = "2020-01-01"
        cls.partner = cls.env["res.partner"].create(
            {
                "name": "Panadería Luna",
                "email": "luna@example.com",
                "lang": "en_US",  # the database may have been made in another language
                "country_id": cls.env.ref("base.es").id,
            }
        )
        if cls.sells_beforehand:
            cls._sold_beforehand = cls._new_invoice()
            # Postgres has them as empty, and would read a whole table for each row of another one.
            cls.env.flush_all()
            cls.cr.execute("ANALYZE account_move, account_move_line, account_payment, account_partial_reconcile")

    def setUp(self):
        super().setUp()
        # What a test takes is there for the next one.
        self.addCleanup(setattr, type(self), "_sold_beforehand", self._sold_beforehand)

    def _stranger(self, groups="micro_saas.group_microsaas_manager,account.group_account_invoice"):
        """Return a user of another company."""
        other = self.env["res.company"].sudo().create({"name": "Other company"})
        company = {"company_id": other.id, "company_ids": [Command.set(other.ids)]}
        return mail_new_test_user(self.env(su=True), "stranger", groups=groups, **company)

    @classmethod
    def _product(cls, name, **vals):
        template = cls.env["product.template"].sudo().create({"name": name, "list_price": 30.0, **vals})
        return template.product_variant_id

    @classmethod
    def _line(cls, product=None, quantity=1, **vals):
        product = product or cls.plan
        return Command.create({"product_id": product.id, "quantity": quantity, "tax_ids": False, **vals})

    @classmethod
    def _invoice(cls, *lines, post=True, pay=True, **vals):
        """Return a customer invoice of `lines` (one plan unit by default), posted and paid unless told otherwise."""
        sold = cls._sold_beforehand
        if sold and not lines and not vals and post and pay:
            cls._sold_beforehand = None
            return sold
        return cls._new_invoice(*lines, post=post, pay=pay, **vals)

    @classmethod
    def _new_invoice(cls, *lines, post=True, pay=True, **vals):
        move = cls.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": cls.partner.id,
                "invoice_date": fields.Date.today(),
                "invoice_line_ids": list(lines) or [cls._line()],
                **vals,
            }
        )
        if post:
            move.action_post()
        if post and pay and move.amount_residual:
            cls._pay(move)
        return move

    @classmethod
    def _pay(cls, move, amount=None):
        vals = {"amount": amount} if amount else {}
        wizard = cls.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        return wizard.create(vals)._create_payments()

    def _credit(self, move, post=True):
        """Return a credit note of all of `move`; the money is not given back yet."""
        wizard = self.env["account.move.reversal"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        action = wizard.create({"journal_id": move.journal_id.id}).refund_moves()
        credit = self.env["account.move"].browse(action["res_id"])
        if post:
            credit.action_post()
        return credit

    @classmethod
    def _instance(cls, move=None, user=None, **vals):
        move = move or cls._invoice()
        instances = cls.env["odoo.docker.instance"].with_user(user or cls.seller)
        return instances.create({"factura_id": move.id, **vals})

    @classmethod
    def _sidecar(cls, model="microsaas.sidecar.api"):
        return cls.env[model].with_user(cls.bot)

    def _claimed_ids(self, units, above=0):
        return [row["id"] for row in self._sidecar().microsaas_claim(units, above)]

    @classmethod
    def _report(cls, instance, **report):
        report = {"id": instance.id, "revision": instance.revision, **report}
        return cls._sidecar().microsaas_report([report])

    @classmethod
    def _running(cls, **vals):
        """Return an instance that runs, as its seller sees it."""
        instance = cls._instance(**vals)
        instance.start_instance()
        cls._report(instance, state="running", reason="Running", next_review=False)
        return instance

    @classmethod
    def _backup(cls, number=1, **values):
        """Return a backup as the sidecar reports it; `number` tells one snapshot from another."""
        return {
            "snapshot": f"{number:064x}",
            "date": "2026-11-27 03:00:00",
            "size": 2**20,
            "proof": "none",
            "proof_date": False,
            "reason": "",
            "detail": "",
            "kept": "newest",
            **values,
        }

    @classmethod
    def _backed_up(cls, instance, *backups, **options):
        """Report these backups of an instance, and return all that there are now."""
        cls._sidecar().microsaas_report_backups(instance.id, list(backups), **options)
        cls.env.invalidate_all()
        return instance.backup_ids

    @classmethod
    def _set_param(cls, key, value):
        cls.env["ir.config_parameter"].sudo().set_param(f"microsaas.{key}", value)


class ReceiverCommon(MicroSaasCommon):
    """With a real HTTP server on this machine, at the origin `self.receiver`, that notes what comes in."""

    def setUp(self):
        super().setUp()
        # (path, headers, body) each, the oldest first; and the statuses of the next answers: 204 after them, None hangs.
        self.received, self.answers = [], []
        self.hangs = threading.Event()
        test = self

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 - the base class names it
                body = self.rfile.read(int(self.headers["Content-Length"]))
                test.received.append((self.path, dict(self.headers.items()), body))
                answer = test.answers.pop(0) if test.answers else 204
                if answer is None:
                    test.hangs.wait(30)
                    return
                self.send_response(answer)
                self.end_headers()

            def log_message(self, *_args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.addCleanup(self.hangs.set)
        self.receiver = f"http://127.0.0.1:{server.server_port}"

    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        # Odoo's guard against real requests knows a timeout of one number only.
        kwargs["timeout"] = sum(kwargs["timeout"])
        return super()._request_handler(session, request, **kwargs)

    def _assert_signed(self, headers, body, key):
        """Assert what a receiver verifies who has read only standardwebhooks.com.

        :param key: the bytes that the secret stands for
        """
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        digest = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        self.assertEqual(headers["webhook-signature"], f"v1,{digest}")
