from markupsafe import Markup

from odoo import api, fields, models


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    microsaas_shop_missing = fields.Html(
        "Missing for the web shop", compute="_compute_microsaas_shop_missing"
    )

    @api.depends_context("uid", "lang")
    def _compute_microsaas_shop_missing(self):
        for settings in self:
            items = [Markup("<li>%s</li>") % sentence for sentence in settings._microsaas_shop_todo()]
            settings.microsaas_shop_missing = Markup("<ul>%s</ul>") % Markup().join(items) if items else False

    def _microsaas_shop_website(self):
        return self.env["website"].get_current_website()

    def _microsaas_shop_plans(self):
        return self.env["product.template"].search(
            [("es_plan_microsaas", "=", True), ("sale_ok", "=", True)]
        )

    def _microsaas_shop_todo(self):
        """Return what keeps customers from buying a plan in the shop by themselves: sentences, maybe none."""
        _, params = self.env._, self.env["ir.config_parameter"].sudo()
        website = self._microsaas_shop_website()
        plans = self._microsaas_shop_plans()
        providers = self.env["payment.provider"].sudo().search(
            [("state", "in", ("enabled", "test")), ("is_published", "=", True), ("company_id", "=", website.company_id.id)]
        )
        invoices = params.get_param("sale.automatic_invoice") == "True"
        sign_up, sign_in = (
            website.auth_signup_uninvited == "b2c",
            website.account_on_checkout != "disabled",
        )
        published = not plans or any(plans.mapped("is_published"))
        checks = (
            (invoices, _("Invoices are not made by themselves when an order is paid.")),
            (sign_up, _("Customers cannot create their own account.")),
            (sign_in, _("Customers cannot sign in when they buy.")),
            (plans, _("There is no plan yet: create one under MicroSaaS ▸ Plans.")),
            (published, _("No plan is published.")),
            (providers, _("No way to pay is switched on: see Website ▸ Configuration ▸ Payment Providers.")),
        )
        return [sentence for is_done, sentence in checks if not is_done]

    def action_microsaas_sell_from_shop(self):
        """Set everything up so that a customer buys a plan in the web shop and nobody has to do anything.

        Ways to pay are the one thing it leaves alone: they need contracts and keys.

        :return: a notification saying what is done, or what a person must still do
        """
        self._microsaas_check_admin()
        params = self.env["ir.config_parameter"].sudo()
        params.set_param("sale.automatic_invoice", "True")
        self._microsaas_shop_website().write(
            {"auth_signup_uninvited": "b2c", "account_on_checkout": "optional"}
        )
        plans = self._microsaas_shop_plans()
        plans.write({"is_published": True, "invoice_policy": "order"})
        todo = self._microsaas_shop_todo()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning" if todo else "success",
                "sticky": bool(todo),
                "message": " ".join(todo) or self.env._("The web shop sells your plans."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
