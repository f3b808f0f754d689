"""The nudge: after a commit, tell the sidecar which records to look at.

It carries no truth, only ids; a lost one costs the sidecar's next poll and nothing else. So it must never
delay or trouble the person whose click caused it: one thread, short timeouts, no error leaves it.
"""

import json
import logging
import threading

import requests

from .signed_messages import new_message_id, signed_headers
from .webhook_secrets import sidecar_url, webhook_secrets

_logger = logging.getLogger(__name__)

TIMEOUT = (1, 2)  # seconds to connect, seconds to answer
MAX_IDS = 1000
# A mass import with a commit for each invoice must not start a thread for each.
_slots = threading.BoundedSemaphore(4)


def post(url, secrets, payload, timeout=TIMEOUT):
    """Send one signed message and return the `requests.Response`.

    :param secrets: as for `signed_headers`
    :param payload: what becomes the JSON body
    :param timeout: seconds to connect, seconds to answer
    :raise ValueError: the URL or a secret is malformed
    :raise requests.RequestException: the sidecar cannot be reached
    """
    body = json.dumps(payload).encode()
    headers = signed_headers(secrets, new_message_id(), body)
    return requests.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False)


def nudge(env, model, ids):
    """Nudge the sidecar about records once this transaction is committed; once per commit.

    Only collects ids, so it may be called inside a flush. Does nothing while no sidecar is set up.
    """
    if not ids:
        return
    url, secrets = sidecar_url(env), webhook_secrets(env)
    if not (url and secrets):
        return
    callbacks = env.cr.postcommit
    if "microsaas.nudge" not in callbacks.data:
        pending = callbacks.data["microsaas.nudge"] = {}
        callbacks.add(lambda: _start(url, secrets, pending))
    callbacks.data["microsaas.nudge"].setdefault(model, set()).update(ids)


def _start(url, secrets, pending):
    if not _slots.acquire(blocking=False):
        _logger.info("Sidecar not nudged: earlier nudges are still on their way.")
        return
    try:
        threading.Thread(
            target=_run, args=(url, secrets, dict(pending)), name="microsaas.nudge", daemon=True
        ).start()
    except RuntimeError as error:  # no more threads
        _slots.release()
        _logger.info("Sidecar not nudged: %s", error)


def _run(url, secrets, pending):
    try:
        for model, ids in pending.items():
            post(url, secrets, {"model": model, "ids": sorted(ids)[:MAX_IDS]}).raise_for_status()
    except Exception as error:  # noqa: BLE001 - the sidecar's next poll finds what was missed
        _logger.info("Sidecar not nudged: %s", error)
    finally:
        _slots.release()
