"""Does the Hugging Face hub answer? Asked once, then remembered for this process and its children.

Without a network the hub's own client retries for 23 s per file, so the question is put before the
client is used, and a "no" puts the client into its offline mode, in which its cache still works.

Imports nothing of ours but the error.
"""

import http.client
import os
import sys
import urllib.error
import urllib.request

from cola_sweep.errors import UserError

DECISION = "COLA_SWEEP_HUB"
PROBE_SECONDS = 2.0


def hub_answers() -> bool:
    """Whether the hub may be used, by `COLA_SWEEP_HUB` (1 or 0), `HF_HUB_OFFLINE`, or one short probe.

    The answer is written to `COLA_SWEEP_HUB`, so that the processes started from here do not ask again.

    Raises:
        UserError: `COLA_SWEEP_HUB` is neither 1 nor 0.
    """
    decision = os.environ.get(DECISION, "")
    if decision not in ("", "0", "1"):
        raise UserError(DECISION, got=decision, rule="must be 1 or 0", fix="unset it to let the hub be probed")
    if decision:
        answers = decision == "1"
    else:
        answers = os.environ.get("HF_HUB_OFFLINE", "0").upper() not in ("1", "ON", "YES", "TRUE") and _probe()
    os.environ[DECISION] = "1" if answers else "0"
    if not answers:
        _go_offline()
    return answers


def _probe() -> bool:
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    try:
        request = urllib.request.Request(endpoint, method="HEAD")
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
            return True
    except urllib.error.HTTPError as error:
        # Any status of the hub's own is an answer; a gateway's or proxy's complaint is not.
        error.close()
        return error.code < 500 and error.code != 407
    except (OSError, ValueError, http.client.HTTPException):
        return False


def _go_offline() -> None:
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Both libraries read the variable when they are imported, which may have happened already.
    for module in ("huggingface_hub.constants", "datasets.config"):
        if module in sys.modules:
            sys.modules[module].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
