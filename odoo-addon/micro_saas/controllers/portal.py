import logging

from odoo.exceptions import UserError
from odoo.http import request, route

from odoo.addons.portal.controllers.portal import CustomerPortal

_logger = logging.getLogger(__name__)


class InstancePortal(CustomerPortal):
    """The customer's own page: her instances, what goes on with them, what she may do about it."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "instance_count" in counters:
            values["instance_count"] = len(self._my_instances())
        return values

    @route("/my/instances", type="http", auth="user", website=True)
    def my_instances(self):
        """The list of her instances."""
        layout = {**self._prepare_portal_layout_values(), "page_name": "instances"}
        return request.render("micro_saas.portal_my_instances", {**layout, **self._list_values()})

    @route("/my/instances/list", type="http", auth="user", website=True)
    def my_instances_list(self):
        """The cards of that page as an HTML fragment; it asks for them while something is being prepared."""
        return self._fragment("micro_saas.portal_instance_list", self._list_values())

    @route("/my/instances/<int:instance_id>", type="http", auth="user", website=True)
    def my_instance(self, instance_id):
        """One instance with its dates and invoices."""
        return self._render(self._my_instance(instance_id))

    @route("/my/instances/<int:instance_id>/status", type="http", auth="user", website=True)
    def my_instance_status(self, instance_id):
        """The part of the page that changes by itself, as an HTML fragment; the page asks for it while work goes on."""
        instance = self._my_instance(instance_id)
        if not instance:
            raise request.not_found()
        values = {"instance": instance, "status": instance._portal_status()}
        return self._fragment("micro_saas.portal_instance_status", values)

    @route(
        "/my/instances/<int:instance_id>/restart",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_restart(self, instance_id):
        """Restart it, then show its page again."""
        instance = self._my_instance(instance_id)
        try:
            if instance:
                instance._restart_by_customer()
        except UserError as error:
            return self._render(instance, str(error))
        return self._back(instance)

    @route(
        "/my/instances/<int:instance_id>/renew",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_renew(self, instance_id):
        """Go to the renewal invoice, where she pays."""
        instance = self._my_instance(instance_id)
        try:
            if instance:
                # Who sold it sells the renewal too: the customer must not stand on it as her own salesperson.
                seller = instance.factura_id.invoice_user_id or request.env.ref("base.user_root")
                subscription = instance.subscription_ids[:1].with_user(seller).sudo()
                return request.redirect(subscription._issue_renewal_invoice().get_portal_url())
        except UserError as error:
            return self._render(instance, str(error))
        return self._back(instance)

    def _my_instances(self):
        instances = request.env["odoo.docker.instance"]
        if not instances.has_access("read"):
            return instances
        # Beside the record rules: staff, whom no rule confines, see their own here too.
        customer = request.env.user.commercial_partner_id
        return instances.search([("partner_id", "child_of", customer.ids)])

    def _list_values(self):
        instances = self._my_instances().sudo()
        statuses = {instance: instance._portal_status() for instance in instances}
        customer = request.env.user.commercial_partner_id
        is_coming = request.env["account.move"].sudo()._microsaas_is_coming_for(customer)
        is_moving = is_coming or any(status["poll"] for status in statuses.values())
        return {"statuses": statuses, "is_coming": is_coming, "poll": int(is_moving)}

    def _fragment(self, template, values):
        response = request.render(template, values)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _my_instance(self, instance_id):
        """Return one of the user's instances, with sudo; empty, and logged, if it is not hers."""
        instance = self._my_instances().filtered(lambda one: one.id == instance_id)
        if not instance:
            user = request.env.user
            _logger.warning(
                "User %s (%s) asked for instance %s, which is not hers.", user.login, user.id, instance_id
            )
        return instance.sudo()

    def _render(self, instance, problem=""):
        if not instance:
            raise request.not_found()
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "instances",
            "instance": instance,
            "status": instance._portal_status(),
            "problem": problem,
        }
        return request.render("micro_saas.portal_my_instance", values)

    def _back(self, instance):
        if not instance:
            raise request.not_found()
        return request.redirect(f"/my/instances/{instance.id}")
