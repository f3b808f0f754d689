"""What an instance's subdomain may be: its label below the domain of the door, as in `acme.example.com`."""

import itertools
import re
import unicodedata

SHORTEST, LONGEST = 3, 40
ALLOWED = re.compile(r"[a-z0-9][a-z0-9-]{1,38}[a-z0-9]")
RESERVED = frozenset(
    """admin administrator api app assets autoconfig autodiscover backup blog cdn demo dev dns door ftp git help imap
    localhost login mail manager master mx odoo pop portal postgres proxy root shop sidecar smtp ssh ssl staging static
    status support system test vpn web webmail webmaster wpad www""".split()
)
NAME_SERVER = re.compile(r"ns[0-9]*")
# Room for a number behind a name that is made from any text.
ROOM = 5
# The manager's own label below the domain, as the sidecar has said it.
DOOR_MANAGER = "microsaas.door_manager"


def broken_rule(env, name):
    """Return the rule that a subdomain breaks, as a sentence; empty if it breaks none."""
    _ = env._
    if len(name) < SHORTEST or len(name) > LONGEST:
        return _("A name has %(shortest)s to %(longest)s characters.", shortest=SHORTEST, longest=LONGEST)
    if not re.fullmatch(r"[a-z0-9-]+", name):
        return _("Use small letters without accents, digits and dashes only.")
    if not ALLOWED.fullmatch(name):
        return _("A name begins and ends with a letter or a digit.")
    if name[2:4] == "--":  # punycode, and what may become another encoding of that kind
        return _("A name has no two dashes as its third and fourth character.")
    if name.isdecimal():
        return _("A name has at least one letter.")
    manager = env["ir.config_parameter"].sudo().get_param(DOOR_MANAGER)
    if name in RESERVED or NAME_SERVER.fullmatch(name) or name == manager:
        return _("“%s” is reserved.", name)
    return ""


def as_name(text):
    """Return any text in the letters that a subdomain may have; never empty, with room for a number behind it."""
    plain = unicodedata.normalize("NFKD", text or "").encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: LONGEST - ROOM].rstrip("-")
    return name if len(name) >= SHORTEST and not name.isdecimal() else f"odoo-{name}".strip("-")


def candidates(wish, number=None):
    """Yield subdomains near what was wished (any text), without end; they may be reserved or taken.

    :param number: what is tried behind the name before 2, 3, …
    """
    base = as_name(wish)
    yield base
    for suffix in itertools.chain([number] if number else [], itertools.count(2)):
        end = f"-{suffix}"
        yield base[: LONGEST - len(end)].rstrip("-") + end
