"""The machine that all instances share, as the sidecar measured it last."""

from odoo import api, fields, models

from .values import write_changed


class MicrosaasSidecar(models.Model):
    _inherit = "microsaas.sidecar"

    host_measured_at = fields.Datetime("Host measured", readonly=True)
    host_memory_mb = fields.Integer("Memory of the host (MB)", readonly=True, aggregator=None)
    host_free_memory_mb = fields.Integer("Free memory of the host (MB)", readonly=True, aggregator=None)
    host_disk_mb = fields.Integer("Disk of the host (MB)", readonly=True, aggregator=None)
    host_free_disk_mb = fields.Integer("Free disk of the host (MB)", readonly=True, aggregator=None)
    host_short_of = fields.Char("Too little of", readonly=True, help="What there is too little of for one more instance.")

    @api.model
    def _report_host(self, host):
        """Note how the machine does; see `microsaas_report_use`."""
        numbers = ("memory_mb", "free_memory_mb", "disk_mb", "free_disk_mb")
        values = {f"host_{name}": host[name] for name in numbers}
        short_of = ",".join(host["short_of"])
        write_changed(self._one(), {**values, "host_short_of": short_of, "host_measured_at": fields.Datetime.now()})
