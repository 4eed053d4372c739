"""Spaces of which each choice has other parameters."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep import points
from cola_sweep.branches import Branch, expand, plain
from cola_sweep.errors import UserError
from cola_sweep.parameters import Finding, Parameter, is_range, read_parameter
from cola_sweep.space import read_mapping

RATE = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-4}
OURS = {"engine": "optuna", "source": "/anywhere/cola_sweep/study.py", "search_space": "space", "optimizer": "study"}


def space(**entries: Any) -> list[Parameter]:
    return [read_parameter(entry, (name,), []) for name, entry in entries.items()]


def expanded(**entries: Any) -> tuple[Branch, ...]:
    return expand(space(**entries), [])


def test_each_value_brings_its_own_ranges_beside_what_all_have() -> None:
    first, second = expanded(
        encoder={"values": [{"name": "a", "lr": RATE}, {"name": "b", "head": {"dropout": {"values": [0, 1]}}}]},
        seed={"values": [1, 2]},
    )
    assert {name: (p.name, p.distribution) for name, p in first.members.items()} == {
        "encoder.values[0].name": ("encoder.name", "constant"),
        "encoder.values[0].lr": ("encoder.lr", "log_uniform_values"),
        "seed": ("seed", "categorical"),
    }
    assert list(second.members) == ["encoder.values[1].name", "encoder.values[1].head.dropout", "seed"]
    assert second.choices["encoder"]["name"] == "b"
    nested = points.nested(second.space, ("b", 1, 2))
    assert nested == {"encoder": {"name": "b", "head": {"dropout": 1}}, "seed": 2}


def test_two_such_parameters_make_every_pair_and_a_value_may_be_without() -> None:
    found = expanded(
        a={"values": [None, {"x": {"min": 1, "max": 3}}]}, b={"values": [{"y": {"values": [1, 2]}}, {"y": 3}]}
    )
    assert [list(branch.members) for branch in found] == [
        ["a.values[0]", "b.values[0].y"],
        ["a.values[0]", "b.values[1].y"],
        ["a.values[1].x", "b.values[0].y"],
        ["a.values[1].x", "b.values[1].y"],
    ]
    assert [points.count(branch.space) for branch in found] == [2, 1, 6, 3]


def test_values_that_cannot_be_drawn_or_stand_twice_are_no_branches() -> None:
    values = [{"lr": RATE}, {"lr": 1.0}, {"lr": RATE}, {"lr": 2.0}]
    found = expanded(cell={"values": values, "probabilities": [0.5, 0.0, 0.25, 0.25]})
    assert [list(branch.members) for branch in found] == [["cell.values[0].lr"], ["cell.values[3].lr"]]


@pytest.mark.parametrize(
    ("value", "expected"), [(RATE, True), ({"min": 1}, True), ({"a": 1, "b": 2}, False), ({}, False), (["min"], False)]
)
def test_what_is_a_range(value: Any, expected: bool) -> None:
    assert is_range(value) is expected


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        ({"min": 1.0}, "lr"),
        ({**RATE, "max": 1e-6}, "lr.min"),
        ({"min": 0.1, "mx": 0.2}, "lr.mx"),
        ({"values": []}, "lr.values"),
    ],
)
def test_a_wrong_range_is_named_by_its_key_path(entry: Any, where: str) -> None:
    with pytest.raises(UserError) as caught:
        expanded(encoder={"values": [{"lr": RATE}, {"lr": entry}]})
    assert caught.value.where == f"parameters.encoder.values[1].{where}"


def test_text_numbers_in_a_range_are_warned_of() -> None:
    warnings: list[Finding] = []
    expand(space(encoder={"values": [{"lr": {"values": ["1e-5", "2e-5"]}}]}), warnings)
    assert [finding.where for finding in warnings] == [f"parameters.encoder.values[0].lr.values[{i}]" for i in (0, 1)]


def test_only_our_study_reads_ranges_in_values() -> None:
    sweep = {"method": "random", "parameters": {"augment": {"values": [{"min": 0.1, "max": 0.5}, {"min": 0.2}]}}}
    assert read_mapping(sweep).branches == (plain(read_mapping(sweep).parameters),)
    other = {**sweep, "scheduler": {**OURS, "source": "mine/study.py"}}
    assert len(read_mapping(other).branches) == 1
    with pytest.raises(UserError, match=r"parameters\.augment\.values\[1\]: got .*must say what to try"):
        read_mapping({**sweep, "scheduler": OURS})


LEAVES = st.sampled_from([1, "x", None, RATE, {"values": [1, 2]}, {"min": 1, "max": 3}])
VALUES = st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("pqr"), inner, min_size=1), max_leaves=4)


@given(st.dictionaries(st.sampled_from("ABC"), st.lists(VALUES, min_size=1, max_size=3), min_size=1))
@settings(max_examples=50, deadline=None)
def test_a_name_means_one_parameter_and_no_path_stands_twice(entries: dict[str, list[Any]]) -> None:
    found = expanded(**{name: {"values": values} for name, values in entries.items()})
    names: dict[str, Parameter] = {}
    for branch in found:
        assert len({member.path for member in branch.space}) == len(branch.members)
        for name, member in branch.members.items():
            assert names.setdefault(name, member) == member
    assert len({tuple(branch.members) for branch in found}) == len(found), "no two branches have the same members"
