"""A trial that trains nothing: logs rows whose values are known, with the stock client, and goes wrong as it is told.

The sweep's parameters: `cell`, its number; `rows`, how many it logs; `pause`, seconds between; `ends`, how the cells
end, in turn: see `ENDS`.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cola_sweep import warm
from cola_sweep.endings import memory_failures

METRIC = "valid/mcc"
FAULT = "COLA_SWEEP_DRILL_FAULT"  # in the environment of a machine on which no trial comes to its first step


def value(cell: int, step: int) -> float:
    """What a trial of that cell logs at that step."""
    return (cell * 1009 + step * 31) % 997 / 997


def forks(run: Any) -> None:
    """Leaves a child behind that would stay for an hour."""
    if os.fork() == 0:
        time.sleep(3600)
        os._exit(0)


def prints(run: Any) -> None:
    """Says `megabytes` to the console, lines of 1,000 letters."""
    line = "x" * 999 + "\n"
    for _ in range(run.config["megabytes"]):
        sys.stdout.write(line * 1000)


def hangs(run: Any) -> None:
    """Does not listen to SIGTERM either."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(24 * 3600)  # longer than any drill: a gigabyte of console can take more than an hour


def takes_memory(run: Any) -> None:
    """Asks for more than it may have."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
    with memory_failures("2**34 bytes"):
        bytearray(2**34)


def logs_nan(run: Any) -> None:
    """And nothing else."""
    run.log({METRIC: float("nan"), "infinite": float("-inf")})


def fails(run: Any) -> None:
    raise RuntimeError("as it was told")


def fails_once(run: Any) -> None:
    """Well, when its cell is tried again."""
    tried = Path(run.config["folder"], f"tried{run.config['cell']}")
    if not tried.exists():
        tried.touch()
        fails(run)


ENDS: dict[str, Callable[[Any], None]] = {
    "well": lambda run: None,
    "forks": forks,
    "prints": prints,
    "hangs": hangs,
    "takes memory": takes_memory,
    "logs NaN": logs_nan,
    "fails": fails,
    "fails once": fails_once,
}


def main() -> None:
    if warm.VARIABLE in os.environ:
        warm.hand_over()
    import wandb

    with wandb.init() as run:
        if FAULT in os.environ:
            run.summary["failure"] = "ImportError: no such library"
            sys.exit(1)
        ending = run.config["ends"][run.config["cell"] % len(run.config["ends"])]
        if ending == "logs nothing":
            return
        for step in range(0 if ending == "logs NaN" else run.config["rows"]):
            run.log({METRIC: value(run.config["cell"], step)})
            time.sleep(run.config["pause"])
        try:
            ENDS[ending](run)
        except Exception as error:
            run.summary["failure"] = f"{type(error).__name__}: {error}"  # where this project's own trials say it
            raise


if __name__ == "__main__":
    main()
