"""What people may write by hand, over the screens as over RPC: these fields and no other.

`readonly` on a field is about screens; any RPC client writes it all the same. So everything that is not named here is
refused to everybody but the code of this server, which works with sudo. Access rights and record rules come on top.
"""

from odoo import api
from odoo.exceptions import AccessError, ValidationError

from .values import is_finite

MANAGER = "micro_saas.group_microsaas_manager"

# By model: fields written by whoever may write the model at all, fields that only MicroSaaS managers write,
# fields that are given at creation and never changed.
USERS, MANAGERS, AT_CREATION = "users", "managers", "at creation"
BY_HAND = {
    "odoo.docker.instance": {
        USERS: {
            *("name", "partner_id", "ordered_by_id", "template_id", "repository_ids", "http_port", "longpolling_port"),
            *("subdomain", "domain_ids"),
        },
        AT_CREATION: {"factura_id", "company_id"},
    },
    "odoo.docker.repository": {USERS: {"url", "branch"}, AT_CREATION: {"instance_id", "plan_id"}},
    "docker.compose.template": {MANAGERS: {"name", "code", "odoo_version", "active"}},
    "microsaas.subscription": {
        MANAGERS: {"partner_id", "product_id", "fecha_inicio", "fecha_fin"},
        AT_CREATION: {"company_id", "instancia_id", "factura_id"},
    },
    "microsaas.renewal": {},
    "microsaas.plan.change": {},
    "microsaas.notice": {},
    "microsaas.charge": {},
    "microsaas.brake": {},
    "microsaas.sidecar": {},
    "microsaas.reserved.port": {},
    "microsaas.spare": {},
    "microsaas.subdomain": {},
    "microsaas.backup": {},
    "microsaas.job": {},
    "microsaas.rollout": {AT_CREATION: {"plan_id", "in_window"}},
    "microsaas.rollout.line": {},
    "microsaas.webhook": {MANAGERS: {"name", "url", "active"}, AT_CREATION: {"company_id"}},
    "microsaas.webhook.message": {},
    "microsaas.former.domain": {},
    "microsaas.domain": {AT_CREATION: {"instance_id", "name"}},
    "microsaas.use.sample": {},
    "microsaas.limit": {},
    # Of Odoo's own models only the fields that we have added are looked at.
    "account.move": {},
    "payment.transaction": {},
    "account.move.line": {USERS: {"suscripcion_id", "microsaas_names"}},
    "product.template": {
        USERS: {
            *("es_plan_microsaas", "duracion_suscripcion", "plantilla_id", "microsaas_provision"),
            *("microsaas_memory_mb", "microsaas_cpus", "microsaas_modules", "microsaas_desde"),
            *("microsaas_disk_mb", "microsaas_users"),
            *("microsaas_sleep_hours", "microsaas_spares"),
            *("microsaas_update_from", "microsaas_update_until", "microsaas_change_ids"),
            *("microsaas_own_terms", "microsaas_notice_days", "microsaas_grace_days"),
            *("microsaas_retention_days", "microsaas_final_notice_days", "microsaas_refund"),
            *("microsaas_renew_days", "microsaas_renew_issue", "microsaas_renew_price"),
            *("microsaas_repository_ids", "microsaas_reconsider_hours", "microsaas_free"),
        }
    },
}
COPIED = "microsaas.copied_lines"


def our_fields(model):
    """Return the names of the fields that are ours to guard: all of our own models, the added ones of Odoo's."""
    if model._name.startswith(("microsaas.", "odoo.docker.", "docker.compose.")):
        return set(model._fields)
    return {
        name for name, field in model._fields.items() if field._modules and field._modules[0].startswith("micro_saas")
    }


def by_hand(model, is_creating=False):
    """Return the names of our fields that the user of `model` may write by hand."""
    fields = BY_HAND[model._name]
    allowed = set(fields.get(USERS, ()))
    if model.env.user.has_group(MANAGER):
        allowed |= fields.get(MANAGERS, set())
    if is_creating:
        allowed |= fields.get(AT_CREATION, set())
    return allowed


class ByHand:
    """The guard of one model, a plain class put before `models.Model` where the model is defined or extended.

    No abstract model could do this for Odoo's own models: it would come last of all in their line, and see what others
    have added. This class comes right after the one that names it, so it sees what the caller gives.
    """

    __slots__ = ()  # Odoo puts the classes of a model together anew, and all must have one layout

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._check_by_hand(vals, is_creating=True)
        return super().create([self._add_server_vals(vals) for vals in vals_list])

    def write(self, vals):
        self._check_by_hand(vals)
        return super().write(vals)

    def _add_server_vals(self, vals):
        """Return the values to create a record with: those given, checked by now, and what this server adds to them."""
        return vals

    def _check_by_hand(self, vals, is_creating=False):
        """Refuse what nobody writes by hand, and numbers that are none.

        :raise AccessError: a field that only this server's own code writes
        :raise ValidationError: a number that is not finite, which no JSON could carry to the sidecar
        """
        for name, value in vals.items():
            # Also of Odoo's own fields: one invoiced quantity that is not finite stops the counting of all.
            if name in self._fields and not is_finite(value):
                raise ValidationError(self.env._("“%s” must be a number.", self._label(name)))
        ours = vals.keys() & our_fields(self)
        if self.env.su or not ours:
            return
        refused = ours - by_hand(self, is_creating) - self._written_by_server(vals)
        if refused:
            labels = ", ".join(sorted(self._label(name) for name in refused))
            raise AccessError(self.env._("This is not written by hand: %s.", labels))

    def _label(self, name):
        return self._fields[name]._description_string(self.env)

    def _written_by_server(self, vals):
        """Return the names of those fields in `vals` whose values this server's own code has put there."""
        return set()
