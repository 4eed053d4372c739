"""Every value has its place in the cube, and what is drawn there is a value."""

import random
from typing import Any

import numpy as np
import pytest

from cola_sweep.parameters import canonical
from cola_sweep.points import free_point, nested
from cola_sweep.server.search import placed
from cola_sweep.server.search.cube import cube
from cola_sweep.space import SweepSpec, read_mapping

SPACE: dict[str, Any] = {
    "constant": {"value": 7},
    "labels": {"values": ["a", True, None, 3]},
    "numbers": {"values": [64, 8, 16.5]},
    "whole": {"min": -2, "max": 3},
    "many": {"min": 0, "max": 10**18},
    "uniform": {"min": -2.5, "max": 3.5},
    "steps": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1},
    "log": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-2},
    "exponent": {"distribution": "log_uniform", "min": -9.2, "max": -2.3},
    "q_log": {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8},
    "normal": {"distribution": "normal", "mu": 100, "sigma": 1},
    "beta": {"distribution": "q_beta", "a": 2, "b": 5, "q": 0.25},
    "nested": {"parameters": {"one": {"values": ["only"]}, "two": {"min": 0.0, "max": 1.0}}},
}


def spec(parameters: dict[str, Any] = SPACE) -> SweepSpec:
    return read_mapping({"method": "bayes", "metric": {"name": "m"}, "parameters": parameters})


def test_a_point_comes_back_from_the_cube() -> None:
    read, dice = spec(), random.Random(0)
    sides = cube(read.parameters)
    assert len(sides.sides) == len(SPACE) - 1, "what has one value is no side"
    drawn = [free_point(read.parameters, set(), dice) for _ in range(50)]
    trials = [placed(read, nested(read.parameters, point), "running") for point in drawn if point]
    shares = sides.of(trials)
    assert shares.min() >= 0
    assert shares.max() <= 1
    for trial, share in zip(trials, shares, strict=True):
        there = placed(read, nested(read.parameters, sides.point(share)), "running")
        assert there.places == pytest.approx(trial.places, rel=1e-9)


def test_numbers_are_in_their_order_and_labels_in_none() -> None:
    read = spec({"n": {"values": [64, 8, 16.5]}, "l": {"values": [64, "8", 16.5]}})
    sides = cube(read.parameters)
    assert [side.label for side in sides.sides] == [False, True]
    trials = [placed(read, {"n": n, "l": 64}, "running") for n in (8, 16.5, 64)]
    assert sides.of(trials)[:, 0].tolist() == [0, 0.5, 1]


def test_what_is_drawn_lies_in_the_space() -> None:
    read, dice = spec(), np.random.default_rng(0)
    sides = cube(read.parameters)
    points = sides.anywhere(50, dice)
    near = [sides.near(point, spread, 10, dice) for point in points[:10] for spread in (1e-6, 0.1, 3.0)]
    for share in np.concatenate([points, *near]):
        point = sides.point(share)
        trial = placed(read, nested(read.parameters, point), "running")
        assert trial.point is not None
        assert canonical(trial.point) == canonical(point)
        there = [(side.parameter, where) for side, where in zip(sides.sides, sides.of([trial])[0], strict=True)]
        for (parameter, where), drawn in zip(there, share, strict=True):
            assert where == pytest.approx(drawn, abs=1e-8) or parameter.name in ("q_log", "beta"), "which round to q"


def test_near_means_near_and_yet_another_cell() -> None:
    read = spec({"whole": {"min": 0, "max": 100}, "real": {"min": 0.0, "max": 1.0}, "label": {"values": ["a", "b"]}})
    sides, dice = cube(read.parameters), np.random.default_rng(0)
    center = np.array([0.5, 0.5, 0.0])
    points = sides.near(center, 1e-4, 200, dice)
    whole, real, label = (np.abs(points - center) > 0).mean(0)
    assert np.abs(points - center)[:, 0].max() == pytest.approx(0.01), "a step at least, and no more"
    assert np.abs(points - center)[:, 1].max() < 0.002
    assert whole == pytest.approx(2 / 3, abs=0.1)
    assert real == pytest.approx(2 / 3, abs=0.1)
    assert label == pytest.approx(0.1, abs=0.07)
