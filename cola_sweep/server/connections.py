"""Relay connections: `edges{node cursor} pageInfo{endCursor hasNextPage}`. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def page(items: Sequence[T], first: int | None, cursor: Callable[[T], str], *, more: bool = False) -> dict[str, Any]:
    """The first `first` (all if None) of the items that follow the client's cursor.

    Args:
        more: whether others follow `items`.
    """
    shown = items if first is None else items[: max(first, 0)]
    edges = [{"node": item, "cursor": cursor(item)} for item in shown]
    info = {
        "__typename": "PageInfo",
        "endCursor": edges[-1]["cursor"] if edges else None,
        "hasNextPage": more or len(shown) < len(items),
    }
    return {"edges": edges, "pageInfo": info}
