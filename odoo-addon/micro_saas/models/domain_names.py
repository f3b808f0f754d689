"""What a customer may enter as a domain of their own."""

import ipaddress
import re

import idna

from odoo.exceptions import ValidationError

LONGEST = 253
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# Of letters alone, or an international one in ASCII (RFC 3696, section 2).
TOP_LEVEL = re.compile(r"[a-z]{2,63}|xn--[a-z0-9-]{0,58}[a-z0-9]")
# In front of a domain: where the TXT record is that proves whose it is.
PROOF_LABEL = "_microsaas"
# They lead nowhere that a visitor or a certificate authority could reach.
LOCAL = {"localhost", "local", "localdomain", "invalid", "onion", "arpa"}


def checked_domain(env, text, own):
    """Return a domain in lower case and ASCII (IDNA), from what a person typed.

    :param own: our own domains: neither they nor what lies below them is a customer's
    :raise ValidationError: a sentence saying why it can be no domain of a customer
    """
    _ = env._
    typed = (text or "").strip().lower()
    shown = typed[:60]
    if not typed:
        raise ValidationError(_("Enter a domain, such as www.example.com."))
    if len(typed) > LONGEST:
        raise ValidationError(_("A domain has at most %s characters.", LONGEST))
    if is_address(typed):
        raise ValidationError(_("“%s” is an IP address. Enter a domain, such as www.example.com.", shown))
    if re.search(r"[:/?#@\\\s]", typed):
        raise ValidationError(
            _("“%s” is more than a domain: enter it without https://, a port, a path or spaces.", shown)
        )
    if "*" in typed:
        raise ValidationError(_("A wildcard cannot be a domain here: enter each name that you use."))
    try:
        name = idna.encode(typed.removesuffix("."), uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        raise ValidationError(_("“%s” is not a valid domain.", shown)) from None
    labels = name.split(".")
    if len(labels) < 2:
        raise ValidationError(_("“%s” is no domain of its own: it needs an ending, as in www.example.com.", shown))
    if len(name) > LONGEST:
        raise ValidationError(_("A domain has at most %s characters.", LONGEST))
    if not TOP_LEVEL.fullmatch(labels[-1]) or not all(LABEL.fullmatch(label) for label in labels):
        raise ValidationError(_("“%s” is not a valid domain.", shown))
    if labels[-1] in LOCAL:
        raise ValidationError(_("“%s” cannot be reached from the internet.", shown))
    # What lies above our domain would have the cookies of all that lies below.
    if any(name == ours or name.endswith(f".{ours}") or ours.endswith(f".{name}") for ours in own if ours):
        raise ValidationError(_("“%s” is ours. Enter a domain of your own.", shown))
    return name


def shown_domain(name):
    """Return a domain as its owner writes it, with its own letters."""
    try:
        return name.encode("ascii").decode("idna")
    except UnicodeError:
        return name


def is_address(text):
    """Tell whether a text is an IP address, also one with a port or in brackets."""
    host = text.partition("]")[0].removeprefix("[")
    for one in (text, host, text.partition(":")[0]):
        try:
            ipaddress.ip_address(one)
            return True
        except ValueError:
            continue
    return False
