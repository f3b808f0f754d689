"""Whether one more instance would start: what the machine has left, and free ports. A sale without room waits, and says so."""

from datetime import timedelta

from odoo import api, fields, models

from .settings import PORT_RANGES

# Why an instance that is sold waits for room, as the sidecar reports it. It tries again by itself.
NO_ROOM = {"NotEnoughMemory", "NotEnoughDisk", "NotEnoughInodes", "NoFreePorts"}
# The sidecar measures the machine every five minutes. What is older says nothing.
KNOWN_FOR = timedelta(minutes=20)


class MicrosaasSidecar(models.Model):
    _inherit = "microsaas.sidecar"

    room_message = fields.Char("Room", compute="_compute_room_message", compute_sudo=True)

    @api.depends("host_short_of", "host_measured_at")
    @api.depends_context("lang")
    def _compute_room_message(self):
        self.room_message = self._room_sentence()

    @api.model
    def _short_of(self):
        """Return what there is too little of for one more instance: a list of "memory", "disk" and "ports"."""
        sidecar, ports = self._one(), self.env["microsaas.reserved.port"].sudo()
        is_known = sidecar.host_measured_at and sidecar.host_measured_at > fields.Datetime.now() - KNOWN_FOR
        short_of = (sidecar.host_short_of or "").split(",") if is_known else []
        used_up = [] if all(ports._has_free(field) for field in PORT_RANGES) else ["ports"]
        return [*filter(None, short_of), *used_up]

    @api.model
    def _room_sentence(self):
        """Return why a sale would wait, for people of the office, in the language of the context; "" where it would not."""
        _ = self.env._
        names = {"memory": _("memory"), "disk": _("disk space"), "ports": _("ports")}
        short_of = [names[one] for one in self._short_of() if one in names]
        if not short_of:
            return ""
        return _("The server has no room for another instance (%s): what is sold now waits, and starts by itself.", ", ".join(short_of))


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    def _waits_for_room(self):
        """Tell whether an instance does not start for want of room alone."""
        return self.state == "error" and self.reason in NO_ROOM

    def _portal_status(self):
        status = super()._portal_status()
        if status["code"] != "error" or not self._waits_for_room():
            return status
        _ = self.env._
        text = _("There is no room for it on our server right now. It starts by itself as soon as there is: you need not do anything.")
        return {**status, "title": _("Your Odoo waits for room"), "text": text}
