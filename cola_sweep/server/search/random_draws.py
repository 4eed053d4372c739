"""Random search: independent draws; in a finite space no point twice, until all are taken. Pure."""

import random

from cola_sweep.points import free_point, nested
from cola_sweep.server.search.trials import Suggestion
from cola_sweep.space import SweepSpec


def next_draw(spec: SweepSpec, done: set[str], dice: random.Random) -> Suggestion | None:
    """A point whose key is not in `done`, or None if a finite space has no more."""
    point = free_point(spec.parameters, done, dice)
    return Suggestion(nested(spec.parameters, point), "random draw") if point is not None else None
