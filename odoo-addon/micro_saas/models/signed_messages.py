"""How messages are signed, to the sidecar and to other programs: as Standard Webhooks says."""

import base64
import hashlib
import hmac
import time
import uuid
from secrets import token_bytes


def new_secret():
    """Return a new secret of 32 bytes, as Standard Webhooks writes it."""
    return f"whsec_{base64.b64encode(token_bytes(32)).decode()}"


def sign(secret, message_id, timestamp, body):
    """Return the Standard Webhooks signature of `body` (bytes).

    :param secret: `whsec_<base64>`
    :raise ValueError: the secret is not base64
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def new_message_id():
    """Return an id that no other message has."""
    return f"msg_{uuid.uuid4().hex}"


def signed_headers(secrets, message_id, body):
    """Return the headers of a message that is sent now.

    :param secrets: `whsec_<base64>` each; the receiver accepts a signature by any one, so that they may be rotated
    :param body: JSON as bytes
    :raise ValueError: a secret is malformed
    """
    timestamp = int(time.time())
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }
