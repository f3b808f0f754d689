"""What customers are told by mail and people by an activity, each thing once; and whether the mail has left."""

import logging

from odoo import Command, api, fields, models
from odoo.release import version_info

from .alerts import close_activities, person_for, raise_activity
from .by_hand import ByHand

_logger = logging.getLogger(__name__)

UNIQUE = "UNIQUE(subscription_id, kind, period)"
UNIQUE_MESSAGE = "This has been said already."
MAILS = {
    "welcome": "micro_saas.mail_template_welcome",
    "expiring": "micro_saas.mail_template_expiring",
    "suspended": "micro_saas.mail_template_suspended",
    "renewed": "micro_saas.mail_template_renewed",
    "finalNotice": "micro_saas.mail_template_final_notice",
    "removed": "micro_saas.mail_template_removed",
    "downloadReady": "micro_saas.mail_template_download_ready",
    "updatePlanned": "micro_saas.mail_template_update_planned",
    "updatePutOff": "micro_saas.mail_template_update_put_off",
    "updated": "micro_saas.mail_template_updated",
    "addressChanged": "micro_saas.mail_template_address_changed",
    "limitNear": "micro_saas.mail_template_limit_near",
    "limitOver": "micro_saas.mail_template_limit_over",
    "chargeAhead": "micro_saas.mail_template_charge_ahead",
    "chargeFailed": "micro_saas.mail_template_charge_failed",
    "chargeWaits": "micro_saas.mail_template_charge_waits",
}
# Opens a page on which a password is chosen, so it is no message on a record, where colleagues would read it.
PRIVATE = {"welcome"}
# Is for who administers the instance, whoever pays for it.
OF_ADMINISTRATOR = {"welcome", "downloadReady", "updatePlanned", "updatePutOff", "updated"}
MAIL_ACTIVITY = "micro_saas.mail_activity_type_mail"


class MicrosaasNotice(ByHand, models.Model):
    """One thing that was said about a subscription. The constraint makes it once, whatever crashes."""

    _name = "microsaas.notice"
    _description = "Subscription notice"
    _order = "id desc"

    subscription_id = fields.Many2one(
        "microsaas.subscription", required=True, ondelete="cascade", index=True
    )
    kind = fields.Char(required=True)
    period = fields.Char(help="Tells two of one kind apart: a day, an invoice line.")
    mail_id = fields.Many2one(
        "mail.mail", "Mail", ondelete="set null", index="btree_not_null", groups="base.group_system"
    )
    has_failed = fields.Boolean("Did not leave", readonly=True)

    if version_info[0] >= 19:
        _notice_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("notice_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def _tell(self, subscription, kind, period):
        """Say one thing unless it was said: to the customer by mail, to people where no mail says it.

        :return: the notice; none where it was said before
        """
        said = self.search(
            [("subscription_id", "=", subscription.id), ("kind", "=", kind), ("period", "=", period)]
        )
        if said:
            return self.browse()
        notice = self.create({"subscription_id": subscription.id, "kind": kind, "period": period})
        if kind == "expiring" and subscription.sudo()._announce_charge():
            return notice  # in place of being asked to pay
        if kind not in MAILS:
            subscription._ask_people(kind)
            return notice
        if not notice._recipient().email:
            subscription._ask_people("noAddress")
            return notice
        try:
            with self.env.cr.savepoint():
                notice._mail()
        except Exception as error:  # noqa: BLE001 - a template that people broke must not stop the sidecar
            # Only its kind: the text may hold the address of a welcome page.
            _logger.warning("Notice %s of %s: %s", kind, subscription.name, type(error).__name__)
            subscription._ask_people("mailFailed")
        return notice

    def _recipient(self):
        """Return who is told: of the first login, data and updates the administrator, of all else who is invoiced."""
        subscription = self.subscription_id
        return subscription.instancia_id._administrator() if self.kind in OF_ADMINISTRATOR else subscription.partner_id

    def _mail(self):
        subscription, template = self.subscription_id, self.env.ref(MAILS[self.kind])
        # Since Odoo 19 a template whose recipients are the default ones goes to the record's `partner_id`, whatever it names itself.
        values = {"recipient_ids": [Command.set(self._recipient().ids)]}
        if not template.email_from:  # one that people have changed, or from before templates had one
            values |= {"email_from": subscription._mail_from(), "reply_to": subscription._mail_reply_to()}
        if self.kind in PRIVATE:
            page = subscription.instancia_id._welcome_url()
            template = template.with_context(microsaas_link=page)
            values |= {"model": False, "res_id": False}
        mail = template.send_mail(subscription.id, email_values=values)
        self.mail_id = mail
        if self.kind in PRIVATE:
            office = subscription.with_context(lang=subscription.company_id.partner_id.lang)
            office._message_log(
                body=office.env._("Mail to %s: welcome, with the way to the first login.", self._recipient().email)
            )
        # The queue is emptied once an hour; nobody should wait for it so long.
        self.env.ref("mail.ir_cron_mail_scheduler_action")._trigger()

    # -- whether it has left -------------------------------------------------------------------

    def _note_sent(self):
        """The mails of these notices have left: whoever was asked to look at earlier ones need not any more."""
        self.has_failed = False
        self.env["microsaas.charge"].sudo().search([("announcement_id", "in", self.ids)])._note_announced()
        for subscription in self.subscription_id:
            close_activities(
                subscription, MAIL_ACTIVITY, self.env._("A mail to the customer has left since.")
            )

    def _has_not_left(self):
        """Tell whether the mail of this notice waits yet, or could not be sent."""
        return self.has_failed or self.sudo().mail_id.state in ("outgoing", "exception", "cancel")

    def _note_failed(self, reason):
        """The mails of these notices have not left: one person is asked to look, once until a mail leaves again.

        :param reason: in the mail server's own words, maybe empty
        """
        self.has_failed = True
        for notice in self:
            subscription = notice.subscription_id
            office = subscription.with_context(lang=subscription.company_id.partner_id.lang)
            raise_activity(
                office,
                MAIL_ACTIVITY,
                person_for(self.env, subscription.factura_id.invoice_user_id, is_technical=True),
                office.env._("A mail to the customer did not leave"),
                office.env._(
                    "To %(address)s: %(reason)s. Check the outgoing mail server and the address, then send it again"
                    " under Settings ▸ Technical ▸ Emails.",
                    address=notice._recipient().email or "",
                    reason=reason or office.env._("no reason was given"),
                ),
            )

    @api.model
    def _alert_failed_mails(self):
        """Find mails that failed unseen, as when the process that sent them was killed."""
        failed = self.sudo().search([("mail_id.state", "=", "exception"), ("has_failed", "=", False)])
        for notice in failed:
            notice._note_failed(notice.mail_id.failure_reason)
