import logging

from odoo.exceptions import UserError
from odoo.http import request, route

from odoo.addons.portal.controllers.portal import CustomerPortal

from .language import in_language_of

_logger = logging.getLogger(__name__)


class InstancePortal(CustomerPortal):
    """The customer's own page: their instances, what goes on with them, what they may do about it."""

    def _prepare_home_portal_values(self, counters):
        values = super()._prepare_home_portal_values(counters)
        if "instance_count" in counters:
            values["instance_count"] = len(self._my_instances().sudo().filtered("is_shown_to_customer"))
        return values

    @route("/my/instances", type="http", auth="user", website=True)
    def my_instances(self):
        """The list of their instances."""
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
        values = {
            "instance": instance,
            "status": instance._portal_status(),
            "may_act": instance._may_act(request.env.user),
            "may_set_password": instance._may_set_password(request.env.user),
            "opens_as": instance._opens_as(request.env.user),
            "data": instance._portal_data(request.env.user),
            "renewal": instance._portal_renewal(request.env.user),
        }
        return self._fragment("micro_saas.portal_instance_status", values)

    @route(
        "/my/instances/<int:instance_id>/restart",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_restart(self, instance_id):
        """Restart it, then show its page again."""
        return self._do(instance_id, lambda instance: instance._restart_by_customer())

    @route("/my/instances/<int:instance_id>/renew", type="http", auth="user", website=True, sitemap=False, methods=["GET"])
    def my_instance_renew(self, instance_id):
        """Go to what a renewal costs, else to the posted invoice that waits for its payment. It writes nothing."""
        instance = self._my_instance(instance_id)
        try:
            if instance:
                self._check_may_act(instance)
                subscription = instance.subscription_ids[:1]
                subscription._check_renewable()
                return request.redirect(subscription._renewal_path())
        except UserError as error:
            return self._render(instance, str(error))
        return self._back(instance)

    @route("/my/instances/<int:instance_id>/pay", type="http", auth="user", website=True, sitemap=False)
    def my_instance_pay(self, instance_id):
        """Where *Pay now* of a suspended one's page leads: to the payment of what is owed, else to its page.

        It writes nothing: without an invoice, that page has the button that makes it.
        """
        instance = self._my_instance(instance_id)
        move = instance and instance._may_act(request.env.user) and instance._suspension_invoice()
        if not move:
            return self._back(instance)
        # As Odoo's own list of invoices links to it: with the ways to pay open.
        return request.redirect(move.get_portal_url(query_string="&payment=True", anchor="portal_pay"))

    @route(
        "/my/instances/<int:instance_id>/rename",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_rename(self, instance_id, subdomain=""):
        """Give it another address, then show its page again."""
        return self._do(instance_id, lambda instance: instance._rename_by_customer(subdomain))

    @route("/my/instances/<int:instance_id>/domains", type="http", auth="user", website=True, methods=["GET"])
    def my_instance_domains(self, instance_id):
        """The list of its own domains as an HTML fragment; the page asks for it while one is being checked."""
        instance = self._my_instance(instance_id)
        if not instance:
            raise request.not_found()
        return self._fragment("micro_saas.portal_instance_domains", self._address_values(instance))

    @route(
        "/my/instances/<int:instance_id>/domains/add",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_add_domain(self, instance_id, domain=""):
        """Enter a domain of their own, then show the page again, with what DNS must say for it."""
        return self._do(instance_id, lambda instance: instance._add_domain(domain))

    @route(
        "/my/instances/<int:instance_id>/domains/<int:domain_id>/remove",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_remove_domain(self, instance_id, domain_id):
        """Take a domain of their own away, then show the page again."""
        return self._do(
            instance_id,
            lambda instance: instance.domain_ids.filtered(lambda domain: domain.id == domain_id).unlink(),
        )

    @route(
        "/my/instances/<int:instance_id>/people/<int:person_id>",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_person(self, instance_id, person_id, may_act=""):
        """Let a colleague act for it in the portal, or only look, then show its page again."""
        return self._do(instance_id, lambda instance: instance._let_act(request.env.user, person_id, bool(may_act)))

    @route(
        "/my/instances/<int:instance_id>/support",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_support(self, instance_id, may_log_in=""):
        """Let the seller's people log in to it for a day, or no more, then show its page again."""
        return self._do(instance_id, lambda instance: instance._let_support_in(request.env.user, bool(may_log_in)))

    @route(
        "/my/instances/<int:instance_id>/password",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_password(self, instance_id):
        """Go to where the instance's administrator chooses a new password."""
        instance = self._my_instance(instance_id)
        if not (instance and instance._may_set_password(request.env.user)):
            raise request.not_found()
        try:
            link = instance._password_link(is_first=False)
        except UserError as error:
            return self._render(instance, str(error))
        _logger.info("User %s chooses a new password for instance %s.", request.env.user.id, instance_id)
        instance._note_for_customer("password", request.env.user.name)
        return self._leave(link)

    @route(
        "/my/instances/<int:instance_id>/open",
        type="http", auth="user", website=True, methods=["POST"],
    )
    def my_instance_open(self, instance_id):
        """Go to the instance's own Odoo, logged in there as themselves: by a link that is made now and works once."""
        instance = self._my_instance(instance_id)
        login = instance and instance._opens_as(request.env.user)
        if not login:
            raise request.not_found()
        try:
            link = instance._open_by_customer(request.env.user, login)
        except UserError as error:
            return self._render(instance, str(error))
        _logger.info("User %s opens instance %s as themselves.", request.env.user.id, instance_id)
        return self._leave(link)

    @route(
        "/my/instances/<int:instance_id>/welcome/<string:token>",
        type="http", auth="public", website=True, sitemap=False, methods=["GET", "POST"],
    )
    def my_instance_welcome(self, instance_id, token, **_form):
        """The page that the welcome mail leads to. Its button makes the one-time link: nothing secret is mailed."""
        instance = request.env["odoo.docker.instance"].sudo().browse(instance_id).exists()
        state, problem = instance._welcome_state(token) if instance else "", ""
        if state:
            in_language_of(instance._administrator())
            instance = instance.with_env(request.env(su=True))
        if state == "open" and request.httprequest.method == "POST":
            try:
                link = instance._password_link(is_first=True)
                if link:
                    return self._leave(link)
                instance._close_welcome()
                state = "over"
            except UserError as error:
                problem = str(error)
        values = {
            "page_name": "welcome",
            # Whoever comes with a wrong token learns nothing, not even whether there is such an instance.
            "instance": instance if state else instance.browse(),
            "state": state,
            "token": token,
            "problem": problem,
        }
        response = request.render("micro_saas.portal_welcome", values)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _leave(self, link):
        """Redirect to a customer's Odoo by the one-time link, which must stay in no cache and no referrer."""
        response = request.redirect(link, code=303, local=False)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    def _my_instances(self):
        """Return the user's instances, removed ones too."""
        instances = request.env["odoo.docker.instance"].with_context(active_test=False)
        if not instances.has_access("read"):
            return instances
        # Beside the record rules: staff, whom no rule confines, see their own here too.
        customer = request.env.user.commercial_partner_id
        return instances.search([("partner_id", "child_of", customer.ids)])

    def _list_values(self):
        instances = self._my_instances().sudo().filtered("is_shown_to_customer")
        statuses = {instance: instance._portal_status() for instance in instances}
        customer = request.env.user.commercial_partner_id
        moves = request.env["account.move"].sudo()
        is_coming = moves._microsaas_is_coming_for(customer)
        is_moving = is_coming or any(status["poll"] for status in statuses.values())
        is_held = not is_coming and moves._microsaas_is_held_for(customer)
        return {
            "statuses": statuses,
            "renewals": {one.id: one._portal_renewal_offer(request.env.user) for one in instances},
            "logins": {one.id: one._opens_as(request.env.user) for one in instances},
            "is_coming": is_coming,
            "is_held": is_held,
            "poll": int(is_moving),
        }

    def _do(self, instance_id, act):
        """Do something to an instance for whoever may act for it, and show its page again, with what was refused."""
        instance = self._my_instance(instance_id)
        try:
            if instance:
                self._check_may_act(instance)
                with request.env.cr.savepoint():
                    act(instance)
        except UserError as error:
            return self._render(instance, str(error))
        return self._back(instance)

    def _address_values(self, instance):
        return {
            "instance": instance,
            "domains": instance.domain_ids,
            "may_act": instance._may_act(request.env.user),
        }

    def _fragment(self, template, values):
        response = request.render(template, values)
        response.headers["Cache-Control"] = "no-store"
        return response

    def _my_instance(self, instance_id):
        """Return one of the user's instances, with sudo; empty, and logged, if it is not theirs."""
        instance = self._my_instances().filtered(lambda one: one.id == instance_id)
        if not instance:
            user = request.env.user
            _logger.warning(
                "User %s (%s) asked for instance %s, which is not theirs.", user.login, user.id, instance_id
            )
        return instance.sudo()

    def _check_may_act(self, instance):
        """Refuse whoever only looks at it.

        :raise UserError: says who may
        """
        if not instance._may_act(request.env.user):
            raise UserError(
                request.env._(
                    "Only who ordered this Odoo and your company's contacts for invoices may change it. Ask %s.",
                    instance._administrator().name or instance.partner_id.display_name,
                )
            )

    def _render(self, instance, problem=""):
        if not instance:
            raise request.not_found()
        values = {
            **self._prepare_portal_layout_values(),
            "page_name": "instances",
            "instance": instance,
            "status": instance._portal_status(),
            "problem": problem,
            "card": instance._portal_card(request.env.user),
            "may_set_password": instance._may_set_password(request.env.user),
            "opens_as": instance._opens_as(request.env.user),
            "data": instance._portal_data(request.env.user),
            "renewal": instance._portal_renewal(request.env.user),
            "support": instance._portal_support(request.env.user),
            "people": instance._portal_people(request.env.user),
            "may_choose_people": instance._is_administered_by(request.env.user),
            **self._address_values(instance),
        }
        return request.render("micro_saas.portal_my_instance", values)

    def _back(self, instance):
        if not instance:
            raise request.not_found()
        return request.redirect(f"/my/instances/{instance.id}")
