from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.release import version_info
from odoo.tools import SQL

from .nudge import nudge

# What people may wish for; a change of any of these makes the sidecar look at the instance at once.
WISHES = {"name", "partner_id", "template_id", "http_port", "longpolling_port"} | {
    "desired_state",
    "restart_count",
    "active",
}
NAME_LENGTH = 300


class OdooDockerInstance(models.Model):
    """One customer's Odoo: what people want of it and what the sidecar saw last.

    This model never touches Docker. Buttons change the wish (`desired_state`, `restart_count`), the sidecar
    acts on it and reports (odoo_docker_instance_sidecar.py).
    """

    _name = "odoo.docker.instance"
    _description = "Odoo instance"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(required=True, tracking=True, help="A label; it may hold any text.")
    active = fields.Boolean(default=True, copy=False)
    company_id = fields.Many2one(
        "res.company", "Company", required=True, index=True, default=lambda self: self.env.company
    )
    partner_id = fields.Many2one("res.partner", "Customer", index=True, tracking=True)
    factura_id = fields.Many2one(
        "account.move", "Invoice", ondelete="restrict", index=True, copy=False, check_company=True
    )
    linea_factura_id = fields.Many2one(
        "account.move.line", "Invoice line", ondelete="restrict", readonly=True, copy=False
    )
    unidad = fields.Integer(
        "Unit", readonly=True, copy=False, help="Which unit of the invoice line this is, from 1."
    )
    plan_id = fields.Many2one(related="linea_factura_id.product_id.product_tmpl_id", string="Plan")
    template_id = fields.Many2one(
        "docker.compose.template", "Template", ondelete="restrict", index=True, tracking=True
    )
    repository_ids = fields.One2many(
        "odoo.docker.repository", "instance_id", "Repositories", copy=True
    )
    subscription_ids = fields.One2many("microsaas.subscription", "instancia_id", "Subscriptions")

    desired_state = fields.Selection(
        [
            ("draft", "Not started"),
            ("running", "Running"),
            ("stopped", "Stopped"),
            ("removed", "Removed"),
        ],
        "Wanted state",
        default="draft",
        required=True,
        copy=False,
        tracking=True,
    )
    restart_count = fields.Integer("Restarts", readonly=True, copy=False, aggregator=None)
    http_port = fields.Integer("HTTP port", copy=False, aggregator=None)
    longpolling_port = fields.Integer("Longpolling port", copy=False, aggregator=None)

    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("running", "Running"),
            ("stopped", "Stopped"),
            ("error", "Error"),
            ("removed", "Removed"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
    )
    reason = fields.Char(readonly=True, copy=False, help="One word for what is going on.")
    instance_url = fields.Char("Address", readonly=True, copy=False)
    # Portal customers may read their own instances, not what is written here for operators.
    log = fields.Text(readonly=True, copy=False, groups="base.group_user", help="Newest first.")
    segundos_hasta_listo = fields.Float(
        "Seconds until ready",
        readonly=True,
        copy=False,
        aggregator="avg",
        help="From the payment, or from Start, to the first answer of the login page.",
    )

    was_ready = fields.Boolean("Has run", readonly=True, copy=False, help="It has answered at least once.")
    requested_at = fields.Float(
        "Requested at",
        readonly=True, copy=False, aggregator=None, help="Seconds since 1970, to the microsecond."
    )
    revision = fields.Integer(
        readonly=True, copy=False, aggregator=None, help="Counts what people changed."
    )
    next_review = fields.Datetime(
        readonly=True,
        copy=False,
        index=True,
        default=fields.Datetime.now,
        help="When the sidecar looks at this instance again.",
    )

    if version_info[0] >= 19:
        _unit_uniq = models.Constraint(
            "UNIQUE(linea_factura_id, unidad)", "This unit of the invoice has an instance already."
        )
    else:
        _sql_constraints = [
            (
                "unit_uniq",
                "UNIQUE(linea_factura_id, unidad)",
                "This unit of the invoice has an instance already.",
            )
        ]

    # -- constraints ---------------------------------------------------------------------------

    @api.constrains("name")
    def _check_name(self):
        for instance in self:
            if len(instance.name) > NAME_LENGTH:
                raise ValidationError(
                    self.env._("An instance's name has at most %s characters.", NAME_LENGTH)
                )

    @api.ondelete(at_uninstall=False)
    def _unlink_only_if_never_ran(self):
        for instance in self:
            wanted = instance.desired_state != "draft"
            if wanted or instance.was_ready or instance.state != "draft":
                raise UserError(
                    self.env._(
                        "“%s” has run, so its data exist: use Remove instead of Delete.",
                        instance.name,
                    )
                )

    # -- create and write ----------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Create instances, each with its subscription in draft.

        :raise UserError: an invoice that is not paid, or whose units are all taken
        :raise AccessError: no invoice, and the user is not a MicroSaaS manager
        """
        instances = self.browse()
        for vals in vals_list:  # one by one: each may take the next unit of the same invoice
            instances |= super().create([self._complete_vals(vals)])
        instances._create_subscriptions()
        instances._copy_plan_repositories()
        instances.filtered(lambda one: one.desired_state == "running")._take_up_repositories()
        instances._nudge()
        return instances

    def write(self, vals):
        if self._is_quiet():
            return super().write(vals)
        result = super().write(vals)
        if vals.get("desired_state") == "running":
            self._take_up_repositories()
        if vals.keys() & WISHES:
            self._wish_changed()
        return result

    def _complete_vals(self, vals):
        """Return `vals` with all that follows from the invoice, and with free ports."""
        vals = {**vals, "name": (vals.get("name") or "").strip()}
        move = self.env["account.move"].browse(vals.get("factura_id") or [])
        claimed = self.env.su and vals.get("linea_factura_id")  # the sidecar says which unit
        if move and not claimed:
            move._check_can_provision()
            line, vals["unidad"] = move._microsaas_next_unit()
            vals["linea_factura_id"] = line.id
        elif not (move or self.env.su):
            self._check_manager()
        if move:
            vals["partner_id"] = vals.get("partner_id") or move.partner_id.id
            vals["company_id"] = move.company_id.id
        line = self.env["account.move.line"].browse(vals.get("linea_factura_id") or []).sudo()
        ordered_by = (line and line._microsaas_ordered_by()) or move.partner_id
        vals["ordered_by_id"] = vals.get("ordered_by_id") or ordered_by.id
        template = line.product_id.plantilla_id
        template = template or self.env["docker.compose.template"].sudo()._default_template()
        vals["template_id"] = vals.get("template_id") or template.id
        partner = self.env["res.partner"].browse(vals.get("partner_id") or [])
        chosen = line and line._microsaas_name(vals.get("unidad") or 0)
        vals["name"] = vals["name"] or chosen or self._default_name(partner)
        vals["identity"] = self._new_identity()  # whatever a context gives as the default
        return {**vals, **self._replace_taken_ports(vals)}

    def _create_subscriptions(self):
        """A subscription exists, in draft and linked, before its instance can start."""
        self.env["microsaas.subscription"].sudo().create(
            [
                {
                    "instancia_id": instance.id,
                    "partner_id": instance.partner_id.id,
                    "factura_id": instance.factura_id.id,
                    "product_id": instance.sudo().linea_factura_id.product_id.id,
                    "company_id": instance.company_id.id,
                }
                for instance in self
            ]
        )

    @api.model
    def _default_name(self, partner):
        owner = partner.commercial_partner_id.name or partner.name or ""
        return f"Odoo {owner}".strip()[:NAME_LENGTH]

    def _check_manager(self):
        if not self.env.user.has_group("micro_saas.group_microsaas_manager"):
            raise AccessError(
                self.env._("Only a MicroSaaS manager creates an instance without an invoice.")
            )

    # -- telling the sidecar -------------------------------------------------------------------

    def _quiet(self):
        """Return these records as seen by bookkeeping: its writes are nobody's wish and nudge nobody."""
        return self.sudo().with_context(microsaas_quiet=True, tracking_disable=True)

    def _wish(self, vals):
        """Write what a button wishes; it is not written by hand, so the button says who may press it.

        :raise AccessError: the user may not write these instances
        """
        self.check_access("write")
        return self.sudo().write(vals)

    def _is_quiet(self):
        # The context alone proves nothing: any RPC client can send one. sudo it cannot.
        return self.env.su and self.env.context.get("microsaas_quiet")

    def _wish_changed(self):
        """Note that somebody wants something else of these instances, and nudge the sidecar."""
        if self._is_quiet():
            return
        now = fields.Datetime.now()
        for instance in self._quiet():
            instance.write({"revision": instance.revision + 1, "next_review": now})
        self._nudge()

    @api.model
    def _review_all(self, domain=()):
        """Let the sidecar's next poll look at all instances of `domain` that still have data."""
        everything = self._quiet().with_context(active_test=False)
        has_data = [("subscription_ids.data_removed_at", "=", False)]
        everything.search([*domain, *has_data])._make_due()

    def _make_due(self):
        """Let the sidecar look again, also at what it is looking at now: what it saw before postpones nothing."""
        if not self:
            return
        self.flush_model(["next_review", "revision"])
        self.env.cr.execute(
            SQL(
                "UPDATE odoo_docker_instance SET next_review = %s, revision = coalesce(revision, 0) + 1"
                " WHERE id = ANY(%s)",
                fields.Datetime.now(),
                self.ids,
            )
        )
        self.invalidate_recordset(["next_review", "revision"])

    def _nudge(self):
        if not self._is_quiet():
            nudge(self.env, self._name, self.ids)
