from datetime import datetime, time, timedelta
from unittest.mock import patch

import requests

from odoo import Command, fields
from odoo.exceptions import UserError, ValidationError
from odoo.tests import freeze_time, tagged
from odoo.tools import SQL, mute_logger

from .test_renewals import RenewalCase

LOGGER = "odoo.addons.micro_saas.models.microsaas_charge"
CARD_LOGGER = "odoo.addons.micro_saas.models.microsaas_subscription_card"


class ChargeCase(RenewalCase):
    """A subscription that is paid for some weeks yet, its customer's saved card, and a payment provider that answers as it is told to."""

    mails_leave = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.plan.taxes_id = False
        cls.env.company.sudo().write({"microsaas_grace_days": 3, "microsaas_notice_days": 7, "microsaas_tz": "UTC"})
        providers = cls.env["payment.provider"].sudo()
        cls.provider = providers.create(
            {
                "name": "Stub",
                "company_id": cls.env.company.id,
                "state": "test",
                "is_published": True,
                "allow_tokenization": True,
            }
        )
        cls._create_dummy_payment_method_for_provider(cls.provider, cls.company_data["default_journal_bank"])
        cls.card = cls._card(cls.partner)
        cls.instance = cls._running()
        cls.subscription = cls._active(cls.instance.subscription_ids.sudo(), days=27)
        cls.subscription.fecha_inicio = cls.subscription.fecha_fin - timedelta(days=29)
        cls.end = cls.subscription.fecha_fin

    def setUp(self):
        super().setUp()
        # The transactions that the provider was asked about, in order, and those that were kept by then.
        self.asked, self.kept = [], []

    @classmethod
    def _card(cls, partner, details="4242", provider=None):
        method = cls.env["payment.method"].sudo().with_context(active_test=False).search([], limit=1)
        return cls.env["payment.token"].sudo().create(
            {
                "provider_id": (provider or cls.provider).id,
                "payment_method_id": method.id,
                "partner_id": partner.id,
                "payment_details": details,
                "provider_ref": f"card {details}",
            }
        )

    def _choose(self, card=None):
        self.subscription._choose_card(card or self.card, self.partner)
        self._deliver()

    def _deliver(self):
        """The mails that wait leave now."""
        waiting = self.env["microsaas.notice"].sudo().search([("mail_id.state", "=", "outgoing")])
        if self.mails_leave:
            waiting.mail_id.write({"state": "sent"})
            waiting._note_sent()

    def _at(self, day, hour=12):
        """Have it be noon of a day, counted from the last paid one."""
        return freeze_time(datetime.combine(self.end + timedelta(days=day), time(hour)))

    def _notify(self, day=-7):
        """The sidecar finds that the days of notice have begun."""
        with self._at(day):
            notices = [{"kind": "expiring", "period": fields.Date.to_string(self.subscription.fecha_fin)}]
            self._report(self.subscription.instancia_id, subscription={"notices": notices})
            self._deliver()

    def _keep(self):
        self.env.flush_all()
        self.env.invalidate_all()
        self.kept = self.env["payment.transaction"].sudo().search([]).ids

    def _charge(self, day, answer="done", hour=12, is_sidecar_heard=True):
        """Run the job at noon of a day; the provider gives this answer, and Odoo sees to what is paid.

        :param answer: a word; an error of `requests`: that is what becomes of the request; a function of the transaction
        """
        if answer == "silent":
            answer = requests.exceptions.ConnectionError()

        def ask(transaction):
            self.assertIn(transaction.id, self.kept, "the provider hears of nothing that a crash would forget")
            self.asked.append(transaction.id)
            if answer == "killed":
                raise RuntimeError("killed")
            if isinstance(answer, Exception):
                transaction._send_api_request("POST", "/charge")
            elif callable(answer):
                answer(transaction)
            elif answer == "error":
                transaction.provider_reference = f"refusal {transaction.id}"
                transaction._set_error("Insufficient <b>funds</b>.")
            else:
                getattr(transaction, {"done": "_set_done", "pending": "_set_pending", "cancel": "_set_canceled"}[answer])()

        registry = self.env.registry
        with (
            patch.object(registry["payment.transaction"], "_send_payment_request", ask),
            patch.object(registry["payment.provider"], "_send_api_request", self._failing(answer)),
        ):
            self._run(day, hour, is_sidecar_heard)

    @staticmethod
    def _failing(error):
        """Return what becomes of a request, as Odoo has it, that `requests` raises this error of."""

        def fail(_provider, *_args, **_kwargs):
            try:
                raise error
            except requests.exceptions.RequestException:
                raise ValidationError("Could not establish the connection.")

        return fail

    def _run(self, day, hour=12, is_sidecar_heard=True):
        """Run the job, then what Odoo does about transactions that are paid."""
        with self._at(day, hour):
            if is_sidecar_heard:
                self.env["microsaas.sidecar"]._hear()
            self.env["microsaas.charge"].sudo()._cron_charge(keep=self._keep)
            paid = self._transactions().filtered(lambda one: one.state == "done" and not one.is_post_processed)
            paid._post_process()
            self._deliver()
            self._keep()

    def _transactions(self):
        return self.subscription.charge_ids.transaction_ids

    def _renewal_move(self):
        return self.subscription.renewal_line_ids.move_id

    def _told(self, kind):
        return self.subscription.notice_ids.filtered(lambda one: one.kind == kind).sorted("id")

    def _mail(self, kind):
        return str(self._told(kind)[-1:].sudo().mail_id.body_html)

    def _asks(self):
        """Return what people are asked about charges."""
        kind = self.env.ref("micro_saas.mail_activity_type_charge")
        return self.subscription.activity_ids.filtered(lambda one: one.active and one.activity_type_id == kind)

    def _another(self):
        """Return another subscription of the customer, due on the same day and announced with this one's card."""
        other = self._active(self._running().subscription_ids.sudo(), days=27)
        other._choose_card(self.card, self.partner)
        with self._at(-7):
            other._announce_charge()
            self._deliver()
        return other

    def _said(self):
        return str(self.subscription.message_ids.mapped("body"))


@tagged("post_install", "-at_install")
class TestChargeConsent(ChargeCase):
    """Nobody's card is charged without their choice, for what they were not told of, or for another amount."""

    def test_a_saved_card_alone_is_charged_nothing(self):
        self._notify()
        for day in range(-3, 4):
            self._charge(day)
        self.assertFalse(self.asked)
        self.assertFalse(self.subscription.renew_token_id or self.subscription.charge_ids or self._renewal_move())
        self.assertIn("Renew it to go on", self._mail("expiring"))

    def test_it_is_charged_as_it_was_announced_and_once(self):
        self._choose()
        self.assertFalse(self.subscription.charge_ids)
        self._notify()
        self.assertFalse(self._told("expiring").sudo().mail_id, "who renews by itself is not asked to pay")
        text = self._mail("chargeAhead")
        self.assertRegex(text, "30[.,]00")
        self.assertIn("4242", text)
        self.assertEqual(self.subscription.charge_ids.day, self.end - timedelta(days=3))
        self._charge(-4)
        self.assertFalse(self.asked)
        self.assertEqual(self._renewal_move().state, "draft", "what is announced is what a draft says")
        for day in (-3, -3, -2, 0, 2):
            self._charge(day)
        [transaction] = self._transactions()
        self.assertEqual(self.asked, transaction.ids)
        self.assertEqual((transaction.operation, transaction.amount, transaction.token_id), ("offline", 30, self.card))
        move = self._renewal_move()
        self.assertEqual((transaction.invoice_ids, move.amount_residual, len(move)), (move, 0, 1))
        self.assertEqual(self.subscription.charge_ids.state, "paid")
        self.assertIn("4242 is charged for invoice", self._said())
        self.assertFalse(self._told("chargeFailed") or self._asks())

    def test_what_was_not_announced_is_announced_first(self):
        self._choose()
        self._charge(-8)
        self.assertFalse(self.subscription.charge_ids)
        for hour in (9, 18):
            self._charge(-3, hour=hour)
        self.assertFalse(self.asked)
        self.assertEqual(len(self._told("chargeAhead")), 1)
        self._charge(-2)
        self.assertEqual(len(self.asked), 1)

    def test_refused_when_the_notice_began_it_is_announced_later(self):
        self._choose()
        self.subscription.state = "paused"
        self._notify()
        self._charge(-6)
        self.assertFalse(self.subscription.charge_ids)
        self.assertIn("We have stopped this Odoo", self.subscription._charge_sentence(), "the page promises nothing")
        self.subscription.state = "active"
        self._charge(-5)
        self.assertEqual(self.subscription.charge_ids.day, self.end - timedelta(days=3))
        self._charge(-3)
        self.assertEqual(len(self.asked), 1)

    def test_nobody_is_charged_before_the_mail_has_left_nor_on_that_day(self):
        self._choose()
        self.mails_leave = False
        self._notify()
        self._charge(-3)
        self.assertFalse(self.asked, "they have not read of it")
        self.mails_leave = True
        for hour in (15, 18):
            self._charge(-3, hour=hour)
        self.assertFalse(self.asked, "it has left today")
        self._charge(-2)
        self.assertEqual(len(self.asked), 1)

    def test_a_price_that_moves_each_day_is_charged_as_announced(self):
        self.plan.microsaas_renew_price = "list"
        self._choose()
        self._notify()
        for day, price in ((-4, 31), (-3, 32)):
            self.plan.list_price = price
            self._charge(day)
        self.assertEqual((len(self.asked), self._transactions().amount), (1, 30))
        self.assertEqual(len(self._told("chargeAhead")), 1)

    def test_nothing_is_announced_of_what_costs_nothing(self):
        self._renewal(self.subscription).invoice_line_ids.price_unit = 0
        self._choose()
        self._notify()
        self.assertFalse(self.subscription.charge_ids or self._told("chargeAhead"))

    def test_another_amount_is_announced_again_first(self):
        self._choose()
        self._notify()
        draft = self._renewal(self.subscription)
        draft.invoice_line_ids.price_unit = 45
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertEqual(draft.state, "draft")
        self.assertRegex(self._mail("chargeAhead"), "45[.,]00")
        self._charge(-3, hour=18)
        self.assertFalse(self.asked, "not on the day on which they were told")
        self._charge(-2)
        self.assertEqual((len(self.asked), self._transactions().amount, draft.amount_residual), (1, 45, 0))

    def test_another_amount_too_late_is_paid_by_hand(self):
        self._choose()
        self._notify()
        self._charge(-3, "error")
        move = self._renewal_move()
        move.button_draft()
        move.invoice_line_ids.price_unit = 45
        move.action_post()
        for day in (3, 4):
            self._charge(day)
        self.assertEqual(len(self.asked), 1)
        self.assertIn("something else than we have told you", self._mail("chargeFailed"))

    def test_an_announcement_that_did_not_leave_is_none(self):
        self._choose()
        self._notify()
        self.subscription.charge_ids.announcement_id._note_failed("The mailbox is full.")
        self._charge(-3)
        self.assertFalse(self.asked)

    def test_who_cannot_be_told_is_not_charged(self):
        self._choose()
        self.partner.email = False
        self._notify()
        self.assertFalse(self.subscription.charge_ids)
        self.assertIn("no e-mail address", str(self.subscription.activity_ids.mapped("summary")))

    def test_chosen_within_the_notice_it_is_announced_at_once_for_tomorrow(self):
        self._notify()
        with self._at(-1):
            self._choose()
        self.assertEqual(self.subscription.charge_ids.day, self.end)
        self._charge(-1, hour=20)
        self.assertFalse(self.asked)
        self._charge(0)
        self.assertEqual(len(self.asked), 1)

    def test_switched_off_it_is_charged_nothing(self):
        self._choose()
        self._notify()
        self.subscription.with_user(self.seller).action_forget_card()
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertEqual(self.subscription.charge_ids.state, "over")
        self.assertIn("does not renew by itself with the card 4242 any more", self._said().replace("•••• ", ""))

    def test_switched_off_after_the_announcement_they_are_asked_to_pay(self):
        self._choose()
        self._notify()
        self.env.invalidate_all()
        self._report(self.instance, next_review=False)
        self.env.invalidate_all()
        self.assertFalse(self.instance.sudo().next_review)
        self.subscription.with_user(self.seller).action_forget_card()
        self.env.invalidate_all()
        self.assertTrue(self.instance.sudo().next_review, "the sidecar looks again")
        self.assertNotIn(f"expiring {self.end}", self.subscription._desired()["told"])
        self._notify(-6)
        self.assertIn("Renew it to go on", self._mail("expiring"))
        self._charge(-5)
        self.assertIn(f"expiring {self.end}", self.subscription._desired()["told"], "once")

    def test_nobody_is_charged_whose_announcement_could_not_be_made(self):
        def fail(_notice):
            raise ValueError

        with patch.object(self.env.registry["microsaas.notice"], "_mail", fail):
            with mute_logger("odoo.addons.micro_saas.models.microsaas_notice"):
                self._choose()
                self._notify()
        self.assertEqual(self.subscription.charge_ids.state, "over")
        self._charge(-3)
        self.assertFalse(self.asked)
        self.subscription.with_user(self.seller).action_forget_card()
        with self._at(-5):
            self._choose()
        self.assertIn("4242", self._mail("chargeAhead"))
        self._charge(-3)
        self.assertEqual(len(self.asked), 1)

    def test_with_a_card_that_is_deleted_they_are_asked_to_pay(self):
        self._choose()
        self._notify()
        self.card.unlink()
        self._charge(-4)
        self.assertEqual(self.subscription.charge_ids.state, "over")
        self.assertFalse(self._told("expiring"))

    def test_cancelled_it_is_switched_off_for_good(self):
        self._choose()
        self._notify()
        self.subscription.action_cancelar()
        self._charge(-3)
        self.subscription.action_reanudar()
        self._charge(-2)
        self.assertFalse(self.asked or self.subscription.renew_token_id)

    def test_whose_cards_can_be_chosen(self):
        colleague = self.env["res.partner"].create({"name": "Colleague", "parent_id": self.partner.id})
        other = self.env["res.partner"].create({"name": "Other customer"})
        theirs, others = self._card(colleague, "1111"), self._card(other, "2222")
        self.assertEqual(self.subscription._cards_of(self.partner), self.card)
        self.assertEqual(self.subscription._cards_of(colleague), self.card | theirs)
        self.assertFalse(self.subscription._cards_of(other))
        self.provider.allow_tokenization = False
        self.assertFalse(self.subscription._cards_of(self.partner))
        self.provider.allow_tokenization = True
        elsewhere = self.env["res.company"].sudo().create({"name": "Elsewhere"})
        abroad = self.provider.sudo().copy({"company_id": elsewhere.id, "state": "test", "allow_tokenization": True})
        self._card(self.partner, "3333", abroad)
        self.assertEqual(self.subscription._cards_of(self.partner), self.card)
        self.assertIn(self.instance.name, str(self._linked()))
        for user, is_told in ((self.seller, True), (self.employee, False)):
            linked = self.card.with_user(user).get_linked_records_info()
            self.assertEqual(bool(linked), is_told, user.login)
        reader = self._stranger("base.group_portal")
        self.assertFalse(self.card.with_user(reader).get_linked_records_info(), "of another customer's card")
        reader.sudo().partner_id.parent_id = self.partner
        self.assertTrue(self.card.with_user(reader).get_linked_records_info(), "of their company's")
        others.active = False

    def _linked(self):
        self._choose()
        return self.card.get_linked_records_info()

    def test_what_costs_nothing_has_no_card(self):
        for free in ("continue", "end"):
            self.plan.write({"list_price": 0, "microsaas_free": free})
            free_one = self._active(self._sold(self._line(price_unit=0)), days=27)
            with self.assertRaisesRegex(UserError, "cannot renew by itself"):
                free_one._choose_card(self.card, self.partner)

    def test_an_invoice_for_more_than_the_renewal_is_not_charged(self):
        self._choose()
        self._notify()
        move = self._renewal(self.subscription)
        move.invoice_line_ids = [self._line(self._product("Training"), price_unit=80)]
        move.action_post()
        for day in (-3, -2):
            self._charge(day)
        self.assertFalse(self.asked)
        self.assertIn("not for this renewal alone", self._mail("chargeFailed"))
        self.assertEqual(len(self._told("chargeFailed")), 1)

    def test_only_its_own_invoice_is_announced(self):
        self._choose()
        draft = self._renewal(self.subscription)
        line = draft.invoice_line_ids
        other = self.env["res.partner"].create({"name": "Other customer"})
        for change, undo in (
            ({"partner_id": other.id}, {"partner_id": self.partner.id}),
            ({"invoice_line_ids": [Command.update(line.id, {"quantity": 2})]}, {"invoice_line_ids": [Command.update(line.id, {"quantity": 1})]}),
            ({"invoice_line_ids": [self._line(self._product("Training"), price_unit=80)]}, {}),
        ):
            draft.write(change)
            with self._at(-7):
                self.assertFalse(self.subscription._announce_charge(), change)
            draft.write(undo)
        (draft.invoice_line_ids - line).unlink()
        with self._at(-7):
            self.assertTrue(self.subscription._announce_charge())

    def test_an_invoice_on_hold_is_not_charged(self):
        self._choose()
        self._notify()
        move = self.subscription._issue_renewal_invoice()
        move.action_toggle_block_payment()
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertIn("is on hold", self._mail("chargeFailed"))

    def test_an_invoice_that_becomes_anothers_when_it_is_posted_is_not_charged(self):
        self._choose()
        self._notify()
        other = self.env["res.partner"].create({"name": "Other customer"})
        registry = self.env.registry
        post = registry["account.move"].action_post

        def post_for_another(move):
            move.partner_id = other
            return post(move)

        with patch.object(registry["account.move"], "action_post", post_for_another):
            self._charge(-3)
        self.assertFalse(self.asked)
        self.assertIn("is not made out to the customer", self._mail("chargeFailed"))

    def test_a_card_whose_payments_a_person_captures_is_not_offered(self):
        self.assertEqual(self.subscription._cards_of(self.partner), self.card)
        self.env.flush_all()
        self.env.cr.execute(SQL("UPDATE payment_provider SET capture_manually = TRUE WHERE id = %s", self.provider.id))
        self.env.invalidate_all()
        self.assertFalse(self.subscription._cards_of(self.partner))

    def test_it_renews_on_an_invoice_of_its_own(self):
        other = self._active(self._sold(), days=27)
        draft = (self.subscription | other)._create_renewal_invoice("Both.")
        self._choose()
        self.assertEqual(draft.invoice_line_ids.suscripcion_id, other)
        self.assertEqual(self.subscription._renewed_together(), self.subscription)


@tagged("post_install", "-at_install")
class TestChargeOnce(ChargeCase):
    """Money is never taken twice."""

    def setUp(self):
        super().setUp()
        self._choose()
        self._notify()

    def test_a_pending_payment_is_waited_for(self):
        self._charge(-3, "pending")
        for day in (-2, 0, 2):
            self._charge(day)
        self.assertEqual(len(self.asked), 1)
        self._transactions()._set_done()
        self._charge(3)
        self.assertEqual((len(self.asked), self.subscription.charge_ids.state), (1, "announced"))
        self._charge(3)
        self.assertEqual((self._renewal_move().amount_residual, self.subscription.charge_ids.state), (0, "paid"))

    def test_cancelled_while_it_is_being_paid_its_days_count_and_nothing_more_is_charged(self):
        self._charge(-3, "pending")
        with self._at(-2):
            self.subscription.action_cancelar()
        asked = str(self.subscription.activity_ids.mapped("summary"))
        self.assertIn("credit nothing before", asked)
        self.assertNotIn("is unpaid", asked, "nobody is to credit what is about to be paid")
        self._charge(-2)
        move = self._renewal_move()
        self.assertEqual((len(move), move.state), (1, "posted"), "its payment has something to pay")
        self._transactions()._set_done()
        for day in (-1, 0, 2):
            self._charge(day)
        self.assertEqual((move.amount_residual, len(self._renewal_move()), len(self.asked)), (0, 1, 1))
        self.assertEqual(self.subscription.state, "cancelled")
        periods = self.subscription._desired()["periods"]
        self.assertIn(move.invoice_line_ids.id, [period["line_id"] for period in periods], "the sidecar counts its days")

    def test_a_crash_while_the_provider_is_asked(self):
        with self.assertLogs(LOGGER, "ERROR"):
            self._charge(-3, "killed")
        self.assertEqual(self._transactions().state, "draft")
        for day in (-2, 0, 2):
            self._charge(day)
        self.assertEqual(len(self.asked), 1, "it may have been charged")
        self.assertIn("nobody knows whether a card was charged", str(self._asks().mapped("summary")))
        self.assertFalse(self._told("chargeFailed"))
        self._choose(self._card(self.partner, "1111"))
        self.assertIn("4242", self.subscription._charge_sentence(), "it is the other card that may have been charged")
        self._charge(3)
        self.assertEqual(len(self.asked), 1, "not with another card either")
        self._transactions()._set_done()
        for _hour in range(2):
            self._charge(3)
        self.assertEqual((self._renewal_move().amount_residual, len(self._renewal_move())), (0, 1))
        self.assertFalse(self._asks())

    def test_a_provider_that_does_not_answer(self):
        self._charge(-3, "silent")
        self.assertEqual(self._transactions().state, "error")
        for day in (-2, 0, 2):
            self._charge(day)
            with self._at(day):
                self.assertIn("write to us before you pay", self.subscription._charge_sentence(), "nobody is asked to pay it twice")
        self.assertEqual(len(self.asked), 1, "it may have been charged")
        self.assertTrue(self._asks())
        self.assertFalse(self._told("chargeFailed"))

    def test_what_they_have_paid_themselves_is_not_charged(self):
        move = self.subscription._issue_renewal_invoice()
        self._pay(move)
        self._charge(-3)  # the sidecar has not counted it yet
        self.assertFalse(self.asked)
        self.assertEqual(self._renewal_move(), move)

    def test_what_they_are_about_to_pay_is_not_charged(self):
        move = self.subscription._issue_renewal_invoice()
        page = self.env["payment.transaction"].sudo().create(
            {
                "provider_id": self.provider.id,
                "payment_method_id": self.card.payment_method_id.id,
                "currency_id": move.currency_id.id,
                "partner_id": self.partner.id,
                "amount": move.amount_total,
                "invoice_ids": [Command.set(move.ids)],
            }
        )
        self._made_at(page, -3)
        self._charge(-3)
        self.assertFalse(self.asked)
        page._set_pending()
        self._charge(-2)
        self.assertFalse(self.asked)
        page._set_canceled()
        self._charge(-1)
        self.assertEqual((len(self.asked), self._transactions().invoice_ids), (1, move))

    def _made_at(self, record, day):
        moment = datetime.combine(self.end + timedelta(days=day), time(11, 50))
        self.env.flush_all()
        self.env.cr.execute(
            SQL("UPDATE %s SET create_date = %s WHERE id = %s", SQL.identifier(record._table), moment, record.id)
        )
        record.invalidate_recordset()

    def test_an_invoice_that_is_open_already_is_the_one_that_is_charged(self):
        move = self.subscription._issue_renewal_invoice()
        self._charge(-3)
        self.assertEqual((self._renewal_move(), self._transactions().invoice_ids), (move, move))

    def test_money_that_was_given_back_is_not_taken_again(self):
        self._charge(-3)
        self._renewal_move().line_ids.remove_move_reconcile()
        for day in (-2, 0, 2):
            self._charge(day)
        self.assertEqual(len(self.asked), 1)

    def test_a_copy_of_the_database_charges_nothing(self):
        self.env["microsaas.sidecar"]._hear()
        self._charge(-3, is_sidecar_heard=False)
        self.assertFalse(self.asked, "no sidecar works for it")
        with self._at(-3):
            self.env["microsaas.sidecar"]._hear()
        params = self.env["ir.config_parameter"].sudo()
        original = params.get_param("database.uuid")
        params.set_param("database.uuid", "a duplicate has another one")
        self._charge(-3, is_sidecar_heard=False)
        self.assertFalse(self.asked, "the sidecar works for the one that it is a duplicate of")
        params.set_param("database.uuid", original)
        later = self._active(self._sold(), days=60)
        later._choose_card(self.card, self.partner)
        with self._at(-3):
            self._sidecar().microsaas_distrust("older", 0, [])
        self._charge(-3)
        self.assertFalse(self.asked or self.subscription.renew_token_id, "it may have been charged since the copy")
        self.assertIn("since the copy of the database", self._asks().summary)
        self.assertEqual(later.renew_token_id, self.card)

    def test_a_renewal_that_was_credited_is_not_charged(self):
        self._charge(-3, "error")
        self._credit(self._renewal_move())
        for day in (-2, 0, 1):
            self._charge(day)
        self.assertEqual((len(self.asked), self.subscription.charge_ids.state), (1, "over"))
        self.assertNotIn(f"expiring {self.end}", self.subscription._desired()["told"], "the sidecar says it again")
        self._notify(1)
        self.assertEqual(self.subscription.charge_ids.state, "announced", "its card is still chosen")


@tagged("post_install", "-at_install")
class TestChargeFailure(ChargeCase):
    """A card that cannot be charged: told, tried again, and then as any unpaid renewal."""

    def setUp(self):
        super().setUp()
        self._choose()
        self._notify()

    def test_it_is_tried_again_after_one_three_and_five_days(self):
        tried = []
        for day in range(-4, 5):
            for hour in (9, 18):
                before = len(self.asked)
                self._charge(day, "error", hour)
                tried += [day] * (len(self.asked) - before)
            self.assertEqual(bool(self._asks()), day >= 2, "the seller is asked after the last one only")
        self.assertEqual(tried, [-3, -2, 0, 2])
        self.assertEqual(len(self._told("chargeFailed")), 4, "each is told once")
        self.assertEqual((self.subscription.charge_ids.state, len(self._renewal_move())), ("stopped", 1))
        self.assertEqual(self._asks().user_id, self.instance.factura_id.invoice_user_id)

    def test_what_the_customer_reads(self):
        self._charge(-3, "error")
        text = self._mail("chargeFailed")
        self.assertIn("The payment provider says: “Insufficient funds.”", text)
        self.assertIn("We try it again on", text)
        self.assertIn("Pay now", text)
        self.assertIn(self._renewal_move().get_portal_url().split("?", maxsplit=1)[0], text)
        self.assertIn("The card was not charged.", self._said())
        self._charge(-2, "cancel")
        self.assertIn("cancelled at the payment provider", self._mail("chargeFailed"))

    def test_in_the_customers_language(self):
        self.env["res.lang"].sudo()._activate_lang("es_ES")
        self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])._update_translations(["es_ES"])
        self.partner.lang = "es_ES"
        self._charge(-3, "error")
        text = self._mail("chargeFailed")
        self.assertIn("El proveedor de pago dice: «Insufficient funds.»", text)
        self.assertIn("Pagar ahora", text)

    def test_none_after_it_is_suspended(self):
        self.env.company.sudo().microsaas_grace_days = 0
        for day in range(-3, 4):
            self._charge(day, "error")
        self.assertEqual(len(self.asked), 3)
        self.assertEqual(self.subscription.charge_ids.state, "stopped")

    def test_what_was_missed_comes_one_a_day(self):
        self._charge(-3, "error")
        for day in (1, 1, 2, 3):
            self._charge(day, "error")
        self.assertEqual(len(self.asked), 4)

    def test_a_retry_that_is_paid_ends_it(self):
        self._charge(-3, "error")
        for day in (-2, -1, 0, 2):
            self._charge(day)
        self.assertEqual((len(self.asked), self.subscription.charge_ids.state), (2, "paid"))

    def test_paid_by_hand_closes_the_activity(self):
        for day in (-3, -2, 0, 2):
            self._charge(day, "error")
        self.assertTrue(self._asks())
        self._pay(self._renewal_move())
        self._charge(3)
        self.assertFalse(self._asks())
        self.assertEqual((len(self.asked), self.subscription.charge_ids.state), (4, "paid"))

    def test_a_card_that_is_saved_no_more_ends_the_retries(self):
        self._charge(-3, "error")
        self.card.active = False
        for day in (-2, 0):
            self._charge(day)
        self.assertEqual((len(self.asked), len(self._told("chargeFailed"))), (1, 2))
        self.assertIn("is not saved here any more", self._mail("chargeFailed"))
        self.assertTrue(self._asks())

    def test_a_provider_that_is_switched_off(self):
        self.provider.state = "disabled"
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertIn("We do not try it again", self._mail("chargeFailed"))

    def test_another_card_is_tried_too(self):
        for day in (-3, -2, 0):
            self._charge(day, "error")
        with self._at(0, 15):
            self._choose(self._card(self.partner, "1111"))
        self._charge(0, hour=20)
        self.assertEqual(len(self.asked), 3)
        self._charge(1)
        self.assertEqual((len(self.asked), self.subscription.charge_ids.state), (4, "announced"))
        self._charge(1)
        self.assertEqual(self.subscription.charge_ids.state, "paid")

    def test_suspended_for_another_reason_it_is_charged_nothing(self):
        self.subscription.write({"state": "expired", "suspended_at": fields.Datetime.now(), "reason": "Refunded"})
        self._charge(-3)
        self.assertEqual((self.asked, self.subscription.charge_ids.state), ([], "over"))

    def test_stopped_by_us_it_is_charged_nothing_and_they_are_told(self):
        self.subscription.state = "paused"
        for day in (-3, -2):
            self._charge(day)
        self.assertFalse(self.asked)
        self.assertIn("We have stopped this Odoo", self._mail("chargeFailed"))
        self.assertIn((self.end - timedelta(days=2)).strftime("%m/%d/%Y"), self._mail("chargeFailed"), "looked at again on that day")
        self.assertEqual(len(self._told("chargeFailed")), 1)
        self.subscription.state = "active"
        self._charge(-1)
        self.assertEqual(len(self.asked), 1)

    def test_a_dearer_plan_that_waits_for_its_payment_comes_first(self):
        bigger = self._product("Bigger", es_plan_microsaas=True, list_price=60.0, plantilla_id=self.plan.plantilla_id.id)
        with self._at(-5):
            self.subscription._change_plan(bigger, "A test wants it.").move_id.action_post()
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertIn("change of plan waits for its payment", self._mail("chargeFailed"))

    def test_a_cheaper_plan_is_charged_at_its_price_once_that_is_announced(self):
        smaller = self._product(
            "Smaller", es_plan_microsaas=True, list_price=12.0, taxes_id=False, plantilla_id=self.plan.plantilla_id.id
        )
        with self._at(-5):
            self.subscription._change_plan(smaller, "A test wants it.")
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertRegex(self._mail("chargeAhead"), "12[.,]00")
        self._charge(-2)
        self.assertEqual(self._transactions().amount, 12)

    def test_an_invoice_that_cannot_be_made_is_put_before_a_person(self):
        with (
            patch.object(self.env.registry["account.move"], "action_post", side_effect=UserError("The books are closed.")),
            mute_logger(CARD_LOGGER),
        ):
            self._charge(-3)
        self.assertFalse(self.asked or self._transactions())
        self.assertIn("could not be made", str(self.subscription.activity_ids.mapped("summary")))
        self._charge(-2)
        self.assertEqual(len(self.asked), 1)


    def test_what_is_paid_in_part_is_not_waited_for(self):
        self._pay(self.subscription._issue_renewal_invoice(), 10)
        self._charge(-3)
        self.assertFalse(self.asked)
        self.assertRegex(self._mail("chargeAhead"), "20[.,]00")
        self._charge(-2)
        self.assertEqual((len(self.asked), self._transactions().amount), (1, 20))

    def test_what_waits_for_its_money_is_told_before_it_stops(self):
        self._charge(-3, "pending")
        for day in (-2, 0, 1):
            self._charge(day)
        self.assertFalse(self._told("chargeWaits") or self._asks())
        for day in (2, 3):
            self._charge(day)
        self.assertEqual((len(self._told("chargeWaits")), len(self._asks())), (1, 1))
        self.assertIn("has not arrived yet", self._mail("chargeWaits"))
        self.assertIn((self.end + timedelta(days=3)).strftime("%m/%d/%Y"), self._mail("chargeWaits"))
        self._transactions()._set_done()
        for _hour in range(2):
            self._charge(3)
        self.assertFalse(self._asks())

    def test_a_run_that_lasts_leaves_the_rest_to_the_next_one(self):
        self._another()
        triggers = self.env["ir.cron.trigger"].sudo().search([])
        with patch("odoo.addons.micro_saas.models.microsaas_charge.RUN_SECONDS", 0):
            self._charge(-3)
        self.assertEqual(len(self.asked), 1)
        crons = (self.env["ir.cron.trigger"].sudo().search([]) - triggers).cron_id
        self.assertIn(self.env.ref("micro_saas.cron_charge"), crons)
        self._charge(-3)
        self.assertEqual(len(self.asked), 2)

    def test_a_run_that_lasts_though_nothing_is_due_goes_on_with_those_that_were_not_reviewed_yet(self):
        self._another()
        charges = self.env["microsaas.charge"].sudo().search([("state", "=", "announced")])
        charges.write({"day": self.subscription.fecha_fin, "reviewed_at": False})
        cron, reviewed = self.env.ref("micro_saas.cron_charge"), []
        for is_left in (True, False):
            triggers = self.env["ir.cron.trigger"].sudo().search([])
            with patch("odoo.addons.micro_saas.models.microsaas_charge.RUN_SECONDS", 0):
                self._charge(-6)
            crons = (self.env["ir.cron.trigger"].sudo().search([]) - triggers).cron_id
            self.assertEqual(cron in crons, is_left, "whether the next run has more to do")
            reviewed.append(charges.filtered("reviewed_at"))
        self.assertEqual([len(one) for one in reviewed], [1, 2])
        self.assertFalse(self.asked)

    def test_what_is_due_first_is_charged_first(self):
        self._another()
        self.subscription.charge_ids.day += timedelta(days=1)
        with patch("odoo.addons.micro_saas.models.microsaas_charge.RUN_SECONDS", 0):
            self._charge(-3)
        self.assertEqual(len(self.asked), 1)
        self.assertFalse(self.subscription.charge_ids.transaction_ids)

    def test_without_a_last_paid_day_nothing_is_said(self):
        self.subscription.fecha_fin = False
        self._charge(-3)
        self.assertFalse(self.asked or self.subscription._charge_sentence())

    def test_sellers_read_the_charges(self):
        view = self.env["microsaas.subscription"].with_user(self.seller).get_view(view_type="form")["arch"]
        self.assertIn("charge_ids", view)
        self.assertEqual(self.subscription.charge_ids.with_user(self.seller).read(["state", "is_in_doubt"])[0]["state"], "announced")


@tagged("post_install", "-at_install", "-standard", "microsaas_payment")
class TestChargeAtAProvider(ChargeCase):
    """The same at a provider of Odoo's own: asked for by its tag, where `payment_demo` is installed."""

    def test_declined_then_pending_then_paid(self):
        demo = self.env["payment.provider"].sudo().search([("code", "=", "demo")], limit=1)
        self.provider = demo.copy({"company_id": self.env.company.id, "state": "test", "allow_tokenization": True})
        self.provider.journal_id = self.company_data["default_journal_bank"]
        card = self._card(self.partner, "demo", self.provider)
        card.demo_simulated_state = "error"
        self._choose(card)
        self._notify()
        self._run(-3)
        self.assertEqual(self._transactions().mapped("state"), ["error"])
        self.assertIn("The payment provider says", self._mail("chargeFailed"))
        card.demo_simulated_state = "pending"
        for day in (-2, 0, 2):
            self._run(day)
        pending = self._transactions().filtered(lambda one: one.state == "pending")
        self.assertEqual((len(self._transactions()), len(pending)), (2, 1))
        pending.action_demo_set_done()
        for _hour in range(2):
            self._run(3)
        self.assertEqual((self._renewal_move().amount_residual, len(self._renewal_move())), (0, 1))
        self.assertEqual(self.subscription.charge_ids.state, "paid")
