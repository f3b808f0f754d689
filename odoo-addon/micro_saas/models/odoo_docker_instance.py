import time
import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.release import version_info
from odoo.tools import SQL

from .alerts import close_activities, person_for, raise_activity
from .by_hand import ByHand
from .door import door_suffix
from .drift_sentences import drift_sentence
from .nudge import nudge
from .reason_sentences import instance_sentence
from .settings import PORT_RANGES, in_payment_is_paid, make_ports_unique
from .values import finite, moment_of, seconds_of, write_changed

NAME_LENGTH = 300
LOG_LENGTH = 10_000
# What people may wish for; a change of any of these makes the sidecar look at the instance at once.
WISHES = {"name", "partner_id", "template_id", "http_port", "longpolling_port"} | {
    "subdomain",
    "desired_state",
    "restart_count",
    "active",
}
# The fields that the sidecar's report gives as they are stored.
REPORTED = {"state", "reason", "detail", "http_port", "longpolling_port", "instance_url", "active"}
# What the report of a removal takes from an instance.
TAKEN_BY_REMOVAL = {"http_port", "longpolling_port", "active"}

TROUBLE_ACTIVITY = "micro_saas.mail_activity_type_trouble"
# What is tried again by itself is often over by then: a server that restarts, a repository that is away.
LASTING = timedelta(minutes=2)
# A next review later than this means that the sidecar does not retry by itself.
FAR_AHEAD = timedelta(minutes=10)
# Reasons why a last backup may never come about by itself.
ARCHIVE_BLOCKED = {
    "ArchiveServerDown",
    "BackupDamaged",
    "BackupFailed",
    "BackupGone",
    "BackupKeyWrong",
    "BackupTooLarge",
    "BackupTooSlow",
    "DatabaseBusy",
    "DatabaseMissing",
    "NotEnoughDisk",
    "NotEnoughInodes",
    "ProofDatabase",
    "ProofFileDamaged",
    "ProofFileMissing",
    "ProofRows",
    "TenantDatabase",
    "Unexpected",
}

UNIT_UNIQUE = "UNIQUE(linea_factura_id, unidad)"
UNIT_UNIQUE_MESSAGE = "This unit of the invoice has an instance already."
SUBDOMAIN_UNIQUE = "UNIQUE(subdomain)"
SUBDOMAIN_UNIQUE_MESSAGE = "Another instance has this subdomain."
IDENTITY_UNIQUE = "UNIQUE(identity)"
IDENTITY_UNIQUE_MESSAGE = "Another instance has this identity."


class OdooDockerInstance(ByHand, models.Model):
    """One customer's Odoo: what people want of it and what the sidecar saw last.

    This model never touches Docker. Buttons change what is wished for (`desired_state`, `restart_count`); the sidecar
    acts on it and reports (microsaas_sidecar_api.py). What its customer sees is in microsaas_portal_mixin.py.
    """

    _name = "odoo.docker.instance"
    _description = "Odoo instance"
    _inherit = ["mail.thread", "mail.activity.mixin", "microsaas.portal.mixin"]
    _order = "id desc"
    _check_company_auto = True

    # -- fields: what was sold to whom -------------------------------------------------------------

    name = fields.Char(required=True, tracking=True, help="A label; it may hold any text.")
    active = fields.Boolean(default=True, copy=False)
    company_id = fields.Many2one(
        "res.company", "Company", required=True, index=True, default=lambda self: self.env.company
    )
    partner_id = fields.Many2one("res.partner", "Customer", index=True, tracking=True)
    ordered_by_id = fields.Many2one(
        "res.partner",
        "Ordered by",
        index="btree_not_null",
        copy=False,
        help="The person who is its administrator and gets its first login. The customer is who is invoiced.",
    )
    factura_id = fields.Many2one(
        "account.move", "Invoice", ondelete="restrict", index=True, copy=False, check_company=True
    )
    linea_factura_id = fields.Many2one(
        "account.move.line", "Invoice line", ondelete="restrict", readonly=True, copy=False
    )
    unidad = fields.Integer(
        "Unit", readonly=True, copy=False, help="Which unit of the invoice line this is, from 1."
    )
    plan_id = fields.Many2one(
        "product.template", "Plan", compute="_compute_plan_id", store=True, index="btree_not_null", copy=False
    )
    template_id = fields.Many2one(
        "docker.compose.template", "Template", ondelete="restrict", index=True, tracking=True
    )
    repository_ids = fields.One2many(
        "odoo.docker.repository", "instance_id", "Repositories", copy=True
    )
    repositories_in_use = fields.Json(
        readonly=True, copy=False, groups="base.group_user", help="As of the last start or restart."
    )
    subscription_ids = fields.One2many("microsaas.subscription", "instancia_id", "Subscriptions")
    identity = fields.Char(
        readonly=True,
        copy=False,
        required=True,
        default=lambda self: self._new_identity(),
        help="Marks this instance's directory, database and containers on the server.",
    )
    is_unmarked = fields.Boolean(
        "Made before identities",
        readonly=True,
        copy=False,
        help="Its data have no mark yet: the sidecar gives them this instance's at its next look.",
    )

    # -- fields: what people want ------------------------------------------------------------------

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
    subdomain = fields.Char(
        copy=False,
        index=True,
        tracking=True,
        help="Its name below the domain of the door. A former one redirects to it for 90 days.",
    )
    domain_ids = fields.One2many("microsaas.domain", "instance_id", "Own domains")
    door_suffix = fields.Char("Domain", compute="_compute_door_suffix", compute_sudo=True)
    http_port = fields.Integer("HTTP port", copy=False, aggregator=None)
    longpolling_port = fields.Integer("Longpolling port", copy=False, aggregator=None)
    without_archive = fields.Boolean(
        "Ends without a last backup",
        readonly=True,
        copy=False,
        groups="base.group_user",
        help="A MicroSaaS manager has confirmed that the data may go though no last backup of them can be made.",
    )
    may_end_without_archive = fields.Boolean(
        "May end without a last backup",
        compute="_compute_may_end_without_archive",
        compute_sudo=True,
        groups="base.group_user",
    )
    requested_at = fields.Float(
        "Requested at",
        readonly=True, copy=False, aggregator=None, help="Seconds since 1970, to the microsecond."
    )
    only_names_changed = fields.Boolean(
        readonly=True, copy=False, groups="base.group_user", help="What people want now differs in names alone: it runs on."
    )
    revision = fields.Integer(
        readonly=True, copy=False, aggregator=None, help="Counts what people changed."
    )

    # -- fields: what the sidecar saw --------------------------------------------------------------

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
    message = fields.Char(
        readonly=True, copy=False, groups="base.group_user", help="What an earlier version said, in English."
    )
    detail = fields.Char(
        readonly=True, copy=False, groups="base.group_user", help="What it is about: an address, a name."
    )
    phase_message = fields.Char(
        "What is going on", compute="_compute_phase_message", groups="base.group_user"
    )
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
    # What makes it sleep, and wakes it, is in the sidecar (src/instance/sleep.ts); people only read it here.
    is_asleep = fields.Boolean(
        "Asleep", readonly=True, copy=False, help="It is stopped for want of visitors; the next one wakes it."
    )
    last_request_at = fields.Datetime("Last request", readonly=True, copy=False, help="It may be an hour old.")
    microsaas_sleep_hours = fields.Float(related="plan_id.microsaas_sleep_hours")
    microsaas_wake_at = fields.Datetime(
        "Wakes at", readonly=True, copy=False, help="When its own scheduled work is due, if nobody wakes it before."
    )
    next_review = fields.Datetime(
        readonly=True,
        copy=False,
        index=True,
        default=fields.Datetime.now,
        help="When the sidecar looks at this instance again.",
    )
    microsaas_busy = fields.Boolean("Being worked on", compute="_compute_microsaas_busy")

    # -- fields: who was told of an error ----------------------------------------------------------

    error_since = fields.Datetime(
        "In error since", readonly=True, copy=False, index="btree_not_null", groups="base.group_user"
    )
    alerted_at = fields.Datetime("People were told", readonly=True, copy=False, groups="base.group_user")
    sidecar_silence = fields.Char(
        "Sidecar", compute="_compute_sidecar_silence", compute_sudo=True, groups="base.group_user"
    )

    # -- constraints of the database ---------------------------------------------------------------

    if version_info[0] >= 19:
        _unit_uniq = models.Constraint(UNIT_UNIQUE, UNIT_UNIQUE_MESSAGE)
        _identity_uniq = models.Constraint(IDENTITY_UNIQUE, IDENTITY_UNIQUE_MESSAGE)
        _subdomain_uniq = models.Constraint(SUBDOMAIN_UNIQUE, SUBDOMAIN_UNIQUE_MESSAGE)
    else:
        _sql_constraints = [
            ("unit_uniq", UNIT_UNIQUE, UNIT_UNIQUE_MESSAGE),
            ("identity_uniq", IDENTITY_UNIQUE, IDENTITY_UNIQUE_MESSAGE),
            ("subdomain_uniq", SUBDOMAIN_UNIQUE, SUBDOMAIN_UNIQUE_MESSAGE),
        ]

    def init(self):
        super().init()
        make_ports_unique(self)

    def _init_column(self, column_name):
        """Give the rows of an earlier version an identity each, and let them adopt the data that they have."""
        if column_name == "identity":
            self.env.cr.execute("UPDATE odoo_docker_instance SET identity = gen_random_uuid() WHERE identity IS NULL")
        elif column_name == "is_unmarked":
            # Due at once: what is marked is safe.
            self.env.cr.execute(
                """UPDATE odoo_docker_instance
                      SET is_unmarked = (desired_state != 'draft'), next_review = now() AT TIME ZONE 'UTC'"""
            )
        else:
            super()._init_column(column_name)

    # -- defaults ----------------------------------------------------------------------------------

    @api.model
    def _new_identity(self):
        return str(uuid.uuid4())

    @api.model
    def _default_name(self, partner):
        owner = partner.commercial_partner_id.name or partner.name or ""
        return f"Odoo {owner}".strip()[:NAME_LENGTH]

    # -- computed fields ---------------------------------------------------------------------------

    @api.depends("subscription_ids.product_id.product_tmpl_id", "linea_factura_id.product_id.product_tmpl_id")
    def _compute_plan_id(self):
        for instance in self:
            # The plan first sold may have been exchanged for another since.
            product = instance.subscription_ids[:1].product_id or instance.linea_factura_id.product_id
            instance.plan_id = product.product_tmpl_id

    @api.depends("reason", "message", "detail")
    @api.depends_context("lang")
    def _compute_phase_message(self):
        is_english = (self.env.lang or "en_US").startswith("en")
        for instance in self:
            earlier = is_english and instance.message
            said = earlier or instance_sentence(self.env, instance.reason, instance.detail)
            instance.phase_message = said or instance.message

    @api.depends("desired_state", "next_review")
    def _compute_microsaas_busy(self):
        now = fields.Datetime.now()
        for instance in self:
            due = instance.next_review and instance.next_review <= now
            # Settled, an instance has no review to come, or one in the future.
            instance.microsaas_busy = due and instance.desired_state != "draft"

    def _compute_door_suffix(self):
        self.door_suffix = door_suffix(self.env)

    @api.depends("state", "reason", "without_archive", "subscription_ids.final_notice_at")
    def _compute_may_end_without_archive(self):
        for instance in self:
            is_blocked = instance.state == "error" and instance.reason in ARCHIVE_BLOCKED
            is_ending = any(instance.subscription_ids.mapped("final_notice_at"))
            instance.may_end_without_archive = is_blocked and is_ending and not instance.without_archive

    def _compute_sidecar_silence(self):
        self.sidecar_silence = self.env["microsaas.sidecar"]._silence_sentence()

    # -- constraints and onchange ------------------------------------------------------------------

    @api.constrains("name")
    def _check_name(self):
        for instance in self:
            if len(instance.name) > NAME_LENGTH:
                raise ValidationError(
                    self.env._("An instance's name has at most %s characters.", NAME_LENGTH)
                )

    @api.constrains("http_port", "longpolling_port")
    def _check_ports(self):
        book = self.env["microsaas.reserved.port"].sudo()
        for instance in self:
            ports = [port for port in (instance.http_port, instance.longpolling_port) if port]
            if any(not 1024 <= port <= 65535 for port in ports):
                raise ValidationError(self.env._("A port is a number from 1024 to 65535."))
            if len(set(ports)) < len(ports):
                raise ValidationError(
                    self.env._("The HTTP port and the longpolling port must differ.")
                )
            for port in ports:
                if port in book._in_use(instance, among=ports):
                    raise ValidationError(
                        self.env._("Port %s belongs to another instance already.", port)
                    )

    @api.onchange("name")
    def onchange_name(self):
        """Suggest the lowest free pair of TCP ports where none is set.

        :return: `{}`
        """
        ports = self.env["microsaas.reserved.port"].sudo()
        for instance in self:
            if instance.name:
                for field in PORT_RANGES:
                    instance[field] = instance[field] or ports._free(field, instance)
        return {}

    # -- create, write, delete ---------------------------------------------------------------------

    @api.model_create_multi
    def create(self, vals_list):
        """Create instances, each with its subscription in draft.

        :raise UserError: an invoice that is not paid, or whose units are all taken
        :raise AccessError: no invoice, and the user is not a MicroSaaS manager
        :raise ValidationError: a subdomain that it cannot have; without one, it gets a free one
        """
        instances = self.browse()
        for vals in vals_list:  # one by one: each may take the next unit of the same invoice
            instance = super().create([vals])
            instance._name_first_time(vals.get("subdomain"))
            instances |= instance
        instances._create_subscriptions()
        self.env["odoo.docker.repository"].sudo()._copy_from_plans(instances)
        instances.filtered(lambda one: one.desired_state == "running")._take_up_repositories()
        instances._nudge()
        return instances

    def _add_server_vals(self, vals):
        """Add all that follows from the invoice, an identity, and free ports."""
        vals = super()._add_server_vals(vals)
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
        # Whatever a context gives as the default; the subdomain is given once the instance has its number.
        vals.update(identity=self._new_identity(), subdomain=False)
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

    def _may_create_by_hand(self):
        """Tell whether the user may create an instance that nobody was invoiced for."""
        return self.env.user.has_group("micro_saas.group_microsaas_manager")

    @api.model
    def _get_view_cache_key(self, view_id=None, view_type="form", **options):
        return (*super()._get_view_cache_key(view_id, view_type, **options), self._may_create_by_hand())

    @api.model
    def _get_view(self, view_id=None, view_type="form", **options):
        """Offer *New* in lists to whoever may create an instance without an invoice, and to nobody else."""
        arch, view = super()._get_view(view_id, view_type, **options)
        if view_type in ("list", "kanban") and not self._may_create_by_hand():
            arch.set("create", "false")
        return arch, view

    def _check_manager(self):
        if not self._may_create_by_hand():
            raise AccessError(
                self.env._("Only a MicroSaaS manager creates an instance without an invoice.")
            )

    def write(self, vals):
        if "subdomain" in vals and not self._is_being_named():
            self.check_access("write")
            self._rename(vals["subdomain"])
            vals = {name: value for name, value in vals.items() if name != "subdomain"}
        if vals.get("state") == "running":
            # Whoever runs again has data worth a last backup again.
            vals = {**vals, "without_archive": False}
        if vals.keys() & PORT_RANGES.keys():
            # The constraint reads the database: it must know what was freed earlier in this transaction.
            self.flush_model(list(PORT_RANGES))
        result = super().write(vals)
        if not self._is_quiet():
            if vals.get("desired_state") == "running":
                self._take_up_repositories()
            if vals.keys() & WISHES:
                self._wish_changed(only_names=vals.keys() & WISHES == {"subdomain"})
        if vals.keys() & {*PORT_RANGES, "was_ready"}:
            self.env["microsaas.reserved.port"].sudo()._reserve(self.filtered("was_ready"))
        return result

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

    # -- actions: a button changes what is wished for and nudges; it never waits for Docker --------

    def start_instance(self):
        """Wish these instances running; try again where the last attempt failed.

        :return: True
        :raise UserError: removed, suspended, no template, or not paid for
        """
        for instance in self:
            instance._check_not_removed()
            instance._check_not_suspended()
            wish = {"desired_state": "running", "last_request_at": fields.Datetime.now()}
            if not instance.was_ready:
                if instance.factura_id:
                    instance.factura_id.sudo()._check_can_provision()
                wish["requested_at"] = time.time()
            if not instance.template_id:
                template = instance.template_id._default_template()
                if not template:
                    raise UserError(
                        self.env._("No template is known yet. Connect the sidecar, then try again.")
                    )
                wish["template_id"] = template.id
            instance._wish(wish)
        return True

    def stop_instance(self):
        """Wish these instances stopped; their data stay.

        :return: True
        :raise UserError: removed, or never started
        """
        self._check_not_removed()
        self._check_started()
        return self._wish({"desired_state": "stopped"})

    def restart_instance(self):
        """Wish these instances started afresh.

        :return: True
        :raise UserError: removed, suspended, or never started
        """
        self._check_not_removed()
        self._check_not_suspended()
        self._check_started()
        for instance in self:
            count = instance.restart_count + 1
            # Who presses it wants to see it run: that is a visit.
            now = fields.Datetime.now()
            instance._wish({"restart_count": count, "desired_state": "running", "last_request_at": now})
        return True

    def action_remove(self):
        """Wish these instances gone: container and ports now, data after retention.

        :return: True
        """
        return self._wish({"desired_state": "removed"})

    def action_restaurar(self):
        """Bring removed instances back as long as their data exist; they start unless they never ran.

        :return: True
        :raise UserError: not removed, or the data are gone
        """
        for instance in self:
            if instance.desired_state != "removed":
                raise UserError(self.env._("“%s” was not removed.", instance.name))
            instance._check_has_data()
            wish = "running" if instance.was_ready else "draft"
            instance._wish({"active": True, "desired_state": wish, **instance._ports_before()})
        return True

    def open_instance_url(self):
        """Open the customer's Odoo in a new tab.

        :return: an act_url
        :raise UserError: it has no address yet
        """
        self.ensure_one()
        if not self.instance_url:
            raise UserError(self.env._("“%s” has no address yet: start it first.", self.name))
        return {"type": "ir.actions.act_url", "url": self.instance_url, "target": "new"}

    def action_ask_without_archive(self):
        """Ask a manager whether the data may go without a last backup.

        :return: the action of the question's form
        :raise UserError: nothing stands in the way of a last backup
        """
        self.ensure_one()
        self._check_may_end_without_archive()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Remove without a last backup"),
            "res_model": "microsaas.without.archive",
            "view_mode": "form",
            "target": "new",
            "context": {"default_instance_id": self.id},
        }

    # -- what a button refuses ---------------------------------------------------------------------

    def _check_not_removed(self):
        for instance in self:
            if "removed" in (instance.state, instance.desired_state) or not instance.active:
                raise UserError(
                    self.env._("“%s” was removed. Create another instance.", instance.name)
                )

    def _check_started(self):
        for instance in self:
            if instance.desired_state == "draft":
                raise UserError(self.env._("“%s” has never been started.", instance.name))

    def _check_has_data(self):
        for instance in self:
            gone = instance.sudo().subscription_ids.filtered("data_removed_at")[:1]
            if gone:
                raise UserError(
                    self.env._(
                        "The data of “%(instance)s” were removed. The operator can bring them back on the"
                        " sidecar's host: %(command)s",
                        instance=instance.name,
                        command=gone.restore_command,
                    )
                )

    def _check_not_suspended(self):
        for instance in self:
            instance._check_has_data()
            invoice = instance._suspension_invoice()
            if invoice:
                raise UserError(
                    self.env._(
                        "“%(instance)s” is suspended: its subscription has expired."
                        " It starts again once invoice %(invoice)s is paid.",
                        instance=instance.name,
                        invoice=invoice.display_name,
                    )
                )
            suspended = instance._suspended_subscription()
            if suspended:
                cause = (
                    self.env._("its payment was given back")
                    if suspended.reason == "Refunded"
                    else self.env._("its subscription has expired")
                )
                raise UserError(
                    self.env._(
                        "“%(instance)s” is suspended: %(cause)s. Renew subscription %(subscription)s; it starts again"
                        " once that invoice is paid.",
                        instance=instance.name,
                        cause=cause,
                        subscription=suspended.name,
                    )
                )
            if any(sub.state == "cancelled" and sub.suspended_at for sub in instance.sudo().subscription_ids):
                raise UserError(
                    self.env._(
                        "The subscription of “%s” is cancelled and its paid time is over.", instance.name
                    )
                )

    def _suspension_invoice(self):
        """Return the posted invoice to pay for this instance to start again; empty if there is none."""
        self.ensure_one()
        return self._suspended_subscription()._invoice_to_pay()

    def _suspended_subscription(self):
        return self.sudo().subscription_ids.filtered(lambda sub: sub.state == "expired")[:1]

    def _end_without_archive(self):
        self._check_may_end_without_archive()
        for instance in self.sudo():
            instance.write({"without_archive": True})
            instance.message_post(
                body=self.env._(
                    "%s has confirmed that the data go without a last backup.", self.env.user.display_name
                )
            )
            instance._wish_changed()

    def _check_may_end_without_archive(self):
        if not self.env.user.has_group("micro_saas.group_microsaas_manager"):
            raise AccessError(self.env._("Only a MicroSaaS manager ends an instance without a last backup."))
        for instance in self:
            if not instance.may_end_without_archive:
                raise UserError(
                    self.env._("Nothing stands in the way of a last backup of “%s”.", instance.name)
                )

    # -- telling the sidecar -----------------------------------------------------------------------

    def _quiet(self):
        """Return these records as seen by bookkeeping: its writes are nobody's wish and nudge nobody."""
        return self.sudo().with_context(microsaas_quiet=True, tracking_disable=True)

    def _is_quiet(self):
        # The context alone proves nothing: any RPC client can send one. sudo it cannot.
        return self.env.su and self.env.context.get("microsaas_quiet")

    def _wish(self, vals):
        """Write what a button wishes; it is not written by hand, so the button says who may press it.

        :raise AccessError: the user may not write these instances
        """
        self.check_access("write")
        return self.sudo().write(vals)

    def _wish_changed(self, only_names=False):
        """Note that somebody wants something else of these instances, and nudge the sidecar.

        :param only_names: what changed are their names or domains, for which nothing is stopped or started
        """
        if self._is_quiet():
            return
        now = fields.Datetime.now()
        for instance in self._quiet():
            is_at_work = instance.microsaas_busy and not instance.only_names_changed
            wish = {"revision": instance.revision + 1, "next_review": now}
            instance.write({**wish, "only_names_changed": only_names and not is_at_work})
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

    # -- subdomains: the table of all of them says whose a name is -------------------------------------

    def _is_being_named(self):
        # As for _is_quiet(): the context alone proves nothing.
        return self.env.su and self.env.context.get("microsaas_named")

    def _name_first_time(self, wanted=""):
        """Give a new instance its subdomain: the one that was asked for, else a free one.

        :raise ValidationError: it cannot have what was asked for
        """
        self.ensure_one()
        book = self.env["microsaas.subdomain"].sudo()
        if wanted:
            book._rename(self._quiet(), str(wanted).strip())
        else:
            book._give(self._quiet(), book._wish_of(self.name, self.partner_id.commercial_partner_id.name))

    def _rename(self, name):
        """Change subdomains. The one before redirects for a while, and belongs to nobody else as long.

        :raise ValidationError: a sentence naming the rule that it breaks, with a free name
        """
        book, name = self.env["microsaas.subdomain"].sudo(), str(name or "").strip()
        for instance in self.filtered(lambda one: one.subdomain != name):
            book._rename(instance, name)

    def _address_rows(self):
        """Return the names of these instances, `{id: values}` as in `microsaas_desired`."""
        former = self.env["microsaas.subdomain"].sudo()._redirecting(self.ids)
        domains = self.env["microsaas.domain"].sudo()._of_instances(self.ids)
        return {
            instance.id: {
                "subdomain": instance.subdomain or "",
                "former_subdomains": former.get(instance.id, []),
                "domains": domains.get(instance.id, []),
            }
            for instance in self
        }

    @api.model
    def _routes(self):
        """Return names and ports of every instance whose data are not removed; see `microsaas_routes`."""
        self.env.flush_all()
        rows = self.env.execute_query(
            SQL(
                """SELECT id, coalesce(http_port, 0), coalesce(longpolling_port, 0), coalesce(subdomain, ''),
                          staging_of_id IS NOT NULL
                     FROM odoo_docker_instance AS instance
                    WHERE NOT EXISTS (SELECT FROM microsaas_subscription
                                       WHERE instancia_id = instance.id AND data_removed_at IS NOT NULL)
                      AND (staging_of_id IS NULL OR desired_state != 'removed')
                    ORDER BY id"""
            )
        )
        ids = [row[0] for row in rows]
        former = self.env["microsaas.subdomain"]._redirecting(ids)
        domains = self.env["microsaas.domain"]._of_instances(ids)
        return [
            {
                "id": number,
                "http_port": http_port,
                "longpolling_port": longpolling_port,
                "subdomain": subdomain,
                "former_subdomains": former.get(number, []),
                "domains": domains.get(number, []),
                "is_copy": is_copy,
            }
            for number, http_port, longpolling_port, subdomain, is_copy in rows
        ]

    # -- ports: unique, replaced when somebody was faster, a customer's for good -------------------

    def _replace_taken_ports(self, vals):
        """Return the ports of `vals` that another instance took meanwhile, with a free one instead."""
        ports = self.env["microsaas.reserved.port"].sudo()
        return {
            field: ports._free(field, self)
            for field in PORT_RANGES
            if vals.get(field) and ports._in_use(self, among=[vals[field]])
        }

    def _assign_ports(self, exclude):
        """Take the lowest pair of ports that no other instance has; see `microsaas_assign_ports`."""
        ports = self.env["microsaas.reserved.port"]._free_pair(self, exclude)
        if all(ports.values()):
            write_changed(self, ports)
        return ports

    def _ports_before(self):
        """Return the ports that this instance had last, as values to write, where nobody else has them."""
        return self._ports_still_free(self.env["microsaas.reserved.port"].sudo()._last_of(self))

    def _ports_still_free(self, ports):
        """Return `ports`, a dict by field, where nobody else has any of them; else `{}`."""
        in_use = self.env["microsaas.reserved.port"].sudo()._in_use(self, among=list(ports.values()))
        return {} if in_use else ports

    # -- repositories: those of the last start or restart, not what was edited since ---------------

    def _take_up_repositories(self):
        """Let these instances run with the repositories as they are written now."""
        for instance in self:
            instance._quiet().repositories_in_use = [
                repository._as_desired() for repository in instance.repository_ids
            ]

    def _desired_repositories(self):
        if self.repositories_in_use is False:
            return [repository._as_desired() for repository in self.repository_ids]
        return self.repositories_in_use

    def _repository_fetched(self, repository_id, commit):
        """Note which commit the sidecar has fetched for a repository in use."""
        fetched = {}
        in_use = self._desired_repositories()
        for used in in_use:
            if used["id"] == repository_id:
                fetched = used
                used["commit"] = commit
        if self.repositories_in_use is not False:
            write_changed(self, {"repositories_in_use": in_use})
        row = self.repository_ids.filtered(lambda repository: repository.id == repository_id)
        # Edited meanwhile, the row speaks of what the next restart is to fetch.
        if (row.url, row.branch or "") == (fetched.get("url"), fetched.get("branch")):
            write_changed(row, {"commit": commit})

    # -- what the sidecar reads --------------------------------------------------------------------

    @api.model
    def _due_ids(self, limit):
        """Return at most `limit` ids of instances, archived ones too, whose review is due; oldest first."""
        due = [("next_review", "<=", fields.Datetime.now())]
        return self.with_context(active_test=False).search(due, order="next_review, id", limit=limit).ids

    @api.model
    def _states(self):
        """Return what is believed of every instance, removed ones too; see `microsaas_states`."""
        everything = self.with_context(active_test=False).search([], order="id")
        return [
            {
                "id": one.id,
                "state": one.state,
                "reason": one.reason or "",
                "revision": one.revision,
                **finite(one._sleep_row()),
            }
            for one in everything
        ]

    def _sleep_row(self):
        """Return what the sidecar reads of an instance's sleep."""
        return {
            "sleep_hours": self.microsaas_sleep_hours,
            "asleep": self.is_asleep,
            "last_request_at": seconds_of(self.last_request_at),
            "wake_at": seconds_of(self.microsaas_wake_at),
        }

    def _desired_rows(self):
        """Return what is wanted of these instances, ids that are gone left out."""
        found = self.exists()
        addresses = found._address_rows()
        return [finite({**instance._desired(), **addresses[instance.id]}) for instance in found]

    def _desired(self):
        """Return the instance as `microsaas_desired` gives it."""
        plan = self.plan_id
        return {
            "id": self.id,
            "identity": self.identity,
            "may_adopt": self.is_unmarked,
            "sold_as": self._sold_as(),
            "name": self.name,
            "active": self.active,
            "state": self.state,
            "reason": self.reason or "",
            "desired_state": self.desired_state,
            "revision": self.revision,
            "restart_count": self.restart_count,
            "was_ready": self.was_ready,
            "without_archive": self.without_archive,
            "http_port": self.http_port,
            "longpolling_port": self.longpolling_port,
            "instance_url": self.instance_url or "",
            "template_code": self.template_id.code or "",
            "image_digest": self.image_digest or "",
            **self._sleep_row(),
            "memory_mb": plan.microsaas_memory_mb,
            "cpus": plan.microsaas_cpus,
            "modules": plan._microsaas_module_list(),
            "given_modules": self._given_module_list(),
            "workers": 0,
            "repositories": self._desired_repositories(),
            "customer": self._desired_customer(),
            "partner_id": self.partner_id.commercial_partner_id.id or 0,
            "requested_at": self.requested_at,
            # A slice forgets whom it was read together with: many instances would be many queries.
            "subscription": self.subscription_ids[:1].with_prefetch(self.subscription_ids._prefetch_ids)._desired(),
            "company_tz": self.company_id._microsaas_tz(),
            "in_payment_is_paid": in_payment_is_paid(self.env),
            "now": time.time(),
        }

    def _sold_as(self):
        """Return the unit this is, and when its line was made, which no other line of that number shares; or False."""
        line = self.sudo().linea_factura_id
        return bool(line) and {"line_id": line.id, "unit": self.unidad, "made_at": line._microsaas_made_at()}

    # -- what the sidecar claims -------------------------------------------------------------------

    @api.model
    def _claim_units(self, units, above):
        """Return the instances of paid units, in order; see `microsaas_claim`."""
        lines = self.env["account.move.line"].browse({unit["line_id"] for unit in units})
        lines._microsaas_serialize_claims()
        self.env["microsaas.manager.history"]._skip_numbers(above)
        claimed = [self._claim(lines.browse(unit["line_id"]), unit["unit"]).id for unit in units]
        return self.browse(claimed)

    def _claim(self, line, unit):
        claimed = self.with_context(active_test=False).search(
            [("linea_factura_id", "=", line.id), ("unidad", "=", unit)]
        )
        if claimed:
            return claimed
        line.move_id._check_can_provision()
        line._microsaas_check_unit(unit)
        instances = self._quiet()
        return instances.create(instances._claimed_vals(line, unit))

    def _claimed_vals(self, line, unit):
        """Return the values to create the instance of a paid unit with."""
        return {
            "factura_id": line.move_id.id,
            "linea_factura_id": line.id,
            "unidad": unit,
            "desired_state": "running",
            "requested_at": line.move_id._microsaas_paid_at(),
        }

    # -- what the sidecar reports ------------------------------------------------------------------

    @api.model
    def _apply_reports(self, reports):
        for report in reports:
            instance = self.browse(report["id"])._quiet()
            if instance.exists():
                instance._apply_report(report)

    def _apply_report(self, report):
        """Write one report of `microsaas_report`, note what changed, and see to errors that begin or end."""
        before = {name: self[name] for name in ("state", "instance_url")}
        self._write_report(report)
        self._log_what_changed(before)
        if self.state != "error":
            self._end_error()
            return
        if not self.error_since:
            self.error_since = fields.Datetime.now()
        if self._is_stuck():
            self._alert_error()

    def _write_report(self, report):
        is_outdated = report["revision"] != self.revision
        vals = {field: report[field] for field in REPORTED & report.keys()}
        if is_outdated and vals.get("state") == "removed":
            # Restored meanwhile: what that gave back must not be taken again.
            vals = {field: value for field, value in vals.items() if field not in TAKEN_BY_REMOVAL}
        if "asleep" in report:
            vals["is_asleep"] = report["asleep"]
        for field, key in {"last_request_at": "last_request_at", "microsaas_wake_at": "wake_at"}.items():
            if key in report:
                vals[field] = moment_of(report[key])
        if "reason" in report:
            vals["message"] = False
        if report.get("image_digest"):
            vals["image_digest"] = report["image_digest"]
        if "given_modules" in report:
            vals["given_modules"] = self._given_modules_as_stored(report["given_modules"])
        if report.get("log"):
            vals["log"] = self._log_with(report["log"])
        if "seconds_to_ready" in report:
            vals["segundos_hasta_listo"] = report["seconds_to_ready"]
        if "seconds_to_ready" in report or report.get("state") == "running":
            vals["was_ready"] = True
        if report.get("adopted"):
            vals["is_unmarked"] = False
        if is_outdated:
            # Somebody wished for something else meanwhile: the sidecar has not seen it yet.
            vals["next_review"] = fields.Datetime.now()
        elif "next_review" in report:
            vals["next_review"] = fields.Datetime.to_datetime(report["next_review"])
        address, was_ready = self.instance_url, self.was_ready
        write_changed(self, vals)
        if was_ready and address and address != self.instance_url:
            self._tell_address_changed()
        for row in report.get("commits", []):
            self._repository_fetched(row["id"], row["commit"])
        if report.get("subscription"):
            self.subscription_ids[:1]._apply_change(report["subscription"])

    def _tell_address_changed(self):
        subscription = self.subscription_ids[:1]
        if subscription:
            self.env["microsaas.notice"]._tell(
                subscription, "addressChanged", f"{self.instance_url} {fields.Datetime.now()}"
            )

    def _log_with(self, lines):
        """Return the log with `lines` (oldest first) on top; whole old lines fall off the end."""
        lines = [line if isinstance(line, str) else self._log_line(line) for line in lines]
        text = "\n".join([*reversed(lines), self.log or ""]).rstrip("\n")
        if len(text) <= LOG_LENGTH:
            return text
        kept, newline, _cut = text[: LOG_LENGTH + 1].rpartition("\n")
        return kept if newline else text[:LOG_LENGTH]

    def _log_line(self, line):
        """Return a line of the log, which operators read, in English, from its time, reason and detail."""
        operators = self.with_context(lang="en_US").env
        said = [
            line["at"],
            instance_sentence(operators, line["reason"], line["detail"]),
            drift_sentence(operators, line.get("because")),
        ]
        return " ".join(filter(None, said))

    def _restore(self, template_code, stage):
        """Note that this instance gets its data from a backup or an archive; see `microsaas_restore`."""
        if stage == "end":
            self.desired_state = "stopped"
            return
        template = self.env["docker.compose.template"].search([("code", "=", template_code)])
        self.subscription_ids._reset_dunning()
        self._quiet().was_ready = True
        if not self.subdomain:  # its data were gone for so long that somebody else got it
            self._name_first_time()
        self.write(
            {
                "active": True,
                "desired_state": "draft",
                "template_id": (template or self.template_id).id,
                **self._ports_before(),
            }
        )

    # -- errors: who is told, once, and that it is over --------------------------------------------

    def _is_stuck(self):
        """Tell whether only a person can help: the sidecar does not try again soon."""
        return not self.next_review or self.next_review > fields.Datetime.now() + FAR_AHEAD

    def _alert_error(self):
        """Give the right person one activity for this outage, unless somebody was given one."""
        for instance in self.filtered(lambda one: not one.alerted_at):
            office = instance.with_context(lang=instance.company_id.partner_id.lang)
            told = raise_activity(
                office,
                TROUBLE_ACTIVITY,
                person_for(self.env, instance.factura_id.invoice_user_id, is_technical=True),
                office.env._("The instance is in error"),
                office.phase_message or "",
            )
            if told:
                instance.alerted_at = fields.Datetime.now()

    def _end_error(self):
        for instance in self.filtered("error_since"):
            instance.write({"error_since": False, "alerted_at": False})
            close_activities(instance, TROUBLE_ACTIVITY, self.env._("It is over: the instance is in order again."))

    @api.model
    def _alert_lasting_errors(self):
        since = fields.Datetime.now() - LASTING
        everything = self._quiet().with_context(active_test=False)
        everything.search([("error_since", "<=", since), ("alerted_at", "=", False)])._alert_error()

    def _log_what_changed(self, before):
        """Leave a line in the chatter of what the sidecar has done, which nobody pressed."""
        office = self.with_context(lang=self.company_id.partner_id.lang)
        _, lines = office.env._, []
        if self.state != before["state"]:
            names = dict(self._fields["state"]._description_selection(office.env))
            lines.append(
                _(
                    "%(before)s → %(after)s. %(why)s",
                    before=names.get(before["state"], ""),
                    after=names[self.state],
                    why=office.phase_message or "",
                )
            )
        if before["instance_url"] and self.instance_url != before["instance_url"]:
            lines.append(
                _(
                    "The address has changed from %(before)s to %(after)s.",
                    before=before["instance_url"],
                    after=self.instance_url or "",
                )
            )
        for line in lines:
            self._message_log(body=line)
