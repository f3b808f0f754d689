"""What the methods for the sidecar share: who may call them, what is set up, how they write."""

import math

from odoo.exceptions import AccessError, ValidationError

SIDECAR_GROUP = "micro_saas.group_microsaas_sidecar"
# Days that an address stays its customer's after the data went: bookmarks and mails live long.
RESERVED_DAYS = 365
PORT_RANGES = {"http_port": (20000, 24999), "longpolling_port": (25000, 29999)}

# Days of a subscription, where neither a plan nor its company says otherwise.
TERMS = {"notice": 7, "grace": 3, "retention": 30, "final_notice": 7}
# For so long missing money may be missing before anything is done about it.
RECONSIDER_HOURS = 24


def check_sidecar(env):
    """Refuse everybody but the sidecar's user.

    The methods then work with `sudo()`: the user itself needs no right on invoices or partners.
    """
    if not (env.su or env.user.has_group(SIDECAR_GROUP)):
        raise AccessError(env._("Only the sidecar may call this method."))


def port_range(env, field):
    """Return `(first, last)`, the TCP ports that the instance field `field` is chosen from."""
    params = env["ir.config_parameter"].sudo()
    ends = zip(("first", "last"), PORT_RANGES[field], strict=True)
    first, last = (int(params.get_param(f"microsaas.{field}_{end}") or port) for end, port in ends)
    return first, last


def in_payment_is_paid(env):
    """Tell whether an invoice whose payment the bank has not confirmed yet counts as paid."""
    params = env["ir.config_parameter"].sudo()
    return params.get_param("microsaas.in_payment_is_paid", "True") == "True"


def default_days(env, name):
    """Return the days of TERMS that a company begins with: what was once set for all of them, else the usual ones."""
    return int(env["ir.config_parameter"].sudo().get_param(f"microsaas.{name}_days", TERMS[name]))


def reserved_days(env):
    """Return for how many days after an instance's data went nobody else gets its address."""
    return int(env["ir.config_parameter"].sudo().get_param("microsaas.reserved_port_days", RESERVED_DAYS))


def check_terms(env, days):
    """Refuse days, and hours of reconsideration, that make no sense.

    :param days: dict by the names of TERMS, and `reconsider`
    :raise ValidationError: one is negative, or the final notice comes before the suspension
    """
    if min(days.values()) < 0:
        raise ValidationError(env._("Days and hours cannot be negative."))
    if days["final_notice"] > days["retention"]:
        raise ValidationError(
            env._("The final notice cannot come before the suspension: keep the data for longer.")
        )


def finite(value):
    """Return a value as JSON can carry it: what is no number, or infinite, is 0 in the copy.

    Numbers are checked when they are written; this is for what came into the database by another way.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else 0.0
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return value


def write_changed(records, vals):
    """Write those of `vals` that differ, so that a report with no news leaves no trace.

    :param vals: field values as they come over RPC; "" and False both mean empty
    """
    for record in records:
        changed = {}
        for name, value in vals.items():
            field, value = record._fields[name], value or False
            old, new = (field.convert_to_cache(one, record) for one in (record[name], value))
            if old != new:
                changed[name] = value
        if changed:
            record.write(changed)
