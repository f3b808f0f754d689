"""One change of plan: asked for, paid or waiting for its day, made, and taken back when its money is."""

import logging
from datetime import timedelta

from psycopg2 import OperationalError

from odoo import api, fields, models
from odoo.exceptions import RedirectWarning, UserError
from odoo.tools import SQL
from odoo.tools.misc import format_date

from .by_hand import ByHand

_logger = logging.getLogger(__name__)

# Still to come: a subscription has one of these at most.
OPEN = ("waiting", "scheduled")


class MicrosaasPlanChange(ByHand, models.Model):
    """What a subscription leaves one plan for another by.

    A dearer plan is paid first: its invoice names this change on both its lines, and the change is made in the
    transaction in which the money comes. A cheaper one waits for the end of what is paid, or is made at once with a
    credit note. `_review` does what facts ask for, however often it is called.
    """

    _name = "microsaas.plan.change"
    _description = "Plan change"
    _order = "id desc"

    subscription_id = fields.Many2one("microsaas.subscription", "Subscription", required=True, ondelete="cascade", index=True)
    old_product_id = fields.Many2one("product.product", "From", required=True, ondelete="restrict")
    new_product_id = fields.Many2one("product.product", "To", required=True, ondelete="restrict")
    state = fields.Selection(
        [
            ("waiting", "Waits for its payment"),
            ("scheduled", "Scheduled"),
            ("done", "Made"),
            ("undone", "Taken back"),
            ("withdrawn", "Withdrawn"),
            ("late", "Paid too late"),
        ],
        required=True,
        readonly=True,
        index=True,
    )
    day = fields.Date("Takes effect on", readonly=True, help="Empty for one that is made when its invoice is paid.")
    price = fields.Monetary(
        "Price of a term", readonly=True, help="What was agreed to: renewals are invoiced at it, unless the plan says otherwise."
    )
    currency_id = fields.Many2one("res.currency", "Currency", required=True, readonly=True)
    line_ids = fields.One2many("account.move.line", "microsaas_change_id", "Invoice lines")
    move_id = fields.Many2one("account.move", "Invoice or credit note", compute="_compute_move_id", compute_sudo=True)
    made_at = fields.Datetime("Made on", readonly=True)
    missing_since = fields.Datetime("Payment missing since", readonly=True)

    def init(self):
        super().init()
        # Two tabs, two people: one of them waits for the other and finds what is asked for already.
        self.env.cr.execute(
            SQL(
                "CREATE UNIQUE INDEX IF NOT EXISTS microsaas_plan_change_open_uniq ON microsaas_plan_change (subscription_id)"
                " WHERE state IN %s",
                OPEN,
            )
        )

    @api.depends("line_ids.move_id")
    def _compute_move_id(self):
        for change in self:
            change.move_id = change.line_ids.move_id.sorted("id")[-1:]

    # -- its invoice -------------------------------------------------------------------------------

    def _invoices(self):
        """Return the invoices of this change that ask for money, or have: those cancelled or credited in full left out."""
        return self.line_ids.move_id.filtered(
            lambda move: move.move_type == "out_invoice" and move.state != "cancel" and not move._microsaas_is_fully_reversed()
        )

    def _is_paid(self):
        return any(move._microsaas_is_paid() for move in self._invoices())

    def _invoice_to_pay(self):
        """Return the posted invoice that the customer pays to have the change made, maybe none."""
        return self._invoices().filtered(lambda move: move._microsaas_is_owed())[:1]

    def _is_being_paid(self):
        """Tell whether money for it has come in part, or is on its way: then nothing of it is withdrawn."""
        return any(move._microsaas_has_money_coming() for move in self._invoices())

    def _shared_invoice(self):
        """Return its posted invoice that somebody has added lines to, maybe none: how much of it is owed without it, they know."""
        posted = self._invoices().filtered(lambda move: move.state == "posted")
        return posted.filtered(lambda move: move._microsaas_products() - self.line_ids)[:1]

    def _renewals_at_its_price(self):
        """Return the lines that renew by the new plan from its day on, posted and not credited: with them it is bought."""
        return self.subscription_id.renewal_line_ids.filtered(
            lambda line: line.parent_state == "posted"
            and line.move_id.move_type == "out_invoice"
            and line.product_id == self.new_product_id
            and (line.microsaas_service_start or self.day) >= self.day
            and line._microsaas_reversed_ratio() < 1.0
        )

    def _was_paid_at_a_provider(self):
        return any(one.state == "done" for one in self.line_ids.move_id._microsaas_transactions())

    # -- what people do ----------------------------------------------------------------------------

    def action_withdraw(self):
        """Withdraw a change that is still to come; its unpaid invoice is cancelled, by a credit note once it is posted.

        What else somebody has put on that invoice stays: in a draft, and on a posted one, which a person is asked to credit.

        :return: True
        :raise UserError: it is made already, its money is on the way, or a renewal is invoiced at its price
        """
        for change in self:
            change.subscription_id._check_user()
            change.sudo()._withdraw(self.env._("%s withdrew it.", self.env.user.name))
        return True

    def _withdraw(self, why):
        self.ensure_one()
        self.subscription_id._serialize_renewals()
        if self.state not in OPEN:
            raise UserError(self.env._("The change to plan %s has been made or withdrawn already.", self.new_product_id.name))
        if self._is_being_paid():
            raise UserError(
                self.env._(
                    "Invoice %s for the change of plan is being paid: wait until the money has come.",
                    self._invoices()[:1].display_name,
                )
            )
        is_scheduled = self.state == "scheduled"
        bought = is_scheduled and self._renewals_at_its_price()
        if bought:
            raise UserError(
                self.env._(
                    "Invoice %(invoice)s has renewed by plan %(plan)s already, at its price: the plan changes, unless that"
                    " invoice is credited.",
                    invoice=bought[:1].move_id.name,
                    plan=self.new_product_id.name,
                )
            )
        for move in self._invoices():
            if move.state == "draft":
                (move.invoice_line_ids & self.line_ids)._microsaas_leave_draft(why)
            elif move == self._shared_invoice():
                self.subscription_id._ask_people("changeShared")
            else:
                # What is posted stays: the credit note says that nobody owes it any more.
                move._reverse_moves([{"ref": why, "invoice_date": fields.Date.context_today(move)}], cancel=True)
        self.state = "withdrawn"
        if is_scheduled:
            self.subscription_id._drop_renewal_drafts()
        self._note(self.env._("The change to plan %(plan)s is withdrawn: %(why)s", plan=self.new_product_id.name, why=why))

    # -- what facts ask for ------------------------------------------------------------------------

    @api.model
    def _cron_review(self):
        """Make what is due by its day, and see to money that has been missing for too long; one that fails holds up no other."""
        changes = self.search(
            ["|", ("state", "in", OPEN), "&", ("state", "=", "done"), ("missing_since", "!=", False)], order="id"
        )
        for change in changes:
            try:
                change._review_apart()
            except OperationalError:
                raise  # somebody else was faster: the whole job is run again
            except Exception:
                _logger.exception("Change of plan %s could not be reviewed.", change.id)

    def _review_apart(self):
        """Review each by itself: where one is refused, the rest of the transaction stays, and the job tries it again."""
        for change in self:
            try:
                with self.env.cr.savepoint():
                    change._review()
            except (RedirectWarning, UserError) as error:
                _logger.warning("Change of plan %s: %s", change.id, error)

    def _review(self):
        """Do what the facts ask for: make it, take it back, or withdraw it once it is over."""
        for change in self:
            if change.state == "scheduled":
                if change.day <= change.subscription_id.company_id._microsaas_today():
                    change._make()
            elif change.state in ("waiting", "undone") and change._is_paid():
                change._make_paid()
            elif change.state == "waiting":
                change._review_waiting()
            elif change.state == "done" and change.line_ids:
                change._review_money()
            elif change.state == "withdrawn" and change._was_paid_at_a_provider():
                change._ask_about_late_money()

    def _make_paid(self):
        subscription = self.subscription_id
        if subscription.state in ("cancelled", "removed") or subscription.product_id != self.old_product_id:
            # It has ended, or has another plan by now: only a person knows what the money is for.
            if self.state == "waiting":
                self._ask_about_late_money()
            return
        self._make()

    def _ask_about_late_money(self):
        """Ask a person, once, about money for a change that cannot be made any more."""
        self.state = "late"
        self.subscription_id._ask_people("changePaidLate")

    def _make(self):
        """Give the subscription its new plan: limits and sleep change with it, renewals are made anew."""
        self.write({"state": "done", "made_at": fields.Datetime.now(), "missing_since": False})
        self.subscription_id._take_plan(self.new_product_id)
        self._note(
            self.env._(
                "The plan is %(new)s now, instead of %(old)s. More memory and other processors apply now, less memory from the next restart.",
                new=self.new_product_id.name,
                old=self.old_product_id.name,
            )
        )

    def _review_waiting(self):
        subscription = self.subscription_id
        today = subscription.company_id._microsaas_today()
        if not self._invoices():
            self.state = "withdrawn"
            self._note(self.env._("The change to plan %s is withdrawn: its invoice was cancelled.", self.new_product_id.name))
        elif not self._is_being_paid() and (not subscription.fecha_fin or subscription.fecha_fin < today):
            self._withdraw(self.env._("the period that it was for is over."))

    def _review_money(self):
        """See to a change that was made and whose money has gone since, as the plan says about refunds."""
        plan, subscription = self.new_product_id.product_tmpl_id, self.subscription_id
        invoices = self.line_ids.move_id.filtered(lambda move: move.move_type == "out_invoice")
        last_day = max(self.line_ids.filtered("microsaas_service_end").mapped("microsaas_service_end"), default=None)
        is_over = not last_day or last_day < subscription.company_id._microsaas_today()
        if not invoices or self._is_paid() or is_over or subscription.product_id != self.new_product_id:
            self.missing_since = False
            return
        terms = plan._microsaas_terms(subscription.company_id)
        self.missing_since = self.missing_since or fields.Datetime.now()
        is_gone_for_good = not self._invoices()
        if not is_gone_for_good and fields.Datetime.now() < self.missing_since + timedelta(hours=terms["reconsider"]):
            return
        if terms["refund"] == "suspend":
            self._take_back()
        elif terms["refund"] == "warn":
            subscription._ask_people("changeUnpaid")

    def _take_back(self):
        self.write({"state": "undone", "missing_since": False})
        self.subscription_id._take_plan(self.old_product_id)
        self.subscription_id._ask_people("changeUndone")
        self._note(
            self.env._(
                "The plan is %(old)s again: the payment of the change to %(new)s is missing or was given back.",
                new=self.new_product_id.name,
                old=self.old_product_id.name,
            )
        )

    def _note(self, body):
        for record in (self.subscription_id, self.subscription_id.instancia_id):
            record.sudo()._message_log(body=body, author_id=self.env.user.partner_id.id)

    # -- what is said of it ------------------------------------------------------------------------

    def _sentence(self):
        """Return what is to come, as a sentence for seller and customer; empty once nothing is."""
        self.ensure_one()
        _, plan = self.env._, self.new_product_id.name
        if self.state == "scheduled":
            return _("The plan changes to %(plan)s on %(day)s.", plan=plan, day=format_date(self.env, self.day))
        if self.state != "waiting":
            return ""
        move = self.sudo()._invoices()[:1]
        if move.state == "draft":
            return _("The plan changes to %s as soon as its invoice, a draft so far, is paid.", plan)
        return _("The plan changes to %(plan)s as soon as invoice %(invoice)s is paid.", plan=plan, invoice=move.name or "")
