"""Grid search: every cell exactly once, in order. Pure.

A cell whose run started counts as tried however it ended, as on W&B; one whose run never started is
issued again (see `trials.ATTEMPTS`).
"""

from functools import lru_cache

from cola_sweep.parameters import canonical
from cola_sweep.points import cell, count, nested
from cola_sweep.server.search.trials import Suggestion
from cola_sweep.space import SweepSpec


def next_cell(spec: SweepSpec, done: set[str]) -> Suggestion | None:
    """The first cell whose key is not in `done`, or None."""
    total = count(spec.parameters)
    assert total is not None, "space.read_mapping refuses grids without end"
    keys = _keys(repr(spec.parameters))
    for index in range(total):
        if index == len(keys):
            keys.append(canonical(cell(spec.parameters, index)))
        if keys[index] not in done:
            point = cell(spec.parameters, index)
            return Suggestion(nested(spec.parameters, point), f"grid cell {index + 1} of {total}")
    return None


@lru_cache(maxsize=64)
def _keys(space: str) -> list[str]:
    """The keys of a grid's cells as far as they were asked for: to work all out for each answer takes too long.

    Args:
        space: its parameters as a text, for spaces that differ in 1 and 1.0 alone are equal.
    """
    return []
