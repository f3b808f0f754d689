from odoo import api, models
from odoo.tools import config, email_normalize


class IrMailServer(models.Model):
    _inherit = "ir.mail_server"

    @api.model
    def _microsaas_is_missing(self):
        """Tell whether no mail leaves this Odoo but through a mail server of its own machine."""
        servers = self.sudo().search_count([], limit=1)
        return not servers and config.get("smtp_server") in (False, None, "", "localhost")

    @api.model
    def _microsaas_sender(self):
        """Return an address that the first mail server sends for: that of its filter, or its login; empty if it names none."""
        server = self.sudo().search([], limit=1)
        texts = [*(server.from_filter or "").split(","), server.smtp_user or ""]
        return next(filter(None, map(email_normalize, texts)), "")
