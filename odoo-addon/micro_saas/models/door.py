"""What the sidecar has said of the door, the reverse proxy in front of all instances: kept for what people are shown."""

import json
from urllib.parse import urlsplit

from .subdomain import DOOR_MANAGER

DOMAIN, URL, ADDRESSES = "microsaas.door_domain", "microsaas.door_url", "microsaas.door_addresses"


def keep_door(env, door):
    """Keep what a sidecar says of its door; see `microsaas_hello`.

    :param door: dict, or False: it has none
    """
    door = door or {}
    params = env["ir.config_parameter"].sudo()
    params.set_param(DOMAIN, door.get("domain") or "")
    params.set_param(URL, door.get("url") or "")
    params.set_param(ADDRESSES, json.dumps(list(door.get("addresses") or ())))
    params.set_param(DOOR_MANAGER, door.get("manager") or "")


def door_domain(env):
    """Return the domain below which instances have their names; empty without a door."""
    return env["ir.config_parameter"].sudo().get_param(DOMAIN) or ""


def door_suffix(env):
    """Return what follows a subdomain in an address, with a port that is not the usual one; empty without a door."""
    domain = door_domain(env)
    _scheme, name, after = (env["ir.config_parameter"].sudo().get_param(URL) or "").partition("{name}")
    return domain and (after.rstrip("/") if name else f".{domain}")


def door_addresses(env):
    """Return the public IP addresses to which a customer's own domain must lead: a list of texts, maybe empty."""
    return json.loads(env["ir.config_parameter"].sudo().get_param(ADDRESSES) or "[]")


def own_domains(env):
    """Return the names that are no customer's: the door's domain, and where this Odoo itself answers."""
    base_url = env["ir.config_parameter"].sudo().get_param("web.base.url") or ""
    return {door_domain(env), urlsplit(base_url).hostname or ""} - {""}


def address_of(env, subdomain):
    """Return the full name of a subdomain, as in `acme.example.com`; empty without a door."""
    domain = door_domain(env)
    return f"{subdomain}.{domain}" if domain and subdomain else ""
