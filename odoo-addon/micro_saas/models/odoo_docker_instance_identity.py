"""Whose data are whose: an identity for each instance, and what tells that this database is older than the host.

Numbers come again when a database is restored from an older copy; identities and checkpoints do not.
"""

import uuid

from odoo import Command, api, fields, models
from odoo.release import version_info
from odoo.tools import SQL, html_escape

from .sidecar import check_sidecar

ACTIVITY = "micro_saas.mail_activity_type_manager"
CHECKPOINTS = "microsaas_checkpoint_seq"
NUMBERS = "odoo_docker_instance_id_seq"
UNIQUE = "UNIQUE(identity)"
UNIQUE_MESSAGE = "Another instance has this identity."
# What a row that never ran is made of again under another number.
WISHED = ("name", "active", "company_id", "partner_id", "factura_id", "linea_factura_id", "unidad") + (
    "template_id",
    "desired_state",
    "requested_at",
)


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

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

    if version_info[0] >= 19:
        _identity_uniq = models.Constraint(UNIQUE, UNIQUE_MESSAGE)
    else:
        _sql_constraints = [("identity_uniq", UNIQUE, UNIQUE_MESSAGE)]

    def init(self):
        super().init()
        self.env.cr.execute(SQL("CREATE SEQUENCE IF NOT EXISTS %s", SQL.identifier(CHECKPOINTS)))

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

    @api.model
    def _new_identity(self):
        return str(uuid.uuid4())

    def _sold_as(self):
        """Return the unit this is, and when its line was made, which no other line of that number shares; or False."""
        line = self.sudo().linea_factura_id
        return bool(line) and {"line_id": line.id, "unit": self.unidad, "made_at": self._made_at(line)}

    @api.model
    def _made_at(self, line):
        return line.create_date.isoformat(sep=" ", timespec="microseconds")

    # -- is this database as young as the host? ----------------------------------------------------

    @api.model
    def _history(self):
        """Return the last checkpoint and the highest number given out: both only ever grow, except by a restore."""
        return {"checkpoint": self._last_of(CHECKPOINTS), "highest_instance": self._last_of(NUMBERS)}

    @api.model
    def _last_of(self, sequence):
        query = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM %s"
        [[last]] = self.env.execute_query(SQL(query, SQL.identifier(sequence)))
        return last

    @api.model
    def _skip_numbers(self, above):
        """Let no new instance have a number up to `above`."""
        if self._last_of(NUMBERS) >= above:
            return
        # nextval() must not come between reading and writing; an INSERT waits for this lock first.
        self.env.cr.execute("LOCK TABLE odoo_docker_instance IN SHARE ROW EXCLUSIVE MODE")
        name = SQL.identifier(NUMBERS)
        self.env.cr.execute(SQL("SELECT setval(%s, greatest(last_value, %s)) FROM %s", NUMBERS, above, name))

    @api.model
    def microsaas_checkpoint(self):
        """Count one more checkpoint. A database restored from an older copy knows fewer than the sidecar remembers.

        :return: the checkpoint's number
        """
        check_sidecar(self.env)
        [[checkpoint]] = self.env.execute_query(SQL("SELECT nextval(%s)", CHECKPOINTS))
        return checkpoint

    @api.model
    def microsaas_distrust(self, kind, above, found):
        """Tell people, once, that the sidecar does not act for this database, and why.

        :param kind: "older": it was restored from an older copy; "other": it is another database than before
        :param above: the highest number that the sidecar's host has seen; new instances get higher ones
        :param found: list of sentences, one for each instance on the host that this database does not know
        :return: True
        """
        check_sidecar(self.env)
        self._skip_numbers(above)
        partner = self.env["res.company"].sudo().search([], order="id", limit=1).partner_id
        if partner.activity_search([ACTIVITY]):
            return True
        _ = self.env._
        why = {
            "older": _("This database is older than what the sidecar's host has seen: it was restored from a copy."),
            "other": _("This is another database than the one that the sidecar has worked for: a copy of it?"),
        }[kind]
        what = _("Customers' Odoos go on running. Nothing is sold, suspended, removed or mailed until a person confirms.")
        how = _("On the sidecar's host: microsaas reconcile-host shows what was found, and with --confirm goes on.")
        lines = "".join(f"<li>{html_escape(line)}</li>" for line in found)
        partner.activity_schedule(
            ACTIVITY,
            summary=_("MicroSaaS waits: the database was restored or copied"),
            note=f"<p>{html_escape(why)}</p><p>{html_escape(what)}</p><ul>{lines}</ul><p>{html_escape(how)}</p>",
            user_id=self.env.ref("base.user_admin").id,
        )
        return True

    # -- what happened since -----------------------------------------------------------------------

    @api.model
    def microsaas_adopt(self, found):
        """Make records again of instances that the host has and this database has lost; a person has confirmed it.

        A record that took such a number meanwhile and has never run gets another number.

        :param found: list of dicts with `id`, `identity`, `name`, `template_code`, `http_port`, `longpolling_port`,
            `restart_count`, `running`, `was_ready` (it has data), `repositories` (`url`, `branch`, `commit`, `of_plan`), `sold_as` (as in _desired)
        :return: list of the ids that have their record now
        """
        check_sidecar(self.env)
        self.env["res.company"].sudo().search([], order="id", limit=1).partner_id.activity_unlink([ACTIVITY])
        adopted = [row["id"] for row in found if self.sudo()._adopt(row)]
        self._review_all()
        return adopted

    def _adopt(self, row):
        known = self.with_context(active_test=False).search([("identity", "=", row["identity"])])
        if known:
            return known.id == row["id"]
        taken = self.browse(row["id"]).exists()
        if taken and (taken.was_ready or taken.state not in ("draft", "error")):
            return False  # two who have run: a person must look
        if taken:
            taken._give_another_number()
        self._skip_numbers(row["id"])
        line = self._line_sold(row["sold_as"])
        template = self.env["docker.compose.template"].search([("code", "=", row["template_code"])])
        self.env.cr.execute(
            SQL(
                """INSERT INTO odoo_docker_instance
                     (id, name, active, company_id, identity, state, desired_state, next_review,
                      create_uid, write_uid, create_date, write_date)
                   VALUES (%s, %s, TRUE, %s, %s, 'draft', 'draft', %s, %s, %s, %s, %s)""",
                *(row["id"], row["name"], (line.company_id or self.env.company).id, row["identity"]),
                *(fields.Datetime.now(), self.env.uid, self.env.uid, fields.Datetime.now(), fields.Datetime.now()),
            )
        )
        instance = self.browse(row["id"])
        instance.invalidate_recordset()
        instance._quiet().write(
            {
                "partner_id": line.move_id.partner_id.id,
                "ordered_by_id": (line._microsaas_ordered_by() if line else line.move_id.partner_id).id,
                "factura_id": line.move_id.id,
                "linea_factura_id": line.id,
                "unidad": row["sold_as"]["unit"] if line else 0,
                "template_id": template.id or self.env["docker.compose.template"]._default_template().id,
                "desired_state": "running" if row["running"] or not row["was_ready"] else "stopped",
                "state": "stopped" if row["was_ready"] else "draft",
                "was_ready": row["was_ready"],
                "restart_count": row["restart_count"],
                "repository_ids": [Command.create(repository) for repository in row["repositories"]],
                **instance._ports_still_free(row),
            }
        )
        instance._take_up_repositories()
        instance._create_subscriptions()
        if row["was_ready"]:
            # They were welcomed when it was made: a second invitation would only confuse.
            self.env["microsaas.notice"].create(
                {"subscription_id": instance.subscription_ids.id, "kind": "welcome", "period": ""}
            )
        instance.message_post(
            body=self.env._(
                "Found on the server after the manager's database was restored. Check its customer, invoice and dates."
            )
        )
        return True

    def _line_sold(self, sold_as):
        """Return the invoice line that was sold as this unit: the very line, not one that has its number again."""
        line = self.env["account.move.line"].browse(sold_as["line_id"] if sold_as else []).exists()
        if not line or self._made_at(line) != sold_as["made_at"]:
            return line.browse()
        same = [("linea_factura_id", "=", line.id), ("unidad", "=", sold_as["unit"])]
        # Sold once more since the restore: a person says which of the two it is.
        return line.browse() if self.with_context(active_test=False).search_count(same) else line

    def _ports_still_free(self, row):
        ports = {field: row[field] for field in ("http_port", "longpolling_port")}
        return {} if self._ports_in_use(among=list(ports.values())) else ports

    def _give_another_number(self):
        """Make this row, of which nothing was ever made, again under the next number."""
        vals = {name: self._fields[name].convert_to_write(self[name], self) for name in WISHED}
        vals["repository_ids"] = [
            Command.create({"url": repository.url, "branch": repository.branch})
            for repository in self.repository_ids.filtered(lambda it: not it.of_plan)
        ]
        self._quiet().write({"desired_state": "draft", "state": "draft"})
        self._quiet().unlink()
        return self._quiet().create(vals)
