"""`python -m cola_sweep` is `cola-sweep`."""

import sys

from cola_sweep.cli import entry

sys.exit(entry())
