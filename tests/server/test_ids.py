"""Opaque ids."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server import ids
from cola_sweep.server.graphql import Refused

VERY_LONG = b64encode(f"Run:{'9' * 5000}".encode()).decode()


@given(st.sampled_from(["Run", "Project", "Sweep"]), st.integers(0, 2**63 - 1))
def test_an_id_reads_back(kind: str, number: int) -> None:
    assert ids.decode(ids.encode(kind, number), kind) == number


@given(st.text() | st.none() | st.integers())
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(Refused):
        ids.decode(text, "Run")


@pytest.mark.parametrize(
    "text",
    [
        ids.encode("Sweep", 1),
        ids.encode("Run", -1),
        ids.encode("Run", 2**63),
        "UnVuOg==",
        "UnVuOjE",
        "UnVuOsKy",
        VERY_LONG,
    ],
)
def test_an_id_of_another_kind_or_of_no_row_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        ids.decode(text, "Run")
