"""What needs a person, worst first: one row each, which leads to the place where something can be done about it."""

from odoo import api, fields, models
from odoo.tools import SQL, format_date

from .account_move import OWED
from .microsaas_backup_watch import PROVEN_WITHIN
from .microsaas_sidecar import SILENT_AFTER

# Worst first. The place in this list is the first part of a row's number, so a kind is added at the end of it.
KINDS = [
    ("sidecar", "Sidecar silent"),
    ("error", "In error"),
    ("limit", "Approval"),
    ("hold", "On hold"),
    ("unpaid", "Unpaid"),
    ("mail", "Mail not sent"),
    ("backup", "No proven backup"),
    ("update", "Newer version"),
    ("over", "Over its plan"),
    ("room", "No room"),
]
# Every id of a record is below this.
STRIDE = 10**10
PLACES = {
    "sidecar": "microsaas.sidecar",
    "error": "odoo.docker.instance",
    "limit": "microsaas.brake",
    "hold": "account.move",
    "unpaid": "account.move",
    "mail": "microsaas.subscription",
    "backup": "odoo.docker.instance",
    "update": "odoo.docker.instance",
    "over": "odoo.docker.instance",
    "room": "microsaas.sidecar",
}


class MicrosaasAttention(models.Model):
    """One thing that a person should look at. Nothing is stored: it is there for as long as it is true.

    A company's own rows, and those of no company, which concern all: the sidecar and the suspension limit.
    """

    _name = "microsaas.attention"
    _description = "Needs attention"
    _auto = False
    _order = "severity, since, id"
    _depends = {
        "account.move": [
            *("amount_residual_signed", "company_id", "invoice_date_due", "microsaas_hold", "move_type", "name"),
            *("commercial_partner_id", "payment_state", "state"),
        ],
        "account.move.line": ["microsaas_months", "move_id", "product_id"],
        "docker.compose.template": ["image_digest", "image_pins"],
        "microsaas.backup": ["date", "instancia_id", "proof", "state"],
        "microsaas.brake": ["planned_on", "released_at", "subscription_ids"],
        "microsaas.limit": ["instance_id", "over_since"],
        "microsaas.notice": ["mail_id", "subscription_id"],
        "microsaas.sidecar": ["heard_at", "host_measured_at", "host_short_of", "name"],
        "microsaas.subscription": ["company_id", "data_removed_at", "instancia_id", "partner_id"],
        "mail.mail": ["state"],
        "odoo.docker.instance": [
            *("active", "company_id", "desired_state", "error_since", "given_modules", "image_digest", "linea_factura_id"),
            *("name", "partner_id", "plan_id", "requested_at", "staging_of_id", "state", "template_id", "was_ready"),
        ],
        "odoo.docker.repository": ["branch", "commit", "instance_id", "of_plan", "plan_id", "url"],
        "product.template": ["microsaas_modules"],
    }

    kind = fields.Selection(KINDS, "What", readonly=True)
    severity = fields.Integer(readonly=True, aggregator=None, help="0 is the worst.")
    name = fields.Char(readonly=True)
    partner_id = fields.Many2one("res.partner", "Customer", readonly=True)
    since = fields.Datetime(readonly=True)
    count = fields.Integer("How many", readonly=True, aggregator="sum")
    amount = fields.Monetary(
        "Owed",
        readonly=True,
        aggregator="sum",
        groups="account.group_account_invoice,account.group_account_readonly",
        help="In the company's currency.",
    )
    res_model = fields.Char(readonly=True)
    res_id = fields.Many2oneReference(model_field="res_model", readonly=True, aggregator=None)
    company_id = fields.Many2one("res.company", "Company", readonly=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    message = fields.Char("What is the matter", compute="_compute_message", compute_sudo=True)

    # -- rows --------------------------------------------------------------------------------------

    @property
    def _table_query(self):
        # The planner takes this for heavy work; compiling it costs several times what running it does.
        self.env.cr.execute("SET LOCAL jit = off")
        rows = [
            SQL(
                """SELECT %(first)s + place.res_id AS id, %(kind)s AS kind, %(severity)s AS severity,
                          %(model)s AS res_model, place.*
                     FROM (%(query)s) AS place (res_id, company_id, partner_id, name, since, count, amount)""",
                first=severity * STRIDE,
                kind=kind,
                severity=severity,
                model=PLACES[kind],
                query=getattr(self, f"_{kind}_sql")(),
            )
            for severity, (kind, _label) in enumerate(KINDS)
        ]
        return SQL(" UNION ALL ").join(rows)

    @api.model
    def _sidecar_sql(self):
        return SQL(
            """SELECT id, NULL::int, NULL::int, name, heard_at, 1, 0.0
                 FROM microsaas_sidecar WHERE heard_at < %s""",
            fields.Datetime.now() - SILENT_AFTER,
        )

    @api.model
    def _error_sql(self):
        return SQL(
            """SELECT id, company_id, partner_id, name, error_since, 1, 0.0
                 FROM odoo_docker_instance WHERE state = 'error' AND staging_of_id IS NULL"""
        )

    @api.model
    def _limit_sql(self):
        return SQL(
            """SELECT brake.id, NULL::int, NULL::int, %s, brake.create_date, count(*), 0.0
                 FROM microsaas_brake AS brake
                 JOIN microsaas_brake_microsaas_subscription_rel AS waiting ON waiting.microsaas_brake_id = brake.id
                WHERE brake.released_at IS NULL GROUP BY brake.id""",
            self.env._("Suspension limit"),
        )

    @api.model
    def _hold_sql(self):
        return SQL(
            """SELECT id, company_id, commercial_partner_id, name, write_date, 1, 0.0
                 FROM account_move WHERE microsaas_hold > '' AND state = 'posted'"""
        )

    @api.model
    def _unpaid_sql(self):
        # What is not due yet needs nobody; the page counts it with all that is unpaid. Noon is that day in nearly every zone.
        return SQL(
            """SELECT id, company_id, commercial_partner_id, name, invoice_date_due + time '12:00', 1, amount_residual_signed
                 FROM account_move
                WHERE move_type = 'out_invoice' AND state = 'posted' AND payment_state IN %s AND invoice_date_due < %s
                  AND EXISTS (SELECT FROM account_move_line AS line
                               WHERE line.move_id = account_move.id AND line.microsaas_months > 0)""",
            OWED,
            self.env.company._microsaas_today(),
        )

    @api.model
    def _mail_sql(self):
        return SQL(
            """SELECT own.id, own.company_id, own.partner_id, instance.name, min(notice.create_date), count(*), 0.0
                 FROM microsaas_notice AS notice
                 JOIN mail_mail AS mail ON mail.id = notice.mail_id AND mail.state = 'exception'
                 JOIN microsaas_subscription AS own ON own.id = notice.subscription_id
                 JOIN odoo_docker_instance AS instance ON instance.id = own.instancia_id
                GROUP BY own.id, instance.id"""
        )

    @api.model
    def _backup_sql(self):
        """Instances of which the watch would tell: once backups are made at all, and the first night is over."""
        watch, limit = self.env["microsaas.backup.watch"].sudo(), fields.Datetime.now() - PROVEN_WITHIN
        first = watch._first_known()
        return SQL(
            """SELECT instance.id, instance.company_id, instance.partner_id, instance.name, newest.last_proof, 1, 0.0
                 FROM (%s) AS newest JOIN odoo_docker_instance AS instance ON instance.id = newest.id
                WHERE %s AND (newest.last_backup IS NULL OR newest.last_backup < %s
                              OR newest.last_proof IS NULL OR newest.last_proof < %s)""",
            watch._newest_sql(),
            bool(first and first <= limit),
            limit,
            limit,
        )

    @api.model
    def _update_sql(self):
        """One row for all of a company: with a new image, that is every instance at once."""
        return SQL(
            """SELECT company_id, company_id, NULL::int, %s, NULL::timestamp, count(*), 0.0
                 FROM odoo_docker_instance WHERE %s GROUP BY company_id""",
            self.env._("Instances with a newer version"),
            self.env["odoo.docker.instance"]._is_behind_sql(),
        )

    @api.model
    def _over_sql(self):
        return SQL(
            """SELECT instance.id, instance.company_id, instance.partner_id, instance.name, min(own.over_since), count(*), 0.0
                 FROM microsaas_limit AS own JOIN odoo_docker_instance AS instance ON instance.id = own.instance_id
                WHERE own.over_since IS NOT NULL GROUP BY instance.id"""
        )

    @api.model
    def _room_sql(self):
        return SQL(
            "SELECT id, NULL::int, NULL::int, name, host_measured_at, 1, 0.0 FROM microsaas_sidecar WHERE %s",
            bool(self.env["microsaas.sidecar"].sudo()._short_of()),
        )

    # -- what people read --------------------------------------------------------------------------

    @api.depends("kind")
    @api.depends_context("lang")
    def _compute_message(self):
        for row in self:
            row.message = getattr(row, f"_{row.kind}_message")()

    def _place(self):
        """Return the record that this row is about, without any number but its own to be fetched together with others."""
        of_kind = self.browse(self._prefetch_ids).filtered(lambda row: row.res_model == self.res_model)
        return self.env[self.res_model].browse(self.res_id).with_prefetch(of_kind.mapped("res_id"))

    def _sidecar_message(self):
        return self.env["microsaas.sidecar"]._silence_sentence()

    def _error_message(self):
        return self._place().phase_message

    def _limit_message(self):
        return self.env._("%s instances wait for your approval to be suspended or removed.", self.count)

    def _hold_message(self):
        return self._place().microsaas_hold_message

    def _unpaid_message(self):
        return self.env._("Was due on %s.", format_date(self.env, self._place().invoice_date_due))

    def _mail_message(self):
        if self.count == 1:
            return self.env._("A mail to the customer did not leave.")
        return self.env._("%s mails to the customer did not leave.", self.count)

    def _backup_message(self):
        place = self._place()
        return self.env["microsaas.backup.watch"]._why(place, place.last_backup_at)

    def _update_message(self):
        if self.count == 1:
            return self.env._("One instance can be updated.")
        return self.env._("%s instances can be updated.", self.count)

    def _over_message(self):
        return " ".join(self._place().limit_ids.filtered("over_since").mapped("message"))

    def _room_message(self):
        return self.env["microsaas.sidecar"]._room_sentence()

    # -- the place ---------------------------------------------------------------------------------

    def action_open(self):
        """Open the place where something can be done about it.

        :return: an act_window
        """
        self.ensure_one()
        if self.kind == "update":
            action = self.env["ir.actions.act_window"]._for_xml_id("micro_saas.odoo_docker_instance_action")
            return {**action, "domain": [("is_update_available", "=", True), ("company_id", "=", self.res_id)], "context": {}}
        return {
            "type": "ir.actions.act_window",
            "res_model": self.res_model,
            "res_id": self.res_id,
            "view_mode": "form",
            "views": [(False, "form")],
        }
