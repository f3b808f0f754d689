"""What the sidecar calls on instances. Each method is one transaction and answers without None."""

import time

from odoo import api, fields, models

from .sidecar import check_sidecar, finite, in_payment_is_paid, port_range, write_changed

LOG_LENGTH = 10_000
REPORTED = {"state", "reason", "message", "detail", "http_port", "longpolling_port", "instance_url", "active"}


class OdooDockerInstance(models.Model):
    _inherit = "odoo.docker.instance"

    @api.model
    def microsaas_hello(self, install_id):
        """Introduce a sidecar. The first one's install id is kept; the caller compares.

        :return: dict of `install_id`, `addon_version`, `http_ports` and `longpolling_ports` ([first, last]),
            `database_uuid`, `checkpoint` and `highest_instance` (see _history)
        """
        check_sidecar(self.env)
        params = self.env["ir.config_parameter"].sudo()
        if not params.get_param("microsaas.install_id"):
            params.set_param("microsaas.install_id", install_id)
        addon = self.env["ir.module.module"].sudo().search([("name", "=", "micro_saas")])
        return {
            "install_id": params.get_param("microsaas.install_id"),
            "addon_version": addon.latest_version or "",
            "http_ports": list(port_range(self.env, "http_port")),
            "longpolling_ports": list(port_range(self.env, "longpolling_port")),
            "database_uuid": params.get_param("database.uuid") or "",
            **self._history(),
        }

    @api.model
    def microsaas_due(self, limit):
        """Return at most `limit` ids of instances, archived ones too, whose review is due; oldest first."""
        check_sidecar(self.env)
        self.env["microsaas.sidecar"]._hear()
        everything = self.sudo().with_context(active_test=False)
        now = fields.Datetime.now()
        return everything.search(
            [("next_review", "<=", now)], order="next_review, id", limit=limit
        ).ids

    @api.model
    def microsaas_states(self):
        """Return what is believed of every instance, removed ones too: a list of dicts of `id` and `state`."""
        check_sidecar(self.env)
        everything = self.sudo().with_context(active_test=False)
        return everything.search_read([], ["state"], order="id", load=None)

    @api.model
    def microsaas_desired(self, instance_ids):
        """Return what is wanted of these instances: a list of dicts, ids that are gone left out."""
        check_sidecar(self.env)
        return [finite(instance._desired()) for instance in self.sudo().browse(instance_ids).exists()]

    def _desired(self):
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
            "memory_mb": plan.microsaas_memory_mb,
            "cpus": plan.microsaas_cpus,
            "modules": plan._microsaas_module_list(),
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

    @api.model
    def microsaas_report(self, reports):
        """Write what the sidecar saw and did.

        :param reports: list of dicts with `id`, `revision` and any of `state`, `reason`, `message`, `detail`,
            `http_port`, `longpolling_port`, `instance_url`, `active`, `log` (list of lines, oldest first),
            `next_review` (UTC text or False), `seconds_to_ready`, `commits` ([{"id", "commit"}]),
            `subscription` (see `microsaas.subscription._apply_change`), `adopted` (its data are marked now).
            Only given keys are written.
        :return: True
        :raise ValidationError: a port belongs to another instance; choose another one
        """
        check_sidecar(self.env)
        for report in reports:
            instance = self.browse(report["id"])._quiet()
            if instance.exists():
                instance._apply_report(report)
        return True

    def _apply_report(self, report):
        vals = {field: report[field] for field in REPORTED & report.keys()}
        if report.get("log"):
            vals["log"] = self._log_with(report["log"])
        if "seconds_to_ready" in report:
            vals["segundos_hasta_listo"] = report["seconds_to_ready"]
        if "seconds_to_ready" in report or report.get("state") == "running":
            vals["was_ready"] = True
        if report.get("adopted"):
            vals["is_unmarked"] = False
        if report["revision"] != self.revision:
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

    @api.model
    def microsaas_restore(self, instance_id, template_code, stage):
        """Note that an instance gets its data from an archive.

        :param stage: "begin": it is a draft, so that nothing is done to it meanwhile, and it has data, so that none
            are made in their place; "end": it is stopped, for a person to start
        :return: True
        """
        check_sidecar(self.env)
        instance = self.sudo().browse(instance_id)
        if stage == "end":
            instance.desired_state = "stopped"
            return True
        template = self.env["docker.compose.template"].sudo().search([("code", "=", template_code)])
        instance.subscription_ids._forget_the_way_down()
        instance._quiet().was_ready = True
        instance.write(
            {
                "active": True,
                "desired_state": "draft",
                "template_id": (template or instance.template_id).id,
                **instance._ports_before(),
            }
        )
        return True

    def _log_with(self, lines):
        """Return the log with `lines` (oldest first) on top; whole old lines fall off the end."""
        text = "\n".join([*reversed(lines), self.log or ""]).rstrip("\n")
        if len(text) <= LOG_LENGTH:
            return text
        kept, newline, _cut = text[: LOG_LENGTH + 1].rpartition("\n")
        return kept if newline else text[:LOG_LENGTH]

    @api.model
    def microsaas_claim(self, units, above=0):
        """Create one instance for each paid unit, wished running; a unit claimed before keeps its instance.

        :param units: list of `{"line_id", "unit"}`, units counted from 1
        :param above: the highest number that the sidecar's host has seen; a new instance gets a higher one
        :return: list of instance ids in the same order
        :raise UserError: an invoice is not paid, or a unit is not sold by its line
        """
        check_sidecar(self.env)
        lines = self.env["account.move.line"].sudo().browse({unit["line_id"] for unit in units})
        lines._microsaas_serialize_claims()
        self._skip_numbers(above)
        return [self._claim(lines.browse(unit["line_id"]), unit["unit"]).id for unit in units]

    def _claim(self, line, unit):
        claimed = self.sudo().with_context(active_test=False).search(
            [("linea_factura_id", "=", line.id), ("unidad", "=", unit)]
        )
        if claimed:
            return claimed
        line.move_id._check_can_provision()
        line._microsaas_check_unit(unit)
        return self._quiet().create(
            {
                "factura_id": line.move_id.id,
                "linea_factura_id": line.id,
                "unidad": unit,
                "desired_state": "running",
                "requested_at": line.move_id._microsaas_paid_at(),
            }
        )
