"""What customers are told by mail and people by an activity, each thing once."""

import logging

from odoo import fields, models
from odoo.release import version_info

_logger = logging.getLogger(__name__)

UNIQUE = "UNIQUE(subscription_id, kind, period)"
UNIQUE_MESSAGE = "This has been said already."
MAILS = {
    "welcome": "micro_saas.mail_template_welcome",
    "expiring": "micro_saas.mail_template_expiring",
    "suspended": "micro_saas.mail_template_suspended",
    "renewed": "micro_saas.mail_template_renewed",
    "finalNotice": "micro_saas.mail_template_final_notice",
    "addressChanged": "micro_saas.mail_template_address_changed",
}
# What lets the customer pay must be there before she is asked to.
ASKS_TO_PAY = {"suspended", "finalNotice"}


class MicrosaasNotice(models.Model):
    """One thing that was said about a subscription. The constraint makes it once, whatever crashes."""

    _name = "microsaas.notice"
    _description = "Subscription notice"
    _order = "id desc"

    subscription_id = fields.Many2one(
        "microsaas.subscription", required=True, ondelete="cascade", index=True
    )
    kind = fields.Char(required=True)
    period = fields.Char(help="Tells two of one kind apart: a day, an invoice line.")

    if version_info[0] >= 19:
        _notice_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("notice_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def _tell(self, subscription, kind, period, link):
        """Say one thing unless it was said: to the customer by mail, to people where no mail says it.

        :param link: the one-time link of a welcome; it goes into the mail and nowhere else
        """
        said = self.search(
            [("subscription_id", "=", subscription.id), ("kind", "=", kind), ("period", "=", period)]
        )
        if said:
            return
        self.create({"subscription_id": subscription.id, "kind": kind, "period": period})
        if kind not in MAILS:
            subscription._ask_people(kind)
            return
        if not subscription.partner_id.email:
            subscription._ask_people("noAddress")
            return
        try:
            with self.env.cr.savepoint():
                self._mail(subscription, kind, link)
        except Exception as error:  # noqa: BLE001 - a template that people broke must not stop the sidecar
            # Only its kind: the text may hold the link.
            _logger.warning("Notice %s of %s: %s", kind, subscription.name, type(error).__name__)
            subscription._ask_people("mailFailed")

    def _mail(self, subscription, kind, link):
        if kind in ASKS_TO_PAY:
            subscription._ask_to_pay()
        template = self.env.ref(MAILS[kind]).with_context(microsaas_link=link)
        template.send_mail(subscription.id)
        # The queue is emptied once an hour; nobody should wait for it so long.
        self.env.ref("mail.ir_cron_mail_scheduler_action")._trigger()
