"""Which runs a client asks for and in which order: W&B's filters in Mongo's words, and its `order`. Pure.

A run is given as a *view*: a mapping from roots in snake case (`state`, `config`, `summary_metrics`,
...; see `ROOTS`) to values. A key is a root, or a root and a path in it: `config.lr`,
`summaryMetrics.valid/mcc`.

>>> view = {"state": "finished", "config": {"lr": {"value": 0.1}}, "summary_metrics": {"mcc": {"max": 0.5}}}
>>> matches({"$and": [{"state": "finished"}, {"config.lr": {"$lt": 1}}]}, view)
True
>>> order_key("-summary_metrics.mcc")(view) < order_key("-summary_metrics.mcc")({})
True
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cola_sweep.server import texts
from cola_sweep.server.graphql import snake_case
from cola_sweep.server.paths import MISSING, lookup

View = Mapping[str, Any]
Filter = Mapping[str, Any]

_LONGEST = 1000  # letters of a key that is remembered, and of a pattern
# Roots that hold nested values; every other root is a plain value or, for `tags`, a list.
_NESTED = frozenset({"config", "summary_metrics", "system_metrics", "keys_info"})
ROOTS = _NESTED | {
    "name",
    "display_name",
    "state",
    "group",
    "job_type",
    "sweep",
    "host",
    "username",
    "tags",
    "notes",
    "commit",
    "created_at",
    "updated_at",
    "heartbeat_at",
    "duration",
}
_OTHER_WORDS = {"group_name": "group", "summary": "summary_metrics", "user": "username", "user.username": "username"}

# Of a summary that `define_metric(summary=...)` made an object, the member that an order means.
_ASCENDING_MEMBERS = ("min", "best", "mean", "last", "max")
_DESCENDING_MEMBERS = ("max", "best", "mean", "last", "min")


class BadQuery(ValueError):
    """A filter or an order that cannot be understood."""


def parse_filter(text: str | None) -> Filter:
    """The filter in a `filters` argument.

    Raises:
        BadQuery: not JSON, or not an object.
    """
    if not text:
        return {}
    try:
        value = texts.parsed(text)
    except ValueError as error:
        raise BadQuery(f"filters are not JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise BadQuery(f"filters must be an object, got {text}")
    return value or {}


def matches(condition: Filter, view: View) -> bool:
    """Whether a run fulfils every part of a filter.

    Raises:
        BadQuery: an operator that is not known, or an operand that does not fit it.
    """
    return all(_fulfils(key, wanted, view) for key, wanted in condition.items())


def roots(condition: Filter) -> set[str]:
    """The roots whose values `matches` may ask for."""
    found = set()
    for key, wanted in condition.items():
        if key in ("$and", "$or", "$nor"):
            inner = wanted if isinstance(wanted, list) else []
        else:
            inner = [wanted] if key == "$not" else []
            found.add(split_key(key)[0])
        found = found.union(*(roots(part) for part in inner if isinstance(part, dict)))
    return found & ROOTS


def _fulfils(key: str, wanted: Any, view: View) -> bool:
    if key in ("$and", "$or", "$nor"):
        if not isinstance(wanted, list) or not all(isinstance(part, dict) for part in wanted):
            raise BadQuery(f"{key} needs a list of filters, got {wanted!r}")
        found = [matches(part, view) for part in wanted]
        return all(found) if key == "$and" else any(found) is (key == "$or")
    if key == "$not":
        return not matches(_object(key, wanted), view)
    if key.startswith("$"):
        raise BadQuery(f"unknown operator {key}")
    value = value_at(view, key)
    if isinstance(wanted, dict) and any(operator.startswith("$") for operator in wanted):
        return _tests(value, wanted)
    return _equal(value, wanted)


def _tests(value: Any, operators: Mapping[str, Any]) -> bool:
    return all(_test(value, operator, operand) for operator, operand in operators.items())


def _test(value: Any, operator: str, operand: Any) -> bool:
    match operator:
        case "$eq":
            return _equal(value, operand)
        case "$ne":
            return not _equal(value, operand)
        case "$in" | "$nin":
            if not isinstance(operand, list):
                raise BadQuery(f"{operator} needs a list, got {operand!r}")
            return any(_equal(value, item) for item in operand) is (operator == "$in")
        case "$exists":
            return (value is not MISSING) is bool(operand)
        case "$not":
            return not _tests(value, _object(operator, operand))
        case "$regex":
            if not isinstance(operand, str):
                raise BadQuery(f"$regex needs a text, got {operand!r}")
            pattern = _pattern(operand)
            return any(isinstance(item, str) and pattern.search(item) for item in _items(value))
        case "$gt" | "$gte" | "$lt" | "$lte":
            return any(_compare(item, operator, operand) for item in _items(value))
    raise BadQuery(f"unknown operator {operator}")


def _equal(value: Any, wanted: Any) -> bool:
    """Mongo's equality: null equals what is missing, a scalar equals a list that has it."""
    if wanted is None:
        return value is MISSING or value is None
    if isinstance(value, list) and not isinstance(wanted, list):
        return any(_same(item, wanted) for item in value)
    return _same(value, wanted)


def _same(value: Any, wanted: Any) -> bool:
    # In Python True == 1; in JSON it is not.
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def _compare(value: Any, operator: str, operand: Any) -> bool:
    """Numbers against numbers, texts against texts; anything else is no match."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return False
    both = (value, operand)
    if not (all(isinstance(x, int | float) for x in both) or all(isinstance(x, str) for x in both)):
        return False
    result = {"$gt": value > operand, "$gte": value >= operand, "$lt": value < operand, "$lte": value <= operand}
    return bool(result[operator])


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _object(operator: str, operand: Any) -> Mapping[str, Any]:
    if not isinstance(operand, dict):
        raise BadQuery(f"{operator} needs an object, got {operand!r}")
    return operand


@lru_cache(maxsize=64)
def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > _LONGEST:
        raise BadQuery(f"$regex has more than {_LONGEST} letters")
    try:
        return re.compile(text)
    except re.error as error:
        raise BadQuery(f"$regex {text!r}: {error}") from None


@texts.remembered(256, longest=_LONGEST)
def split_key(key: str) -> tuple[str, str]:
    """The root of a key, in the view's words, and the path in it; one that is no root's is nobody's."""
    head, _, path = key.partition(".")
    root = snake_case(head)
    root = _OTHER_WORDS.get(root, root)
    if root not in ROOTS or (path and root not in _NESTED and root != "tags"):
        root = _OTHER_WORDS.get(key, "")
        path = ""
    return root, path


def value_at(view: View, key: str) -> Any:
    """The value at a filter's key, or `MISSING`."""
    root, path = split_key(key)
    value = view.get(root, MISSING) if root else MISSING
    if not path:
        return MISSING if value is None else value
    if root == "tags":
        return path in value if isinstance(value, list) else MISSING
    return _in_config(value, path) if root == "config" else lookup(value, path)


def _in_config(config: Any, path: str) -> Any:
    """A config value by `lr`, `lr.value`, `optimizer.lr` or `optimizer.value.lr`; each is kept as {"value": v}."""
    found = lookup(config, path)
    if found is MISSING and isinstance(config, dict):
        plain = {key: _unwrapped(value) for key, value in config.items()}
        found = lookup(plain, path)
    return _unwrapped(found)


def _unwrapped(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) and "value" in value else value


@dataclass(frozen=True)
class Order:
    """One key and its direction. Runs without a value come last in both directions."""

    key: str
    descending: bool

    def value(self, view: View) -> Any:
        """What a run is ordered by: a JSON scalar, None where it has no value or NaN."""
        value = value_at(view, self.key)
        if isinstance(value, dict):
            members = _DESCENDING_MEMBERS if self.descending else _ASCENDING_MEMBERS
            value = next((value[member] for member in members if member in value), None)
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if value in ("Infinity", "-Infinity", "NaN"):  # the client's words for them where JSON has none
            value = float(value)
        if not isinstance(value, str | int | float) or (isinstance(value, float) and math.isnan(value)):
            return None
        return value

    def rank(self, value: Any) -> tuple[bool, Any]:
        """The sort key of a `value`: numbers before texts, None last."""
        if value is None:
            return True, _Rank((), False)
        return False, _Rank((isinstance(value, str), value), self.descending)


class _Rank:
    """A value whose order may be turned round, as that of texts cannot by a sign."""

    __slots__ = ("descending", "value")

    def __init__(self, value: tuple[Any, ...], descending: bool) -> None:
        self.value, self.descending = value, descending

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rank) and self.value == other.value

    def __lt__(self, other: "_Rank") -> bool:
        return other.value < self.value if self.descending else self.value < other.value

    __hash__ = None  # type: ignore[assignment]


def parse_order(text: str | None) -> Order:
    """The order in an `order` argument: `+key` or `key` ascending, `-key` descending; by age without one."""
    text = text or "+created_at"
    return Order(text.removeprefix("+").removeprefix("-"), text.startswith("-"))


def order_key(text: str | None) -> Callable[[View], tuple[bool, Any]]:
    """A sort key over views for an `order` argument."""
    order = parse_order(text)
    return lambda view: order.rank(order.value(view))


def pushed_down(condition: Filter) -> tuple[dict[str, Collection[str]], bool]:
    """What an index can answer of a filter: wanted values of `sweep`, `state` and `name`.

    Returns:
        these, all of which must hold; and whether they are the whole filter. If not, `matches` must
        still be asked.
    """
    only: dict[str, Collection[str]] = {}
    whole = True
    found: list[tuple[str, Collection[str]]]
    for key, wanted in condition.items():
        if key == "$and" and isinstance(wanted, list) and all(isinstance(part, dict) for part in wanted):
            parts = [pushed_down(part) for part in wanted]
            whole = whole and all(part_whole for _, part_whole in parts)
            found = [item for part, _ in parts for item in part.items()]
        elif key in ("sweep", "state", "name") and (texts := _texts(wanted)) is not None:
            found = [(key, texts)]
        else:
            whole, found = False, []
        for column, values in found:
            only[column] = set(values) & set(only.get(column, values))
    return only, whole


def _texts(wanted: Any) -> list[str] | None:
    """The texts a condition allows, where it is an equality or a list of them."""
    if isinstance(wanted, dict) and len(wanted) == 1:
        wanted = wanted.get("$in", [wanted["$eq"]] if "$eq" in wanted else None)
    else:
        wanted = [wanted]
    return wanted if isinstance(wanted, list) and all(isinstance(text, str) for text in wanted) else None
