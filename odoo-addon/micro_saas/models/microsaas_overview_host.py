"""The machine on the owner's page: what is left of its memory and its disk."""

from odoo import fields, models


class MicrosaasOverview(models.Model):
    _inherit = "microsaas.overview"

    memory_text = fields.Char("Memory", compute="_compute_host", compute_sudo=True)
    disk_text = fields.Char("Disk", compute="_compute_host", compute_sudo=True)
    room_text = fields.Char("Room", compute="_compute_host", compute_sudo=True)

    def _compute_host(self):
        sidecar, in_words = self.env["microsaas.sidecar"]._one(), self.env["odoo.docker.instance"]._format_mb
        for page in self:
            for name in ("memory", "disk"):
                free, size = sidecar[f"host_free_{name}_mb"], sidecar[f"host_{name}_mb"]
                text = size and self.env._("%(free)s of %(size)s free", free=in_words(free), size=in_words(size))
                page[f"{name}_text"] = text or False
            page.room_text = sidecar._room_sentence() or False
