"""How often a customer may restart their Odoo from the portal: each restart takes a start slot that others wait for."""

import time

from odoo import fields, models
from odoo.exceptions import UserError

RESTARTS = 5
MINUTES = 10


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    portal_restarts = fields.Json(
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="When the customer last restarted it: seconds since 1970.",
    )

    def _restart_by_customer(self):
        """Restart an instance for its customer. Call it with sudo.

        :raise UserError: as restart_instance(), or too often
        """
        self.ensure_one()
        now = time.time()
        recent = [moment for moment in self.portal_restarts or [] if moment > now - 60 * MINUTES]
        if len(recent) >= RESTARTS:
            raise UserError(
                self.env._(
                    "“%(instance)s” was restarted %(count)s times within %(minutes)s minutes. Wait some minutes;"
                    " if that does not help, ask us.",
                    instance=self.name,
                    count=RESTARTS,
                    minutes=MINUTES,
                )
            )
        self.restart_instance()
        self._quiet().portal_restarts = [*recent, now]
