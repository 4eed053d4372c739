"""What agents on other machines share: their command, their environment, and how a machine's own process starts them.

On the far side `cola-sweep agents --on local` runs as a process of its own, in a copy of this package that is installed
there or on a shared file system. The API key travels in the environment, never on a command line. Imports of ours
connection and the error.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from cola_sweep.errors import UserError

# What the far side is told; all else of its environment is its own, such as PATH and its devices.
TOLD = ("WANDB_", "COLA_SWEEP_", "HF_")
# Of this machine alone: the client's service process, and the socket of a warm server.
OWN = ("WANDB_SERVICE", "COLA_SWEEP_WARM")
# The kernel stops the agents and their trials when whoever started them is gone, as it would on a machine that is
# taken away: with SIGTERM.
LAUNCH = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", "cola_sweep", *sys.argv[2:]])
"""


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What agents elsewhere must know of `env`: the server's address, the key, and the user's settings."""
    from wandb.sdk.lib import wbauth

    from cola_sweep.connection import server_address

    told = {name: value for name, value in env.items() if name.startswith(TOLD) and name not in OWN}
    told["WANDB_BASE_URL"] = server_address()
    if "WANDB_API_KEY" not in told:
        known = wbauth.authenticate_session(
            host=told["WANDB_BASE_URL"], source="agents", prompt=False, update_session=False
        )
        if isinstance(known, wbauth.AuthApiKey):
            told["WANDB_API_KEY"] = known.api_key
    return told


def require_reachable(address: str) -> None:
    """Raises: UserError: no other machine can reach this address."""
    host = urlsplit(address).hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1":
        raise UserError(
            "WANDB_BASE_URL", got=address, rule="other machines cannot reach it",
            fix="start the server with --host and --allow-remote (docs/scale.md), or use W&B's own",
        )  # fmt: skip


def words(sweep: str, *, n: int | None = 1, per_device: int | None, count: int | None, cold: bool) -> list[str]:
    """The command of the agents that one far machine, or part of it, runs."""
    flags = {"--n": n, "--per-device": per_device, "--count": count}
    given = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    return ["agents", sweep, *given, *(["--cold"] if cold else [])]


def start(command: Sequence[str], env: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start `words` here, on the far side; it is stopped when the thread that calls this ends."""
    launch = [sys.executable, "-c", LAUNCH, str(os.getpid()), *command]
    own = {name: value for name, value in os.environ.items() if name not in OWN}
    return subprocess.Popen(launch, env={**own, **env}, stdin=subprocess.DEVNULL)
