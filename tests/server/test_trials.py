"""What a search knows of a trial."""

import json
from typing import Any

import pytest

from cola_sweep.server import trials


@pytest.mark.parametrize(
    ("summary", "goal", "expected"),
    [
        ({"m": 3}, "maximize", 3.0),
        ({"m": {"max": 5, "min": 1}}, "maximize", 5.0),
        ({"m": {"max": 5, "min": 1}}, "minimize", 1.0),
        ({"m": {"best": 2, "last": 1}}, "minimize", 2.0),
        ({"m": {"count": 2}}, "minimize", None),
        ({"m": float("nan")}, "maximize", None),
        ({"m": "NaN"}, "maximize", None),
        ({"m": True}, "maximize", None),
        ({}, "maximize", None),
    ],
)
def test_the_metric_is_read_at_its_best_epoch(summary: dict[str, Any], goal: Any, expected: float | None) -> None:
    assert trials.metric_value(json.dumps(summary), trials.Metric("m", goal)) == expected
