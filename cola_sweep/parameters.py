"""One parameter of a search space: its distribution, read from a sweep file as W&B reads it.

>>> read_parameter({"min": 1, "max": 8}, ("layers",), []).distribution
'int_uniform'

Imports nothing of ours but the error. The distributions are those of W&B's sweep schema.
"""

import difflib
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from cola_sweep.errors import UserError

LINEAR = frozenset({"int_uniform", "uniform", "q_uniform"})
EXPONENT = frozenset({"log_uniform", "q_log_uniform", "inv_log_uniform"})
LOG_VALUES = frozenset({"log_uniform_values", "q_log_uniform_values", "inv_log_uniform_values"})
BOUNDED = LINEAR | EXPONENT | LOG_VALUES
NORMAL = frozenset({"normal", "q_normal", "log_normal", "q_log_normal"})
BETA = frozenset({"beta", "q_beta"})
DISTRIBUTIONS = BOUNDED | NORMAL | BETA | {"constant", "categorical"}
# W&B's schema has a second name for values with probabilities.
ALIASES = {"categorical_w_probabilities": "categorical"}
NUMBERS = ("min", "max", "mu", "sigma", "q", "a", "b")
KEYS = frozenset({"distribution", "value", "values", "probabilities", "parameters", *NUMBERS})

# exp(20) is 4.9e8: no bound of a log_uniform is larger, so a larger one is a value and not an exponent.
LARGEST_EXPONENT = 20
# exp(-700) is 1e-304, next to the smallest float.
SMALLEST_EXPONENT = -700
# What YAML 1.1 reads as text although everyone reads it as a number.
EXPONENT_TEXT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
# One of these makes a mapping a range; {a: 1, b: 2} may be two settings.
_TELLING = frozenset({"distribution", "value", "values", "min", "max", "mu", "sigma"})


@dataclass(frozen=True)
class Finding:
    """Something a sweep file says that will not do what it seems to; a note is said of what could not be looked up."""

    severity: Literal["error", "warning", "note"]
    where: str
    got: object
    rule: str
    fix: str

    def __str__(self) -> str:
        return str(UserError(self.where, got=self.got, rule=self.rule, fix=self.fix))


@dataclass(frozen=True)
class Parameter:
    """A leaf of the parameters tree.

    Attributes:
        path: keys from the top: `("lr",)`, or `("optimizer", "lr")` for a nested one.
        distribution: one of `DISTRIBUTIONS`.
        values: the choices of `categorical`, the one of `constant`.
        probabilities: one per value, or empty for equal ones.
        min, max: bounds, both included; exponents of e for `log_uniform`, `inv_log_uniform` and `q_log_uniform`.
        mu, sigma: of the normals; of the logarithm for `log_normal`.
        q: step of the `q_*` distributions; a whole number makes whole values.
        a, b: shape of `beta`.
    """

    path: tuple[str, ...]
    distribution: str
    values: tuple[Any, ...] = ()
    probabilities: tuple[float, ...] = ()
    min: float = 0.0
    max: float = 1.0
    mu: float = 0.0
    sigma: float = 1.0
    q: float = 1
    a: float = 1.0
    b: float = 1.0

    # These are asked for once per trial and cell of a grid, so they are worked out once.

    @cached_property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)

    @cached_property
    def options(self) -> tuple[Any, ...]:
        """The distinct values of a constant or categorical parameter that can be drawn."""
        weights = self.probabilities or (1.0,) * len(self.values)
        return tuple({canonical(v): v for v, w in zip(self.values, weights, strict=True) if w > 0}.values())

    @cached_property
    def places(self) -> dict[str, int]:
        """Index in `options` by canonical text."""
        return {canonical(value): i for i, value in enumerate(self.options)}

    @cached_property
    def steps(self) -> range | None:
        """The whole numbers k of `int_uniform`, or those whose k q lies within the bounds; None elsewhere."""
        if self.distribution == "int_uniform":
            return range(int(self.min), int(self.max) + 1)
        if not (self.distribution.startswith("q_") and self.distribution in BOUNDED):
            return None
        low, high = bounds(self)
        # A bound that is a multiple but for rounding counts as one.
        return range(math.ceil(low / self.q - 1e-9), math.floor(high / self.q + 1e-9) + 1)


def near(word: object, known: Iterable[str], otherwise: str) -> str:
    """The fix of what is likely a misspelling: what it is nearest to."""
    found = difflib.get_close_matches(str(word).lower(), known, n=1)
    return f"did you mean {found[0]}?" if found else otherwise


# Made once: `json.dumps` would make one a call, and a search asks some thousand times a trial.
_CANONICAL = json.JSONEncoder(sort_keys=True)


def canonical(value: Any) -> str:
    """One text per JSON value: 5 and 5.0 differ, the order of keys does not count."""
    return _CANONICAL.encode(value)


def is_range(value: Any) -> bool:
    """Whether a value is meant as a parameter's constraints, be they right or wrong."""
    return isinstance(value, Mapping) and bool(_TELLING & value.keys())


def read_parameter(entry: Any, path: tuple[str, ...], warnings: list[Finding]) -> Parameter:
    """Read the constraints of the parameter at `path`; what is doubtful but legal is added to `warnings`.

    Raises:
        UserError: the constraints are incomplete, contradictory, or name no distribution.
    """
    where = "parameters." + ".".join(path)
    if not isinstance(entry, Mapping):
        raise UserError(where, got=entry, rule="must be a mapping", fix=f"write {path[-1]}: {_meant(entry)}")
    for key in entry:
        if key not in KEYS:
            rule = f"must be one of {', '.join(sorted(KEYS))}"
            nest = isinstance(entry[key], Mapping)
            fix = f"nest it: {path[-1]}: {{parameters: {{{key}: ...}}}}" if nest else near(key, KEYS, "correct the key")
            raise UserError(f"{where}.{key}", got=entry[key], rule=rule, fix=fix)
    kind = _distribution(entry, where)
    for key in sorted(entry.keys() - _used(kind)):
        rule = f"a parameter that is {kind} does not use it"
        warnings.append(Finding("warning", f"{where}.{key}", entry[key], rule, "remove it, or what it contradicts"))
    if kind == "constant":
        return Parameter(path, kind, values=(_single(entry, where, warnings),))
    if kind == "categorical":
        return _categorical(entry, path, where, warnings)
    given: dict[str, Any] = {k: _number(entry[k], f"{where}.{k}", warnings) for k in NUMBERS if k in entry}
    if kind in BOUNDED:
        _check_bounds(kind, given, where)
    for key, least in (("sigma", 0), ("q", 0), ("a", 0), ("b", 0)):
        if key in given and not given[key] > least:
            raise UserError(f"{where}.{key}", got=given[key], rule="must be above 0", fix=f"write {key}: 1")
    for key, value in given.items():
        if kind == "int_uniform" and isinstance(value, float):
            rule, fix = "W&B takes whole numbers without a point here", f"write {key}: {value:.0f}"
            warnings.append(Finding("warning", f"{where}.{key}", value, rule, fix))
    parameter = Parameter(path, kind, **given)
    # Beyond `sys.maxsize` nothing counts steps, and of those without bounds no more is asked than a number.
    most = sys.maxsize if kind in BOUNDED else sys.float_info.max
    if kind.startswith("q_") and not 2 * _largest(parameter) / parameter.q < most:
        raise UserError(f"{where}.q", got=parameter.q, rule="is too small for values so large", fix="raise q")
    if kind == "int_uniform" and parameter.max - parameter.min >= sys.maxsize:
        raise UserError(f"{where}.max", got=parameter.max, rule="must be less than 2^63 above min", fix="lower max")
    if parameter.steps is not None and not parameter.steps:
        raise UserError(f"{where}.q", got=parameter.q, rule="must have a multiple between min and max", fix="lower q")
    return parameter


def bounds(parameter: Parameter) -> tuple[float, float]:
    """Smallest and largest value of a bounded distribution, before rounding to steps of q."""
    low, high = parameter.min, parameter.max
    if parameter.distribution in ("log_uniform", "q_log_uniform"):
        return math.exp(low), math.exp(high)
    if parameter.distribution == "inv_log_uniform":  # log(1/X) lies between min and max
        return math.exp(-high), math.exp(-low)
    return low, high


def _largest(parameter: Parameter) -> float:
    """A number that no value is far beyond."""
    if parameter.distribution in BOUNDED:
        return max(map(abs, bounds(parameter)))
    far = abs(parameter.mu) + 10 * parameter.sigma
    return math.exp(min(far, 700)) if "log" in parameter.distribution else far


def _used(kind: str) -> set[str]:
    """The keys that a distribution reads."""
    steps = {"q"} if kind.startswith("q_") else set()
    shape = {"min", "max"} if kind in BOUNDED else {"mu", "sigma"} if kind in NORMAL else {"a", "b"}
    if kind in ("constant", "categorical"):
        shape = {"value"} if kind == "constant" else {"values", "probabilities"}
    return {"distribution"} | shape | steps


def _meant(entry: Any) -> str:
    """What was likely meant by a parameter that is no mapping."""
    if isinstance(entry, list):
        return f"{{values: {entry}}}"
    if isinstance(entry, str) and EXPONENT_TEXT.fullmatch(entry):
        entry = _dotted(entry)
    return "{value: ...}" if entry is None else f"{{value: {entry}}}"


def _distribution(entry: Mapping[str, Any], where: str) -> str:
    named = entry.get("distribution")
    if named is not None:
        if not isinstance(named, str) or ALIASES.get(named, named) not in DISTRIBUTIONS:
            rule = f"must be one of {', '.join(sorted(DISTRIBUTIONS))}"
            fix = near(named, DISTRIBUTIONS, "correct the name")
            raise UserError(f"{where}.distribution", got=named, rule=rule, fix=fix)
        return ALIASES.get(named, named)
    if "value" in entry:
        return "constant"
    if "values" in entry:
        return "categorical"
    if "min" in entry and "max" in entry:
        whole = all(type(entry[key]) is int for key in ("min", "max"))
        return "int_uniform" if whole else "uniform"
    if {"mu", "sigma"} & entry.keys():
        return "normal"
    raise UserError(where, got=dict(entry), rule="must say what to try", fix="give value, values, or min and max")


def _single(entry: Mapping[str, Any], where: str, warnings: list[Finding]) -> Any:
    if "value" not in entry:
        raise UserError(f"{where}.value", rule="a constant needs a value", fix="add value")
    _warn_of_text(entry["value"], f"{where}.value", warnings)
    return entry["value"]


def _categorical(entry: Mapping[str, Any], path: tuple[str, ...], where: str, warnings: list[Finding]) -> Parameter:
    values, weights = entry.get("values"), entry.get("probabilities")
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}.values", got=values, rule="must be a list with at least one value", fix="add values")
    for i, value in enumerate(values):
        _warn_of_text(value, f"{where}.values[{i}]", warnings)
    if weights is None:
        return Parameter(path, "categorical", values=tuple(values))
    where = f"{where}.probabilities"
    if not isinstance(weights, list) or len(weights) != len(values):
        raise UserError(
            where, got=weights, rule=f"must be {len(values)} numbers, one per value", fix="give one for each"
        )
    numbers = tuple(float(_number(w, f"{where}[{i}]", warnings)) for i, w in enumerate(weights))
    if min(numbers) < 0 or abs(sum(numbers) - 1) > 1e-6:
        fix = "divide each by their sum" if min(numbers) >= 0 else "leave out the value instead"
        raise UserError(where, got=weights, rule=f"must not be negative and sum to 1, not {sum(numbers):g}", fix=fix)
    return Parameter(path, "categorical", values=tuple(values), probabilities=numbers)


def _check_bounds(kind: str, given: Mapping[str, float], where: str) -> None:
    for key in ("min", "max"):
        if key not in given:
            raise UserError(f"{where}.{key}", rule=f"{kind} needs min and max", fix=f"add {key}")
    low, high = given["min"], given["max"]
    if low > high:
        raise UserError(f"{where}.min", got=low, rule=f"must not be above max, {high}", fix="swap them")
    if kind == "int_uniform" and not (float(low).is_integer() and float(high).is_integer()):
        raise UserError(where, got=[low, high], rule="int_uniform needs whole bounds", fix="use distribution: uniform")
    if kind in LOG_VALUES and low <= 0:
        raise UserError(f"{where}.min", got=low, rule="must be above 0 on a log scale", fix="write for example 1.0e-6")
    if kind in EXPONENT and low < SMALLEST_EXPONENT:
        raise UserError(
            f"{where}.min", got=low, rule="is an exponent of e, and so low that it gives 0", fix="write -12"
        )
    # Two positive bounds below 1 would be a range within a factor of e: those are values too.
    if kind in EXPONENT and (high > LARGEST_EXPONENT or 0 < low <= high < 1):
        rule = f"bounds of {kind} are exponents of e, and these look like values"
        raise UserError(where, got=[low, high], rule=rule, fix=f"use distribution: {kind}_values")


def _number(value: Any, where: str, warnings: list[Finding]) -> float:
    """A finite number; an int stays one. Text that reads as a number is taken, with a warning."""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            warnings.append(_text_warning(value, where))
            return number
    # The comparison, unlike math.isfinite, takes ints of any length.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise UserError(where, got=value, rule="must be a finite number", fix="write for example 1.0e-5")
    return value


def _warn_of_text(value: Any, where: str, warnings: list[Finding]) -> None:
    """Of a text that everyone reads as a number, in a mapping or list too; but for ranges, which have a reading."""
    if isinstance(value, str) and EXPONENT_TEXT.fullmatch(value):
        warnings.append(_text_warning(value, where))
    elif isinstance(value, Mapping) and not is_range(value):
        for key, member in value.items():
            _warn_of_text(member, f"{where}.{key}", warnings)
    elif isinstance(value, list):
        for i, member in enumerate(value):
            _warn_of_text(member, f"{where}[{i}]", warnings)


def _text_warning(value: str, where: str) -> Finding:
    return Finding("warning", where, value, "YAML reads this as text", f"write {_dotted(value)}")


def _dotted(text: str) -> str:
    """The number in `text` as YAML 1.1 reads a float: with a point, and a sign in the exponent."""
    mantissa, mark, exponent = text.lower().partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{mark}{exponent if exponent[:1] in '+-' else '+' + exponent}"
