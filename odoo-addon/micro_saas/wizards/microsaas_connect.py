from odoo import fields, models


class MicrosaasConnect(models.AbstractModel):
    """Shows the sidecar's credentials once. It has no table: a secret must not rest in the database."""

    _name = "microsaas.connect"
    _description = "Connect a sidecar"

    # The web client wants an id to open a form on a model without records.
    id = fields.Id()
    login = fields.Char(readonly=True)
    api_key = fields.Char("API key", readonly=True)
    webhook_secret = fields.Char(readonly=True)
    database = fields.Char(readonly=True)
