"""The set a parameter's values come from: how many, which, a random one, where one lies on its axis. Pure.

Values are JSON values of the right type: whole numbers stay ints, floats floats, and steps of q = 0.1
are 0.3 and not 0.30000000000000004.
"""

import math
import random
from decimal import Decimal
from statistics import NormalDist
from typing import Any

from cola_sweep.parameters import BETA, BOUNDED, Parameter, bounds, canonical

# Quantiles stay so far from 0 and 1, where a normal has no value: within 6 standard deviations.
_EDGE = 1e-9


def size(parameter: Parameter) -> int | None:
    """How many values the parameter has, or None if there is no end of them."""
    if parameter.values:
        return len(parameter.options)
    steps = parameter.steps
    return None if steps is None else len(steps)


def option(parameter: Parameter, index: int) -> Any:
    """The value at `index`, from 0, of a parameter that has a size."""
    if parameter.values:
        return parameter.options[index]
    steps = parameter.steps
    assert steps is not None
    return step_value(parameter, steps[index])


def step_value(parameter: Parameter, k: int) -> int | float:
    """k steps: k itself for `int_uniform`, else k q."""
    if parameter.distribution == "int_uniform" or (parameter.q == 1 and isinstance(parameter.q, int)):
        return k
    if isinstance(parameter.q, int):
        return k * parameter.q
    return float(Decimal(repr(parameter.q)) * k)


def draw(parameter: Parameter, dice: random.Random) -> Any:
    """A random value, by the parameter's distribution."""
    kind = parameter.distribution
    if parameter.probabilities:
        return dice.choices(parameter.values, parameter.probabilities)[0]
    if parameter.values:
        return dice.choice(parameter.options)
    if kind in ("int_uniform", "q_uniform"):
        steps = parameter.steps
        assert steps is not None
        return step_value(parameter, dice.choice(steps))
    if kind == "uniform":
        return float(dice.uniform(parameter.min, parameter.max))
    if kind in BOUNDED:
        low, high = bounds(parameter)
        return rounded(parameter, math.exp(dice.uniform(math.log(low), math.log(high))))
    return value_at(parameter, dice.random())


def value_at(parameter: Parameter, quantile: float) -> int | float:
    """The value below which a share `quantile` of a normal, log-normal or beta distribution lies."""
    quantile = min(max(quantile, _EDGE), 1 - _EDGE)
    if parameter.distribution in BETA:
        from scipy.special import betaincinv  # type: ignore[import-untyped]  # imported late: beta alone needs it

        return rounded(parameter, float(betaincinv(parameter.a, parameter.b, quantile)))
    value = NormalDist(parameter.mu, parameter.sigma).inv_cdf(quantile)
    # exp(700) is 1e304: beyond it a float ends.
    return rounded(parameter, math.exp(min(value, 700)) if "log" in parameter.distribution else value)


def quantile_of(parameter: Parameter, value: float) -> float:
    """The inverse of `value_at`, but for rounding to steps of q."""
    if parameter.distribution in BETA:
        from scipy.special import betainc

        return float(betainc(parameter.a, parameter.b, min(max(value, 0.0), 1.0)))
    if "log" in parameter.distribution:
        value = math.log(value) if value > 0 else -math.inf
    return NormalDist(parameter.mu, parameter.sigma).cdf(value)


def rounded(parameter: Parameter, value: float) -> int | float:
    """The nearest value that the parameter can have: within its bounds, and a step of q where it has one."""
    if parameter.distribution in BOUNDED:
        low, high = bounds(parameter)
        value = min(max(value, low), high)
    if parameter.distribution.startswith("q_"):
        k = round(value / parameter.q)
        steps = parameter.steps
        return step_value(parameter, k if steps is None else min(max(k, steps[0]), steps[-1]))
    return float(value)


def place(parameter: Parameter, value: Any) -> int | float:
    """Where a value lies on the axis that is searched: its index, its step, its quantile, or itself."""
    kind = parameter.distribution
    if parameter.values:
        return parameter.places[canonical(value)]
    if kind == "int_uniform":
        return int(value)
    if kind == "q_uniform":
        return round(value / parameter.q)
    if kind not in BOUNDED:
        return min(max(quantile_of(parameter, value), 0.0), 1.0)
    low, high = bounds(parameter)  # a step of q may lie outside by a rounding error
    return min(max(value, low), high)


def at(parameter: Parameter, place: int | float) -> Any:
    """The value at a place: the inverse of `place`, but for rounding to steps of q."""
    kind = parameter.distribution
    if parameter.values:
        return parameter.options[int(place)]
    if kind in ("int_uniform", "q_uniform"):
        return step_value(parameter, int(place))
    if kind not in BOUNDED:
        return value_at(parameter, place)
    return rounded(parameter, place)


def fit(parameter: Parameter, value: Any) -> tuple[Any] | None:
    """`value` as the parameter would have issued it, in a tuple; None if it could not have."""
    if parameter.values:
        place = parameter.places.get(canonical(value))
        if place is not None:
            return (parameter.options[place],)
        same_kind = [c for c in parameter.options if isinstance(c, bool) == isinstance(value, bool) and c == value]
        return (same_kind[0],) if same_kind else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if parameter.distribution in BOUNDED:
        low, high = bounds(parameter)
        slack = 1e-9 * max(abs(low), abs(high))  # for steps of q at the ends
        if not low - slack <= value <= high + slack:
            return None
    if parameter.distribution == "int_uniform":
        return (int(value),) if float(value).is_integer() else None
    return (rounded(parameter, value) if parameter.distribution.startswith("q_") else float(value),)
