"""Lists: pages of any size give the whole list, once, in order."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.graphql import Refused
from cola_sweep.server.listing import listing


@dataclass(frozen=True)
class Row:
    id: int
    name: str | None
    size: int


names = st.none() | st.sampled_from(["a", "b", "c"])
rows = st.lists(st.tuples(names, st.integers(0, 3))).map(lambda each: [Row(i, *row) for i, row in enumerate(each)])
orders = st.sampled_from(["name", "+name", "-name", "size", "-size", "id", "-id"])


def listed(items: list[Row], **args: Any) -> dict[str, Any]:
    return listing(items, args, key=lambda row: row.id, fields=lambda row: {"name": row.name, "size": row.size})


@given(rows, orders, st.integers(1, 4), st.booleans())
def test_pages_make_up_the_whole_list(items: list[Row], order: str, first: int, delete_shown: bool) -> None:
    whole = [edge["node"] for edge in listed(items, order=order)["edges"]]
    seen: list[Row] = []
    after, more = None, True
    while more:
        left = [row for row in items if row not in seen] if delete_shown else items
        page = listed(left, order=order, first=first, after=after)
        assert page["totalCount"] == len(left)
        seen += [edge["node"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == whole


@given(rows, orders)
def test_the_order_is_by_value_then_id_and_what_has_none_is_last(items: list[Row], order: str) -> None:
    found = [edge["node"] for edge in listed(items, order=order)["edges"]]
    field, down = order.lstrip("+-"), order.startswith("-")
    have = [row for row in items if getattr(row, field) is not None]
    have.sort(key=lambda row: getattr(row, field), reverse=down)
    have = [
        row for value in dict.fromkeys(getattr(r, field) for r in have) for row in items if getattr(row, field) == value
    ]
    assert found == have + [row for row in items if getattr(row, field) is None]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (None, [0, 1, 2]),
        ('{"name": "a"}', [0]),
        ('{"name": {"$regex": "^[ab]"}, "size": {"$gt": 1}}', [1]),
        ('{"$or": [{"size": 1}, {"name": null}]}', [0, 2]),
        ('{"$not": {"name": "a"}}', [1, 2]),
        ('{"unknown": 1}', []),
    ],
)
def test_filters_name_the_records_fields(filters: str | None, found: list[int]) -> None:
    items = [Row(0, "a", 1), Row(1, "b", 2), Row(2, None, 3)]
    assert [edge["node"].id for edge in listed(items, filters=filters)["edges"]] == found


@pytest.mark.parametrize(
    "args",
    [{"filters": "{"}, {"filters": '{"name": {"$what": 1}}'}, {"after": "x"}, {"after": "W10="}, {"after": "MQ=="}],
)
def test_what_cannot_be_understood_is_refused(args: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        listed([Row(0, "a", 1)], **args)
