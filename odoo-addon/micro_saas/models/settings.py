"""What is set up for the whole database: ports, days, what counts as paid. Of ports also that none is given twice."""

from odoo.exceptions import ValidationError
from odoo.tools import SQL

SIDECAR_GROUP = "micro_saas.group_microsaas_sidecar"
# Days that an address stays its customer's after the data went: bookmarks and mails live long.
RESERVED_DAYS = 365
PORT_RANGES = {"http_port": (20000, 24999), "longpolling_port": (25000, 29999)}

# Days of a subscription, where neither a plan nor its company says otherwise.
TERMS = {"notice": 7, "grace": 3, "retention": 30, "final_notice": 7}
# For so long missing money may be missing before anything is done about it.
RECONSIDER_HOURS = 24


def port_range(env, field):
    """Return `(first, last)`, the TCP ports that the instance field `field` is chosen from."""
    params = env["ir.config_parameter"].sudo()
    ends = zip(("first", "last"), PORT_RANGES[field], strict=True)
    first, last = (int(params.get_param(f"microsaas.{field}_{end}") or port) for end, port in ends)
    return first, last


def make_ports_unique(model):
    """Let no two rows of a model have the same port for the same use; any number may have none yet.

    To be called in its `init`: a constraint of the model could not leave some rows out.
    """
    for field in PORT_RANGES:
        model.env.cr.execute(
            SQL(
                "CREATE UNIQUE INDEX IF NOT EXISTS %s ON %s (%s) WHERE %s > 0",
                SQL.identifier(f"{model._table}_{field}_uniq"),
                SQL.identifier(model._table),
                SQL.identifier(field),
                SQL.identifier(field),
            )
        )


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
