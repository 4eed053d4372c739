"""Random search: independent draws; in a finite space no point twice, until all are taken. Pure."""

import random

from cola_sweep.parameters import canonical
from cola_sweep.server.search import cells, domains
from cola_sweep.server.search.trials import Point, Suggestion, Trial, nested, taken
from cola_sweep.space import SweepSpec

# Draws before a free cell is sought in order: enough unless nearly all of the space, or of its probability, is taken.
_TRIES = 64


def next_draw(spec: SweepSpec, trials: list[Trial], dice: random.Random) -> Suggestion | None:
    """A point that no trial has, or None if a finite space has no more."""
    point = free_point(spec, taken(trials), dice)
    return Suggestion(nested(spec, point), "random draw") if point is not None else None


def free_point(spec: SweepSpec, done: set[str], dice: random.Random) -> Point | None:
    """A random point that is not in `done`; None if there is none."""
    total = cells.count(spec)
    if total is not None and len(done) >= total:
        return None
    for _ in range(_TRIES):
        point = tuple(domains.draw(parameter, dice) for parameter in spec.parameters)
        if canonical(point) not in done:
            return point
    if total is None:
        return point
    start = dice.randrange(total)
    for offset in range(len(done) + 1):  # of so many cells one at least is free
        point = cells.point(spec, (start + offset) % total)
        if canonical(point) not in done:
            return point
    raise AssertionError("a finite space has more points than were taken, and none is free")
