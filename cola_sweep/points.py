"""Points of a search space: one value per parameter. Pure.

Of a finite space they are numbered cells: cell 0 has every parameter's first value, the last parameter turns
fastest. The embedded server's search and the studies of `wandb sweep-scheduler` both walk these.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from cola_sweep import domains
from cola_sweep.parameters import Parameter, canonical

# One value per parameter, in the order of the specification.
Point = tuple[Any, ...]
Space = Sequence[Parameter]

# Draws before a free cell is sought in order: enough unless nearly all of the space, or of its probability, is taken.
_TRIES = 64


def count(space: Space) -> int | None:
    """How many points the space has, or None if there is no end of them."""
    sizes = [domains.size(parameter) for parameter in space]
    return math.prod(size for size in sizes if size) if None not in sizes else None


def cell(space: Space, index: int) -> Point:
    """The point of cell `index` of a finite space."""
    values = []
    for parameter in reversed(space):
        size = domains.size(parameter)
        assert size
        index, place = divmod(index, size)
        values.append(domains.option(parameter, place))
    return tuple(reversed(values))


def free_point(space: Space, done: set[str], dice: random.Random) -> Point | None:
    """A random point whose canonical text is not in `done`; None if there is none."""
    total = count(space)
    if total is not None and len(done) >= total:
        return None
    for _ in range(_TRIES):
        point = tuple(domains.draw(parameter, dice) for parameter in space)
        if canonical(point) not in done:
            return point
    if total is None:
        return point
    start = dice.randrange(total)
    for offset in range(len(done) + 1):  # of so many cells one at least is free
        point = cell(space, (start + offset) % total)
        if canonical(point) not in done:
            return point
    raise AssertionError("a finite space has more points than were taken, and none is free")


def nested(space: Space, point: Point) -> dict[str, Any]:
    """The arguments of a point."""
    params: dict[str, Any] = {}
    for parameter, value in zip(space, point, strict=True):
        node = params
        for key in parameter.path[:-1]:
            node = node.setdefault(key, {})
        node[parameter.path[-1]] = value
    return params


def point_of(space: Space, params: Mapping[str, Any]) -> Point | None:
    """The point of these arguments, or None if a parameter is missing or outside its space.

    Values of another type that are equal (5 for 5.0) become the space's own.
    """
    values = []
    for parameter in space:
        found, value = lookup(params, parameter)
        fitted = domains.fit(parameter, value) if found else None
        if fitted is None:
            return None
        values.append(fitted[0])
    return tuple(values)


def lookup(params: Mapping[str, Any], parameter: Parameter) -> tuple[bool, Any]:
    """Whether the arguments have the parameter, and its value."""
    node: Any = params
    for key in parameter.path:
        if not isinstance(node, Mapping) or key not in node:
            return False, None
        node = node[key]
    return True, node
