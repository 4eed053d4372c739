"""Filtered, ordered, paged lists of records, for subjects that are read whole. Pure.

A page's cursor holds the place in the order and the id of its last item, not a number of items: a client may delete
what it has just been shown and still get the next.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cola_sweep.server import connections, query, texts
from cola_sweep.server.graphql import Args, Refused, snake_case

T = TypeVar("T")


def listing(
    items: Iterable[T],
    args: Args,
    *,
    key: Callable[[T], int],
    fields: Callable[[T], Mapping[str, Any]],
    order: str = "+id",
) -> Args:
    """A connection of the items that `filters` lets through, in `order`, `first` of them `after` a cursor.

    Args:
        key: an item's number, which settles ties.
        fields: what filters and orders may name, in snake case.
        order: if `args` ask for none.

    Raises:
        Refused: a filter, order or cursor that cannot be understood.
    """
    try:
        condition = _renamed(query.parse_filter(args.get("filters")))
        chosen = query.parse_order(args.get("order") or order)
        chosen = query.Order(_field(chosen.key), chosen.descending)
        views = [(item, {"summary_metrics": {**fields(item), "id": key(item)}}) for item in items]
        found = [(chosen.value(view), key(item), item) for item, view in views if query.matches(condition, view)]
    except query.BadQuery as error:
        raise Refused(str(error)) from None
    found.sort(key=lambda each: (chosen.rank(each[0]), each[1]))
    left = found
    if after := args.get("after"):
        value, number = _place(after)
        left = [each for each in found if (chosen.rank(each[0]), each[1]) > (chosen.rank(value), number)]
    connection = connections.page(left, args.get("first"), lambda each: _cursor(each[0], each[1]))
    edges = [{"node": edge["node"][2], "cursor": edge["cursor"]} for edge in connection["edges"]]
    return {**connection, "edges": edges, "totalCount": len(found)}


def _field(name: str) -> str:
    # `query` knows the fields of runs; those of other records take the place of a run's summary.
    head, dot, path = name.partition(".")
    return f"summary_metrics.{snake_case(head)}{dot}{path}"


def _renamed(condition: Any) -> Any:
    """A filter with its keys, but not its operators and operands, renamed by `_field`."""
    if not isinstance(condition, dict):
        return condition
    renamed = {}
    for name, wanted in condition.items():
        if name in ("$and", "$or", "$nor") and isinstance(wanted, list):
            renamed[name] = [_renamed(part) for part in wanted]
        elif name.startswith("$"):
            renamed[name] = _renamed(wanted)
        else:
            renamed[_field(name)] = wanted
    return renamed


def _cursor(value: Any, number: int) -> str:
    return b64encode(json.dumps([value, number]).encode()).decode()


def _place(cursor: str) -> tuple[Any, int]:
    try:
        value, number = texts.parsed(b64decode(cursor, validate=True))
        return value, int(number)
    except (ValueError, TypeError):
        raise Refused(f"{cursor!r} is not a cursor of this list") from None
