from odoo import models


class MailMail(models.Model):
    _inherit = "mail.mail"

    def _postprocess_sent_message(self, success_pids, success_emails, failure_reason=False, failure_type=None):
        # Before: a mail that has left is deleted here.
        notices = self.env["microsaas.notice"].sudo().search([("mail_id", "in", self.ids)])
        reason = failure_reason or self[:1].failure_reason
        result = super()._postprocess_sent_message(success_pids, success_emails, failure_reason, failure_type)
        if notices and failure_type:
            notices._note_failed(reason)
        elif notices:
            notices._note_sent()
        return result
