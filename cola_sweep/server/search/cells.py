"""Finite spaces as numbered cells: cell 0 has every parameter's first value, the last parameter turns fastest. Pure."""

import math

from cola_sweep.server.search import domains
from cola_sweep.server.search.trials import Point
from cola_sweep.space import SweepSpec


def count(spec: SweepSpec) -> int | None:
    """How many points the space has, or None if there is no end of them."""
    sizes = [domains.size(parameter) for parameter in spec.parameters]
    return math.prod(size for size in sizes if size) if None not in sizes else None


def point(spec: SweepSpec, index: int) -> Point:
    """The point of cell `index` of a finite space."""
    values = []
    for parameter in reversed(spec.parameters):
        size = domains.size(parameter)
        assert size
        index, place = divmod(index, size)
        values.append(domains.option(parameter, place))
    return tuple(reversed(values))
