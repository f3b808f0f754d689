"""The nudge: after a commit, tell the sidecar which records to look at.

It carries no truth, only ids; a lost one costs the sidecar's next poll and nothing else. So it must never
delay or trouble the person whose click caused it: one thread, short timeouts, no error leaves it.
"""

import base64
import hashlib
import hmac
import json
import logging
import threading
import time
import uuid

import requests

_logger = logging.getLogger(__name__)

TIMEOUT = (1, 2)  # seconds to connect, seconds to answer
MAX_IDS = 1000
# A mass import with a commit for each invoice must not start a thread for each.
_slots = threading.BoundedSemaphore(4)


def sign(secret, message_id, timestamp, body):
    """Return the Standard Webhooks signature of `body` (bytes).

    :param secret: `whsec_<base64>`
    :raise ValueError: the secret is not base64
    """
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def post(url, secret, model, ids):
    """Send one signed nudge and return the `requests.Response`.

    :raise ValueError: the URL or the secret is malformed
    :raise requests.RequestException: the sidecar cannot be reached
    """
    body = json.dumps({"model": model, "ids": ids}).encode()
    message_id, timestamp = f"msg_{uuid.uuid4().hex}", int(time.time())
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id, timestamp, body),
    }
    return requests.post(url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False)


def nudge(env, model, ids):
    """Nudge the sidecar about records once this transaction is committed; once per commit.

    Only collects ids, so it may be called inside a flush. Does nothing while no sidecar is set up.
    """
    params = env["ir.config_parameter"].sudo()
    url = params.get_param("microsaas.sidecar_url")
    secret = params.get_param("microsaas.webhook_secret")
    if not (ids and url and secret):
        return
    callbacks = env.cr.postcommit
    if "microsaas.nudge" not in callbacks.data:
        pending = callbacks.data["microsaas.nudge"] = {}
        callbacks.add(lambda: _start(url, secret, pending))
    callbacks.data["microsaas.nudge"].setdefault(model, set()).update(ids)


def _start(url, secret, pending):
    if not _slots.acquire(blocking=False):
        _logger.info("Sidecar not nudged: earlier nudges are still on their way.")
        return
    try:
        threading.Thread(
            target=_run, args=(url, secret, dict(pending)), name="microsaas.nudge", daemon=True
        ).start()
    except RuntimeError as error:  # no more threads
        _slots.release()
        _logger.info("Sidecar not nudged: %s", error)


def _run(url, secret, pending):
    try:
        for model, ids in pending.items():
            post(url, secret, model, sorted(ids)[:MAX_IDS]).raise_for_status()
    except Exception as error:  # noqa: BLE001 - the sidecar's next poll finds what was missed
        _logger.info("Sidecar not nudged: %s", error)
    finally:
        _slots.release()
