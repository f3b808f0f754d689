from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools.misc import format_date


class MicrosaasChangePlan(models.TransientModel):
    """Says what another plan costs now and from the next period on, and asks for it."""

    _name = "microsaas.change.plan"
    _description = "Change plan"

    subscription_id = fields.Many2one("microsaas.subscription", "Subscription", required=True, readonly=True, ondelete="cascade")
    # Not with sudo: whoever names another company's subscription reads nothing of it.
    partner_id = fields.Many2one(related="subscription_id.partner_id", string="Customer", related_sudo=False)
    present_id = fields.Many2one(related="subscription_id.product_id", string="Present plan", related_sudo=False)
    last_day = fields.Date(related="subscription_id.fecha_fin", string="Paid until", related_sudo=False)
    product_id = fields.Many2one(
        "product.product",
        "New plan",
        domain="[('es_plan_microsaas', '=', True), ('id', '!=', present_id)]",
    )
    currency_id = fields.Many2one("res.currency", compute="_compute_cost")
    obstacle = fields.Char("Why not", compute="_compute_cost")
    amount = fields.Monetary("For the days that are paid already", compute="_compute_cost", help="Taxes included.")
    next_amount = fields.Monetary("Each term from then on", compute="_compute_cost", help="Taxes included.")
    is_cheaper = fields.Boolean("Cheaper", compute="_compute_cost")
    is_at_once = fields.Boolean(
        "At once, with a credit note in draft",
        help="Otherwise the cheaper plan begins on the day after the last paid one, and nothing is given back.",
    )
    outcome = fields.Char("What happens", compute="_compute_cost")

    @api.depends("product_id", "is_at_once")
    @api.depends_context("lang")
    def _compute_cost(self):
        for wizard in self:
            # What may be read of a subscription is seen to where it is named.
            subscription, product = wizard._subscription(), wizard.product_id.sudo()
            obstacle = bool(product) and (subscription._state_obstacle() or subscription._plan_obstacle(product))
            wizard.currency_id = subscription._renewal_currency() or self.env.company.currency_id
            quote = subscription._quote(product) if product and not obstacle else {"amount": 0.0, "next_amount": 0.0}
            wizard.obstacle, wizard.next_amount = obstacle, quote["next_amount"]
            wizard.is_cheaper = wizard.currency_id.compare_amounts(quote["amount"], 0.0) < 0
            # What is not given back is not shown as if it were.
            wizard.amount = 0.0 if wizard.is_cheaper and not wizard.is_at_once else quote["amount"]
            wizard.outcome = wizard._outcome(subscription) if product and not obstacle else False

    def _outcome(self, subscription):
        _ = self.env._
        limits = _("More memory and other processors apply with it, less memory from the next restart.")
        if self.currency_id.compare_amounts(self.amount, 0.0) > 0:
            what = _("An invoice in draft is made. The plan changes as soon as it is paid.")
        elif not self.is_cheaper:
            what = _("The plan changes at once; nothing is invoiced for the days that are paid already.")
        elif self.is_at_once:
            what = _("The plan changes at once, and a credit note in draft is made: post it, or delete it.")
        else:
            what = _("The plan changes on the day after %s.", format_date(self.env, subscription.fecha_fin))
        missing = subscription.instancia_id._modules_that_come(self.product_id.sudo())
        modules = missing and _("These modules come with the next update of the instance: %s.", missing)
        return " ".join(filter(None, (what, limits, modules)))

    def _subscription(self):
        self.subscription_id.check_access("read")
        return self.subscription_id.sudo()

    def action_confirm(self):
        """Ask for the change.

        :return: an act_window of its invoice or credit note, else the action that closes the form
        :raise UserError: a sentence saying why it cannot be
        """
        self.ensure_one()
        self.subscription_id._check_user()
        if not self.product_id:
            raise UserError(self.env._("Choose a plan first."))
        change = self._subscription()._change_plan(
            self.product_id.sudo(),
            self.env._("%s changes the plan.", self.env.user.name),
            is_cheaper_at_once=self.is_at_once,
        )
        if not change.move_id:
            return {"type": "ir.actions.act_window_close"}
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": change.move_id.id,
            "view_mode": "form",
            "views": [(False, "form")],
        }
