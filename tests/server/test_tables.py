"""Tables out of their JSON: read, sorted, joined, and refused where they are none."""

import pytest

from cola_sweep.server import tables
from cola_sweep.server.tables import BadTable, Table


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "no columns"),
        (b'{"columns": ["a"], "data": [[1, 2]]}', "not the 1 cells"),
        (b'{"columns": ["a"], "data": [1]}', "not the 1 cells"),
    ],
)
def test_what_is_no_table_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(BadTable, match=why):
        tables.parse(content)


def test_cells_of_all_kinds_have_an_order() -> None:
    cells = [3, "b", None, float("nan"), float("inf"), -1.5, "A", True, [2]]
    table = Table(("a",), [[cell] for cell in cells])
    up = [row[0] for row in tables.view(table, sort="a").rows]
    assert up[:4] == [-1.5, True, 3, float("inf")]
    assert up[4:7] == [[2], "A", "b"]
    down = [row[0] for row in tables.view(table, sort="a", down=True).rows]
    assert down[:7] == up[:7][::-1]
    assert {str(cell) for cell in down[7:]} == {"None", "nan"}


def test_parts_of_other_columns_are_not_joined() -> None:
    with pytest.raises(BadTable, match="different columns"):
        tables.joined([Table(("a",), []), Table(("b",), [])])
    with pytest.raises(BadTable, match="none of its parts"):
        tables.joined([])


def test_tables_are_joined_as_the_client_says() -> None:
    one, other = Table(("id", "a"), [[1, "x"], [2, "y"]]), Table(("key", "b"), [[2, "u"], [2, "v"], [3, "w"]])
    found = tables.beside(one, other, "id", "key")
    assert found.columns == ("0.id", "0.a", "1.key", "1.b")
    assert found.rows == [[1, "x", None, None], [2, "y", 2, "u"], [2, "y", 2, "v"], [None, None, 3, "w"]]
    with pytest.raises(BadTable, match="'b' and 'b'"):
        tables.beside(one, other, "b", "b")
