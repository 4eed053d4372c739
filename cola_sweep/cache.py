"""Where this project keeps what can be made again: below the user's cache folder, never in the repository.

Imports nothing of ours.
"""

import os
from pathlib import Path


def cache_folder(*names: str) -> Path:
    """`$COLA_SWEEP_CACHE/NAMES`, by default `cola-sweep/NAMES` in XDG's cache folder; it need not exist.

    XDG's is https://specifications.freedesktop.org/basedir-spec, ~/.cache where nothing else is said.
    """
    xdg = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("COLA_SWEEP_CACHE") or Path(xdg, "cola-sweep"), *names)
