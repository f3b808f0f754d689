"""Spares: whole started Odoos that are kept ready before they are sold.

A spare is nobody's, and no instance yet. It is in a table of its own, so that no list, counter, mail, invoice or door of
customers can show one. What it has of the instance that it becomes is what is written on everything that is made for
it: number, identity and ports.
"""

from datetime import timedelta

from psycopg2.errors import SerializationFailure

from odoo import api, fields, models
from odoo.release import version_info
from odoo.tools import SQL, mute_logger

from .by_hand import ByHand
from .settings import PORT_RANGES, make_ports_unique
from .values import finite, seconds_of, write_changed

NUMBER_UNIQUE = "UNIQUE(number)"
NUMBER_UNIQUE_MESSAGE = "Another instance kept ready has this number."
IDENTITY_UNIQUE = "UNIQUE(identity)"
IDENTITY_UNIQUE_MESSAGE = "Another instance kept ready has this identity."
# An older one is made anew.
LIVES_FOR = timedelta(days=7)


class MicrosaasSpare(ByHand, models.Model):
    """A started Odoo that is kept ready before it is sold. The sidecar makes and removes it; a claim makes it an instance.

    How many are wanted (`product_template_spares.py`), whose each becomes and whether it is still good is decided in Odoo;
    how many of these the memory allows, and when they are made, by the sidecar.
    """

    _name = "microsaas.spare"
    _description = "Instance kept ready"
    _order = "id"
    _rec_name = "number"

    number = fields.Integer(required=True, readonly=True, aggregator=None, help="Of the instance that it becomes.")
    identity = fields.Char(
        required=True, readonly=True, help="Marks its directory, database and containers on the server."
    )
    # The sidecar still has to remove what a deleted plan leaves behind.
    plan_id = fields.Many2one("product.template", "Plan", readonly=True, ondelete="set null", index=True)
    state = fields.Selection(
        [("making", "Being made"), ("ready", "Ready"), ("leaving", "Being removed")],
        default="making",
        required=True,
        readonly=True,
    )
    ready_at = fields.Datetime("Ready since", readonly=True)
    http_port = fields.Integer("HTTP port", readonly=True, aggregator=None)
    longpolling_port = fields.Integer("Longpolling port", readonly=True, aggregator=None)
    image_digest = fields.Char("Image", readonly=True)
    made_from = fields.Json("Made from", readonly=True, help="What its plan said when it was reserved.")
    content = fields.Char("Content", required=True, readonly=True, help="Tells whether its plan says the same now.")

    if version_info[0] >= 19:
        _number_uniq = models.Constraint(NUMBER_UNIQUE, NUMBER_UNIQUE_MESSAGE)
        _identity_uniq = models.Constraint(IDENTITY_UNIQUE, IDENTITY_UNIQUE_MESSAGE)
    else:
        _sql_constraints = [
            ("number_uniq", NUMBER_UNIQUE, NUMBER_UNIQUE_MESSAGE),
            ("identity_uniq", IDENTITY_UNIQUE, IDENTITY_UNIQUE_MESSAGE),
        ]

    def init(self):
        super().init()
        make_ports_unique(self)

    # -- making and removing: what the sidecar says ------------------------------------------------

    @api.model
    def _reserve(self, plan_id, content, above):
        """Reserve the number of an instance to come for a spare; see `microsaas_reserve_spare`."""
        plan = self.env["product.template"].search([("id", "=", plan_id), ("es_plan_microsaas", "=", True)])
        if not plan.microsaas_listo or plan._microsaas_spare_content() != content:
            return 0
        history = self.env["microsaas.manager.history"]
        history._skip_numbers(above)
        spare = self.create(
            {
                "number": history._next_number(),
                "identity": self.env["odoo.docker.instance"]._new_identity(),
                "plan_id": plan.id,
                "made_from": plan._microsaas_made_from(),
                "content": content,
            }
        )
        return spare.number

    @api.model
    def _numbered(self, number):
        return self.search([("number", "=", number)])

    def _assign_ports(self, exclude):
        """Take a free pair of ports; see `microsaas_assign_ports`.

        From the end of the ranges: instances get theirs from the beginning, and no index sees both tables. So two that
        choose at the same moment do not choose the same.
        """
        ports = self.env["microsaas.reserved.port"]._free_pair(self._to_come(), exclude, from_end=True)
        if all(ports.values()):
            write_changed(self, ports)
            self.flush_recordset()
        return ports

    @api.model
    def _apply_report(self, number, state, image_digest):
        """Write what became of a spare on the host; see `microsaas_report_spare`."""
        spare = self._locked(number)
        if state == "gone":
            is_gone = not spare or spare.state == "leaving"
            if is_gone:
                spare.unlink()
            return is_gone
        if not spare or (state == "ready" and spare.state == "leaving"):
            return False
        if state == "ready":
            ready_at = spare.ready_at or fields.Datetime.now()
            write_changed(spare, {"state": state, "image_digest": image_digest, "ready_at": ready_at})
        else:
            write_changed(spare, {"state": "leaving"})
        return True

    @api.model
    def _locked(self, number):
        """Return the spare of that number, none where there is none, once no claim is about to take it.

        Where a claim took it meanwhile, this transaction fails to serialize, and Odoo runs it again on a fresh snapshot.
        """
        self.flush_model()
        rows = self.env.execute_query(SQL("SELECT id FROM microsaas_spare WHERE number = %s FOR UPDATE", number))
        return self.browse([spare_id for (spare_id,) in rows])

    # -- whether it is still good ------------------------------------------------------------------

    def _is_fresh(self):
        """Tell whether what is made of its plan today would be the same."""
        plan, code = self.plan_id, self.made_from["template_code"]
        template = self.env["docker.compose.template"].search([("code", "=", code)])
        is_old = self.ready_at and self.ready_at < fields.Datetime.now() - LIVES_FOR
        is_plan = plan.active and plan.es_plan_microsaas
        return bool(
            (is_plan and template and not is_old)
            and plan._microsaas_spare_content() == self.content
            and not template._has_newer_image(self.image_digest)
            and not self._has_lost_a_port()
        )

    def _has_lost_a_port(self):
        """Tell whether somebody who types ports by hand has got one of its own at the same moment."""
        return self._ports() != self._to_come()._ports_still_free(self._ports())

    def _ports(self):
        return {field: self[field] for field in PORT_RANGES if self[field]}

    def _to_come(self):
        """Return the instance that this spare becomes: no record has its number yet."""
        return self.env["odoo.docker.instance"].browse(self.number)

    # -- the sale ----------------------------------------------------------------------------------

    @api.model
    def _take(self, plan, customer):
        """Take a spare that fits out of stock, for good: the oldest one that nobody else is taking.

        :param plan: a product template
        :param customer: as `_desired_customer` says
        :return: the values that the instance, created by this transaction, has of it; {} where none fits
        """
        self.flush_model()
        for spare in self.search([("plan_id", "=", plan.id), ("state", "=", "ready")], order="ready_at, id"):
            if spare._fits(customer) and spare._lock_for_sale():
                kept = {
                    "id": spare.number,
                    "identity": spare.identity,
                    "image_digest": spare.image_digest,
                    **spare._ports(),
                }
                spare.unlink()
                return kept
        return {}

    def _fits(self, customer):
        """Tell whether this spare is what would be made for a customer now.

        Modules install what a country needs; languages are loaded when it is made.
        """
        made = self.made_from
        is_of_country = not made["modules"] or customer["country_code"] == made["country_code"]
        return is_of_country and customer["lang"] in made["languages"] and self._is_fresh()

    def _lock_for_sale(self):
        """Keep this spare for the present transaction. Return whether nobody else has it, or has its number."""
        try:
            # Lost to somebody who has committed since, it is not worth running the whole sale again.
            with mute_logger("odoo.sql_db"), self.env.cr.savepoint(flush=False):
                rows = self.env.execute_query(
                    SQL(
                        """SELECT id FROM microsaas_spare AS spare
                            WHERE id = %s AND NOT EXISTS (
                              SELECT FROM odoo_docker_instance WHERE id = spare.number OR identity = spare.identity)
                              FOR UPDATE SKIP LOCKED""",
                        self.id,
                    )
                )
        except SerializationFailure:
            return False
        return bool(rows)

    # -- what the sidecar reads --------------------------------------------------------------------

    @api.model
    def _rows(self):
        """Return all spares as instances of nobody; see `microsaas_spares`."""
        return [finite(spare._as_read()) for spare in self.search([])]

    def _as_read(self):
        """Return this spare as `microsaas_desired` gives an instance, and what is a spare's alone."""
        plan, made = self.plan_id, self.made_from
        nobodys = self.env["odoo.docker.instance"].new(
            {
                "name": f"Spare {self.number}",
                "identity": self.identity,
                "company_id": (plan.company_id or self.env.company).id,
                "desired_state": "running",
                "requested_at": seconds_of(self.create_date),
                "without_archive": True,
                "image_digest": self.image_digest,
                **self._ports(),
            }
        )
        as_made = ("template_code", "memory_mb", "cpus", "modules", "repositories", "languages")
        return {
            **nobodys._desired(),
            "id": self.number,
            "customer": {
                **dict.fromkeys(("name", "company_name", "email"), ""),
                "lang": "en_US",
                "country_code": made["country_code"],
            },
            **{name: made[name] for name in as_made},
            **{"subdomain": "", "former_subdomains": [], "domains": []},
            "plan_id": plan.id or 0,
            "spare_state": self.state,
            "fresh": self._is_fresh(),
        }
