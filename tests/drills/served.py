"""A server for drills: `python -m tests.drills.served FOLDER`, whose clock a drill can set and who is less patient.

The file `clock` in FOLDER, if it is there, holds the seconds by which this server's clock is wrong. The limits of
`states` are a few seconds instead of minutes, so that a drill sees them pass.
"""

import sys
import time
from pathlib import Path

# Seconds, in proportion to the real ones, but for the first: an idle client is heard each 30 s.
RUN_SILENCE, AGENT_SILENCE, START_LIMIT = 35.0, 10.0, 12.0
TICK_SECONDS = 1.0


def shifted(folder: Path, real: float) -> float:
    try:
        return real + float((folder / "clock").read_text() or 0)
    except FileNotFoundError:
        return real


def main() -> None:
    folder, real = Path(sys.argv[1]), time.time
    time.time = lambda: shifted(folder, real())  # before anyone takes it
    from cola_sweep.server import app, process, states

    states.RUN_SILENCE, states.AGENT_SILENCE, states.START_LIMIT = RUN_SILENCE, AGENT_SILENCE, START_LIMIT
    app.TICK_SECONDS = TICK_SECONDS
    process.run(process.Options(folder, port=0, search_seed=0))


if __name__ == "__main__":
    main()
