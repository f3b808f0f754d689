from odoo import models
from odoo.tools import email_normalize_all


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _microsaas_email(self):
        """Return one address in lower case, as a login is written; empty for none. The field may hold several."""
        return next(iter(email_normalize_all(self.email or "")), "")
