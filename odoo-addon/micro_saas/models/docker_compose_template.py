import re

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.release import version_info

from .by_hand import ByHand
from .values import write_changed


class DockerComposeTemplate(ByHand, models.Model):
    """A folder of files from which the sidecar renders an instance. The sidecar keeps these records in step."""

    _name = "docker.compose.template"
    _description = "Instance template"
    _order = "name, id"

    name = fields.Char(required=True)
    code = fields.Char(required=True, help="Name of the folder in the sidecar's templates.")
    odoo_version = fields.Char("Odoo version")
    image_digest = fields.Char(
        "Newest image", readonly=True, help="The image that new instances get: what its tag is on the server now."
    )
    # A registry that has the same image too gives it one more name: an instance may have any of them.
    image_pins = fields.Char("Names of the newest image", readonly=True)
    active = fields.Boolean(default=True)

    if version_info[0] >= 19:
        _code_uniq = models.Constraint("UNIQUE(code)", "Another template has this code.")
    else:
        _sql_constraints = [("code_uniq", "UNIQUE(code)", "Another template has this code.")]

    @api.constrains("code")
    def _check_code(self):
        for template in self:
            if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", template.code):
                raise ValidationError(
                    self.env._(
                        "A template's code is a folder name: small letters, digits, dots and dashes."
                    )
                )

    def _has_newer_image(self, image):
        """Tell whether the newest image is known and is another one than `image`, the pin of an instance."""
        names = {self.image_digest, *(self.image_pins or "").split("\n")}
        return bool(image and self.image_digest) and image not in names

    @api.model
    def _default_template(self):
        """Return the template used where nobody chose one: `odoo`, else the first; maybe none."""
        return self.search([("code", "=", "odoo")], limit=1) or self.search([], limit=1)

    @api.model
    def _sync(self, templates):
        """Make the records mirror the sidecar's template folders; see `microsaas_sync`."""
        records = self.with_context(active_test=False).search([])
        by_code = {record.code: record for record in records}
        for folder in templates:
            record = by_code.pop(folder["code"], None)
            if record is None:
                self.create(folder)
                continue
            write_changed(record, {**folder, "active": True})
        for record in by_code.values():
            if record.active:
                record.active = False
