"""Filters in Mongo's words, orders, and what an index may answer of them."""

import json
import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.query import BadQuery, matches, order_key, parse_filter, parse_order, pushed_down, value_at

VIEW = {
    "name": "abc",
    "display_name": "calm-owl-1",
    "state": "finished",
    "job_type": "train",
    "sweep": "s1",
    "tags": ["base", "v1.2"],
    "created_at": "2026-11-23T12:00:00.000000",
    "config": {
        "lr": {"value": 0.1},
        "opt": {"value": {"name": "adam", "betas.first": 0.9}},
        "a.b": {"value": 1},
        "plain": 7,
    },
    "summary_metrics": {"loss": 0.5, "valid/mcc": {"max": 0.6, "last": 0.4}, "x.y": 1, "x": {"y": 2, "z": 3}},
    "keys_info": {"keys": {"loss": {}}},
}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ({}, True),
        ({"state": "finished"}, True),
        ({"state": "running"}, False),
        ({"state": {"$ne": "running"}}, True),
        ({"state": {"$in": ["running", "finished"]}}, True),
        ({"state": {"$nin": ["running", "finished"]}}, False),
        ({"state": {"$not": {"$eq": "finished"}}}, False),
        ({"displayName": {"$regex": "^calm"}}, True),
        ({"display_name": {"$regex": "owl$"}}, False),
        ({"jobType": "train", "sweep": "s1"}, True),
        ({"tags": "base"}, True),
        ({"tags": "bas"}, False),
        ({"tags": {"$in": ["other", "base"]}}, True),
        ({"tags": {"$nin": ["base"]}}, False),
        ({"tags": {"$ne": "base"}}, False),
        ({"tags.v1.2": True}, True),
        ({"tags.other": True}, False),
        ({"created_at": {"$gte": "2026-11-23", "$lt": "2026-11-24"}}, True),
        ({"config.lr": 0.1}, True),
        ({"config.lr.value": 0.1}, True),
        ({"config.lr": {"$lt": 0.1}}, False),
        ({"config.lr": {"$lte": 0.1}}, True),
        ({"config.lr": {"$gt": "0"}}, False),
        ({"config.opt.name": "adam"}, True),
        ({"config.opt.value.name": "adam"}, True),
        ({"config.opt.betas.first": 0.9}, True),
        ({"config.a.b": 1}, True),
        ({"config.plain": 7}, True),
        ({"config.none": {"$exists": False}}, True),
        ({"config.none": None}, True),
        ({"config.none": {"$ne": 3}}, True),
        ({"config.lr": {"$exists": True}}, True),
        ({"summary_metrics.x.y": 1}, True),
        ({"summaryMetrics.x.z": 3}, True),
        ({"summary_metrics.valid/mcc.max": {"$gt": 0.5}}, True),
        ({"keys_info.keys.loss": {"$exists": True}}, True),
        ({"$or": [{"state": "running"}, {"config.lr": 0.1}]}, True),
        ({"$and": [{"state": "finished"}, {"config.lr": 3}]}, False),
        ({"$nor": [{"state": "running"}, {"config.lr": 3}]}, True),
        ({"$not": {"state": "finished"}}, False),
        ({"no_such_root": {"$exists": True}}, False),
    ],
)
def test_a_filter_is_judged_as_mongo_does(condition: dict[str, Any], wanted: bool) -> None:
    assert matches(condition, VIEW) is wanted


def test_a_truth_value_is_not_the_number_one() -> None:
    assert not matches({"config.flag": 1}, {"config": {"flag": {"value": True}}})
    assert matches({"config.flag": True}, {"config": {"flag": {"value": True}}})


@pytest.mark.parametrize(
    "condition",
    [
        {"state": {"$near": 1}},
        {"$xor": []},
        {"$and": {"state": "x"}},
        {"state": {"$in": "running"}},
        {"name": {"$regex": "("}},
        {"name": {"$regex": ["a"]}},
        {"name": {"$regex": "a" * 1001}},
        {"$not": 3},
    ],
)
def test_what_cannot_be_understood_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(BadQuery):
        matches(condition, {})


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_a_filter_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(BadQuery):
        parse_filter(text)


@pytest.mark.parametrize("text", [None, "", "{}", "null"])
def test_no_filter_lets_everything_through(text: str | None) -> None:
    assert matches(parse_filter(text), VIEW)


def test_the_longest_flat_key_goes_first() -> None:
    assert value_at({"summary_metrics": {"a.b": {"c": 1}, "a": {"b": {"c": 2}}}}, "summary_metrics.a.b.c") == 1


@pytest.mark.parametrize(
    ("order", "value"),
    [
        ("-summary_metrics.valid/mcc", 0.6),
        ("+summary_metrics.valid/mcc", 0.4),
        ("summaryMetrics.loss", 0.5),
        ("+config.lr.value", 0.1),
        ("-config.lr", 0.1),
        ("+createdAt", "2026-11-23T12:00:00.000000"),
        (None, "2026-11-23T12:00:00.000000"),
        ("-tags", "base,v1.2"),
        ("+summary_metrics.x", None),
        ("+summary_metrics.none", None),
    ],
)
def test_what_a_run_is_ordered_by(order: str | None, value: Any) -> None:
    assert parse_order(order).value(VIEW) == value


@pytest.mark.parametrize("sign", ["+", "-"])
def test_a_summary_object_with_one_member_is_ordered_by_it(sign: str) -> None:
    assert parse_order(f"{sign}summary_metrics.m").value({"summary_metrics": {"m": {"min": 0.2}}}) == 0.2


@pytest.mark.parametrize(("sign", "first"), [("+", 1), ("-", 9)])
def test_runs_without_a_value_and_nan_are_last_in_both_directions(sign: str, first: int) -> None:
    values: list[Any] = [math.nan, None, 1, 9, "NaN"]
    views = [{"summary_metrics": {} if value is None else {"m": value}} for value in values]
    ordered = sorted(views, key=order_key(f"{sign}summary_metrics.m"))
    assert [view["summary_metrics"].get("m") for view in ordered][:2] == [first, 10 - first]


def test_infinities_are_numbers_however_they_are_written() -> None:
    views = [{"summary_metrics": {"m": value}} for value in ("Infinity", 3, -math.inf)]
    ordered = sorted(views, key=order_key("-summary_metrics.m"))
    assert [view["summary_metrics"]["m"] for view in ordered] == ["Infinity", 3, -math.inf]


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(st.lists(VALUES, max_size=12), st.sampled_from("+-"))
def test_any_values_have_a_total_order_that_a_cursor_keeps(values: list[Any], sign: str) -> None:
    order = parse_order(f"{sign}summary_metrics.m")
    found = [order.value({"summary_metrics": {"m": value}}) for value in values]
    ranks = sorted(order.rank(value) for value in found)
    for before, after in pairwise(ranks):
        assert not after < before
        assert (before < after) is not (before == after)
    assert [order.rank(json.loads(json.dumps(value))) for value in found] == [order.rank(value) for value in found]


@pytest.mark.parametrize(
    ("condition", "only", "whole"),
    [
        ({}, {}, True),
        ({"sweep": "s1"}, {"sweep": {"s1"}}, True),
        ({"$and": [{"sweep": "s1"}]}, {"sweep": {"s1"}}, True),
        ({"$and": [{"sweep": "s1"}, {"config.lr": 1}]}, {"sweep": {"s1"}}, False),
        ({"name": {"$in": ["a", "b"]}, "state": {"$eq": "running"}}, {"name": {"a", "b"}, "state": {"running"}}, True),
        ({"state": "a", "$and": [{"state": {"$in": ["a", "b"]}}]}, {"state": {"a"}}, True),
        ({"$or": [{"sweep": "s1"}]}, {}, False),
        ({"sweep": None}, {}, False),
        ({"state": {"$ne": "running"}}, {}, False),
        ({"name": {"$in": ["a"], "$ne": "a"}}, {}, False),
    ],
)
def test_what_an_index_answers_of_a_filter(condition: dict[str, Any], only: dict[str, Any], whole: bool) -> None:
    assert pushed_down(condition) == (only, whole)
