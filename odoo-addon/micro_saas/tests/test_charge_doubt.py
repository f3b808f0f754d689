from datetime import timedelta
from unittest.mock import patch

import requests
from psycopg2.errors import SerializationFailure
from urllib3.exceptions import MaxRetryError, NewConnectionError

from odoo.exceptions import AccessError, UserError
from odoo.tests import tagged

from .test_charge import LOGGER, ChargeCase


@tagged("post_install", "-at_install")
class TestChargeDoubt(ChargeCase):
    """What nobody knows of is not charged again until somebody knows; what is known not to be charged is no doubt."""

    def setUp(self):
        super().setUp()
        self._choose()
        self._notify()

    def _answered(self, status):
        """Return what `requests` raises of an answer with this HTTP status."""
        response = requests.Response()
        response.status_code = status
        return requests.exceptions.HTTPError(response=response)

    def _not_charged(self, day, hour=15, user=None):
        """Somebody says that the provider has charged nothing."""
        with self._at(day, hour):
            self.subscription.charge_ids.with_user(user or self.seller).action_not_charged()
        self.env.invalidate_all()

    def _is_asked(self):
        return "nobody knows whether a card was charged" in str(self._asks().mapped("summary"))

    def test_it_outlives_the_last_paid_day(self):
        self._charge(-3, "silent")
        self._charge(-2)
        self.subscription.fecha_fin += timedelta(days=30)
        self._charge(-1)
        self.assertTrue(self._is_asked())
        self._notify(23)
        for day in (27, 28):
            self._charge(day)
        self.assertEqual(len(self.asked), 1, "the same invoice, in the next period")
        self.assertIn("not know yet whether an earlier charge was made", self.subscription._charge_sentence())

    def test_a_credit_does_not_answer_it(self):
        self._charge(-3, "silent")
        self._charge(-2)
        self._credit(self._renewal_move())
        self._charge(-1)
        self.assertEqual(self.subscription.charge_ids.state, "over")
        self.assertTrue(self._is_asked(), "the money may have been taken all the same")

    def test_an_error_that_names_no_answer_may_be_the_silence_of_a_provider_that_asks_in_its_own_way(self):
        self._charge(-3, lambda transaction: transaction._set_error("Could not establish the connection."))
        for day in (-2, 0):
            self._charge(day)
        self.assertEqual(len(self.asked), 1)
        self.assertTrue(self._is_asked())
        self._not_charged(0)
        self._charge(1)
        self.assertEqual(len(self.asked), 2)

    def test_a_failure_of_the_provider_may_have_charged(self):
        self._charge(-3, self._answered(503))
        for day in (-2, 0):
            self._charge(day)
        self.assertEqual(len(self.asked), 1)
        self.assertTrue(self._is_asked())

    def test_a_refusal_has_not(self):
        self._charge(-3, self._answered(402))
        self._charge(-2)
        self.assertEqual((len(self.asked), self._is_asked()), (2, False))

    def test_another_amount_may_have_been_charged(self):
        said = {"amount": 31, "currency_code": self.env.company.currency_id.name}
        with patch.object(self.env.registry["payment.transaction"], "_extract_amount_data", lambda *_args: said):
            self._charge(-3, lambda transaction: transaction._validate_amount({}))
        self.assertEqual(self._transactions().state, "error")
        self._charge(-2)
        self.assertEqual(len(self.asked), 1)
        self.assertTrue(self._is_asked())

    def test_where_there_was_no_connection_nothing_was_charged(self):
        refused = MaxRetryError(None, "/charge", NewConnectionError(None, "refused"))
        self._charge(-3, requests.exceptions.ConnectionError(refused))
        self.assertIn("could not be reached, and nothing was charged", self._mail("chargeFailed"))
        self._charge(-2, requests.exceptions.ConnectTimeout())
        self._charge(0)
        self.assertEqual((len(self.asked), self._is_asked()), (3, False))

    def test_but_not_after_another_answer(self):
        provider = self.env.registry["payment.provider"]

        def create_then_lose(transaction):
            with patch.object(provider, "_send_api_request", lambda *_args, **_kwargs: {}):
                transaction._send_api_request("POST", "/charge")
            with patch.object(provider, "_send_api_request", self._failing(requests.exceptions.ConnectTimeout())):
                transaction._send_api_request("GET", "/charge")

        self._charge(-3, create_then_lose)
        self._charge(-2)
        self.assertEqual(len(self.asked), 1, "the first request may have charged")

    def test_a_silent_provider_is_asked_about_nobody_else_in_that_run(self):
        self._another()
        self._charge(-3, "silent")
        self.assertEqual(len(self.asked), 1)
        self._charge(-3, hour=18)
        self.assertEqual(len(self.asked), 2)
        self.assertNotEqual(*self.asked)

    def test_a_person_says_that_it_was_not_charged(self):
        self._charge(-3, "silent")
        self._charge(-2)
        with self.assertRaises(AccessError):
            self._not_charged(-2, user=self.employee)
        self._not_charged(-2)
        self.assertFalse(self._asks())
        self.assertIn(f"{self.seller.name} has found", self._said())
        self._charge(-2, hour=18)
        self.assertEqual(len(self.asked), 2)
        with self.assertRaisesRegex(UserError, "no charge here"):
            self._not_charged(0)

    def test_a_person_says_so_of_what_was_interrupted(self):
        with self.assertLogs(LOGGER, "ERROR"):
            self._charge(-3, "killed")
        with self.assertRaisesRegex(UserError, "Within its first hour"):
            self._not_charged(-3, hour=12)
        self._charge(-2)
        self._not_charged(-2)
        self._charge(-2, hour=18)
        self.assertIn("was interrupted, and nothing was charged", self._mail("chargeFailed"))
        self._charge(-1)
        self.assertEqual(len(self.asked), 2)

    def test_a_late_refusal_is_told_and_tried_again(self):
        with self.assertLogs(LOGGER, "ERROR"):
            self._charge(-3, "killed")
        self._charge(-2)
        with self._at(-2, 18):
            self._transactions().provider_reference = "refusal"
            self._transactions()._set_error("Declined.")
        self._charge(-1)
        self.assertIn("Declined.", self._mail("chargeFailed"))
        self.assertEqual((len(self.asked), self._transactions().sorted("id").mapped("state")), (2, ["error", "done"]))

    def test_a_conflict_while_the_provider_is_asked_is_an_error(self):
        def conflict(_transaction):
            raise SerializationFailure

        with self.assertLogs(LOGGER, "ERROR"):
            self._charge(-3, conflict)
        self._charge(-2)
        self.assertTrue(self._is_asked())
