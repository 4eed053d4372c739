"""Grid search: every cell exactly once, in order. Pure.

A cell whose run started counts as tried however it ended, as on W&B; one whose run never started is
issued again (see `trials.ATTEMPTS`).
"""

from cola_sweep.parameters import canonical
from cola_sweep.points import cell, count, nested
from cola_sweep.server.search.trials import Suggestion, Trial, taken
from cola_sweep.space import SweepSpec


def next_cell(spec: SweepSpec, trials: list[Trial]) -> Suggestion | None:
    """The first cell that no trial has, or None."""
    total = count(spec.parameters)
    assert total is not None, "space.read_mapping refuses grids without end"
    done = taken(trials)
    for index in range(total):
        point = cell(spec.parameters, index)
        if canonical(point) not in done:
            return Suggestion(nested(spec.parameters, point), f"grid cell {index + 1} of {total}")
    return None
