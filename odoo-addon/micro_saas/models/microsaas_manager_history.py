"""Whether this database is as young as the sidecar's host, and what brings lost records back when it is not.

Numbers come again when a database is restored from an older copy; identities and checkpoints do not.
"""

from odoo import Command, api, fields, models
from odoo.tools import SQL, html_escape

ACTIVITY = "micro_saas.mail_activity_type_manager"
CHECKPOINTS = "microsaas_checkpoint_seq"
NUMBERS = "odoo_docker_instance_id_seq"
# What a row that never ran is made of again under another number.
WISHED = ("name", "active", "company_id", "partner_id", "factura_id", "linea_factura_id", "unidad") + (
    "template_id",
    "desired_state",
    "requested_at",
)


class MicrosaasManagerHistory(models.AbstractModel):
    """What this database has counted, and what it does about a host that has counted further. Call it with sudo."""

    _name = "microsaas.manager.history"
    _description = "History of the manager's database"

    def init(self):
        super().init()
        self.env.cr.execute(SQL("CREATE SEQUENCE IF NOT EXISTS %s", SQL.identifier(CHECKPOINTS)))

    # -- is this database as young as the host? ------------------------------------------------

    @api.model
    def _last_numbers(self):
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
    def _next_number(self):
        """Take the number of an instance that is made later, as an INSERT would take it."""
        self.env.cr.execute("LOCK TABLE odoo_docker_instance IN ROW EXCLUSIVE MODE")  # see _skip_numbers
        [[number]] = self.env.execute_query(SQL("SELECT nextval(%s)", NUMBERS))
        return number

    @api.model
    def _checkpoint(self):
        """Count one more checkpoint and return its number."""
        [[checkpoint]] = self.env.execute_query(SQL("SELECT nextval(%s)", CHECKPOINTS))
        return checkpoint

    # -- telling people ------------------------------------------------------------------------

    @api.model
    def _first_company(self):
        return self.env["res.company"].search([], order="id", limit=1).partner_id

    @api.model
    def _distrust(self, kind, above, found):
        """Tell people, once, that the sidecar does not act for this database, and why; see `microsaas_distrust`."""
        self._skip_numbers(above)
        # What was a spare when this copy was made may be a customer's by now.
        self.env["microsaas.spare"].search([]).unlink()
        # And what has been charged since then, this copy does not know.
        self.env["microsaas.subscription"]._doubt_charges()
        partner = self._first_company()
        if partner.activity_search([ACTIVITY]):
            return
        _ = self.env._
        why = {
            "older": _("This database is older than what the sidecar's host has seen: it was restored from a copy."),
            "other": _("This is another database than the one that the sidecar has worked for: a copy of it?"),
        }[kind]
        what = _("Customers' Odoos go on running. Nothing is sold, suspended, removed or mailed until a person confirms.")
        how = _("On the sidecar's host: microsaas reconcile-host shows what was found, and with --confirm goes on.")
        lines = "".join(f"<li>{html_escape(self._found_line(row))}</li>" for row in found)
        partner.activity_schedule(
            ACTIVITY,
            summary=_("MicroSaaS waits: the database was restored or copied"),
            note=f"<p>{html_escape(why)}</p><p>{html_escape(what)}</p><ul>{lines}</ul><p>{html_escape(how)}</p>",
            user_id=self.env.ref("base.user_admin").id,
        )

    @api.model
    def _found_line(self, row):
        if not row["name"]:
            return self.env._("%s: no identity mark, so its name is unknown", row["id"])
        return f"{row['id']}: {', '.join(filter(None, [row['name'], row['url']]))}"

    # -- records of what the host has and this database has lost -------------------------------

    @api.model
    def _adopt(self, found):
        """Make records again of instances on the host; see `microsaas_adopt`. Return the ids that have theirs now."""
        self._first_company().activity_unlink([ACTIVITY])
        adopted = [row["id"] for row in found if self._adopt_one(row)]
        self.env["odoo.docker.instance"]._review_all()
        return adopted

    @api.model
    def _adopt_one(self, row):
        instances = self.env["odoo.docker.instance"]
        known = instances.with_context(active_test=False).search([("identity", "=", row["identity"])])
        if known and not known._is_sold_anew(row["sold_as"]):
            return known.id == row["id"]
        taken = instances.browse(row["id"]).exists()
        if taken and (taken.was_ready or taken.state not in ("draft", "error")):
            return False  # two who have run: a person must look
        if taken:
            self._give_another_number(taken)
        self.env["microsaas.spare"]._numbered(row["id"]).unlink()
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
        instance = instances.browse(row["id"])
        instance.invalidate_recordset()
        ports = {field: row[field] for field in ("http_port", "longpolling_port")}
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
                **instance._ports_still_free(ports),
            }
        )
        self._name_as_before(instance, row.get("subdomain") or "")
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

    @api.model
    def _name_as_before(self, instance, subdomain):
        """Give an instance the subdomain that the host knows it by, or another where somebody else has that by now."""
        book = self.env["microsaas.subdomain"]
        if book._problem(subdomain, instance) or not book._take(instance._quiet(), subdomain):
            instance._name_first_time()

    @api.model
    def _line_sold(self, sold_as):
        """Return the invoice line that was sold as this unit: the very line, not one that has its number again."""
        line = self.env["account.move.line"].browse(sold_as["line_id"] if sold_as else []).exists()
        if not line or line._microsaas_made_at() != sold_as["made_at"]:
            return line.browse()
        same = [("linea_factura_id", "=", line.id), ("unidad", "=", sold_as["unit"])]
        # Sold once more since the restore: a person says which of the two it is.
        instances = self.env["odoo.docker.instance"].with_context(active_test=False)
        return line.browse() if instances.search_count(same) else line

    @api.model
    def _give_another_number(self, instance):
        """Make a row, of which nothing was ever made, again under the next number."""
        vals = {name: instance._fields[name].convert_to_write(instance[name], instance) for name in WISHED}
        vals["repository_ids"] = [
            Command.create({"url": repository.url, "branch": repository.branch})
            for repository in instance.repository_ids.filtered(lambda it: not it.of_plan)
        ]
        instance._quiet().write({"desired_state": "draft", "state": "draft"})
        instance._quiet().unlink()
        instance.browse()._quiet().create(vals)
