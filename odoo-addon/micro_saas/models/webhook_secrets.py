"""The secrets that messages to the sidecar are signed with. No client is ever given one that exists already.

A new secret does not end the old one at once: messages carry a signature by each, so the sidecar understands them before
and after its configuration changes. The old ones are forgotten as soon as the sidecar has accepted the new one alone.
"""

from .signed_messages import new_secret

CURRENT = "microsaas.webhook_secret"
EARLIER = "microsaas.webhook_secrets_earlier"
# The signatures of all must fit into one header. The oldest stays: it is the one that the sidecar has for certain.
MOST_EARLIER = 20


def sidecar_url(env):
    """Return where the sidecar's webhook is; empty while no sidecar is set up."""
    return env["ir.config_parameter"].sudo().get_param("microsaas.sidecar_url") or ""


def webhook_secrets(env):
    """Return every secret to sign with, the newest first; empty while none was made."""
    current = env["ir.config_parameter"].sudo().get_param(CURRENT)
    return [current, *reversed(_earlier(env))] if current else []


def make_secret(env):
    """Make a new secret, beside those that the sidecar may still have, and return it."""
    params = env["ir.config_parameter"].sudo()
    made = new_secret()
    current = params.get_param(CURRENT)
    if current:
        params.set_param(EARLIER, " ".join([*_earlier(env), current][:MOST_EARLIER]))
    params.set_param(CURRENT, made)
    return made


def is_rotating(env):
    """Tell whether the sidecar is not yet known to have the newest secret."""
    return bool(_earlier(env))


def forget_earlier(env):
    """The sidecar has the newest secret: no other one counts any more."""
    env["ir.config_parameter"].sudo().set_param(EARLIER, False)


def _earlier(env):
    """Return the secrets before the newest one, oldest first."""
    return (env["ir.config_parameter"].sudo().get_param(EARLIER) or "").split()
