import logging
import re

from odoo.exceptions import UserError
from odoo.http import request, route

from .portal import InstancePortal

_logger = logging.getLogger(__name__)


class InstancePlanPortal(InstancePortal):
    """What customers do about their plan. A GET only ever says what it would cost: what is done is a POST, with its token."""

    @route("/my/instances/<int:instance_id>/plan", type="http", auth="user", website=True, methods=["GET"])
    def my_instance_plans(self, instance_id):
        """Say what each plan costs that they may change to, now and from the next period on."""
        return self._show_plans(self._instance_to_act_for(instance_id))

    @route("/my/instances/<int:instance_id>/plan", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_change_plan(self, instance_id, product="", amount=""):
        """Change the plan, then go where it is paid; where there is nothing to pay, show the page of the instance."""
        instance = self._instance_to_act_for(instance_id)
        # Python refuses numbers of thousands of digits.
        number = int(product) if re.fullmatch(r"[0-9]{1,18}", str(product)) else 0
        try:
            with request.env.cr.savepoint():
                change = instance._change_plan_by_customer(request.env.user, number, str(amount))
        except UserError as error:
            return self._show_plans(instance, str(error))
        _logger.info("User %s changes the plan of instance %s.", request.env.user.id, instance_id)
        move = change._invoice_to_pay()
        return request.redirect(move.get_portal_url()) if move else self._back(instance)

    @route("/my/instances/<int:instance_id>/plan/withdraw", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_withdraw_change(self, instance_id):
        """Withdraw the change of plan that is to come, then show the page of the instance."""
        instance = self._instance_to_act_for(instance_id)
        return self._do(instance_id, lambda _same: instance._withdraw_change_by_customer(request.env.user))

    @route("/my/instances/<int:instance_id>/cancel", type="http", auth="user", website=True, methods=["GET"])
    def my_instance_cancel_question(self, instance_id):
        """Ask whether the subscription is to end, saying what happens when."""
        return self._ask_to_cancel(self._instance_to_act_for(instance_id))

    @route("/my/instances/<int:instance_id>/cancel", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_cancel(self, instance_id, is_understood=""):
        """Cancel the subscription by the end of what is paid, then show the page of the instance."""
        instance = self._instance_to_act_for(instance_id)
        try:
            if not is_understood:
                raise UserError(request.env._("Tick the box first."))
            with request.env.cr.savepoint():
                instance._cancel_by_customer(request.env.user)
        except UserError as error:
            return self._ask_to_cancel(instance, str(error))
        _logger.info("User %s cancels the subscription of instance %s.", request.env.user.id, instance_id)
        return self._back(instance)

    @route("/my/instances/<int:instance_id>/cancel/undo", type="http", auth="user", website=True, methods=["POST"])
    def my_instance_undo_cancellation(self, instance_id):
        """Undo the cancellation, then show the page of the instance."""
        instance = self._instance_to_act_for(instance_id)
        return self._do(instance_id, lambda _same: instance._undo_cancellation_by_customer(request.env.user))

    def _instance_to_act_for(self, instance_id):
        """Return an instance that the user may act for, with sudo; whoever may not learns nothing of its prices."""
        instance = self._my_instance(instance_id)
        if not (instance and instance._may_act(request.env.user)):
            raise request.not_found()
        return instance

    def _show_plans(self, instance, problem=""):
        plan = instance._portal_plan()
        if not plan["may_change"]:
            # Its page says what is to come.
            return self._render(instance, problem)
        return self._page("micro_saas.portal_plans", instance, problem, quotes=instance._plan_quotes())

    def _ask_to_cancel(self, instance, problem=""):
        if not instance._portal_plan()["may_cancel"]:
            return self._render(instance, problem)
        values = {"sentences": instance._cancel_sentences(), "open_renewal": instance._open_renewal_sentence()}
        return self._page("micro_saas.portal_cancel", instance, problem, **values)

    def _page(self, template, instance, problem, **values):
        layout = {**self._prepare_portal_layout_values(), "page_name": "instances"}
        values |= {"instance": instance, "subscription": instance.subscription_ids[:1], "problem": problem}
        return self._fragment(template, {**layout, **values})
