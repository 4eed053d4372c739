"""The process knows what it was told, looks where more may be had, and survives any values."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erfcx

from cola_sweep.server.search.gaussian import Array, Process, known, log_gain

NUMBER = np.array([False])


def taught(
    points: list[float], values: list[float], pending: Sequence[float] = (), failed: Sequence[float] = ()
) -> Process:
    told, later, never = (np.array(column, dtype=float)[:, None] for column in (points, pending, failed))
    return known(told, np.array(values), later, never, NUMBER, np.random.default_rng(0))


def best(process: Process) -> float:
    shares = np.linspace(0, 1, 101)
    return float(shares[np.argmax(process.log_improvement(shares[:, None]))])


def test_the_expected_gain_is_that_of_a_normal() -> None:
    far = np.linspace(-30, -1e-9, 400)
    density = np.exp(-0.5 * far**2) / math.sqrt(2 * math.pi)
    exact = np.log(density) + np.log1p(far * math.sqrt(math.pi / 2) * erfcx(-far / math.sqrt(2)))
    assert log_gain(far) == pytest.approx(exact, rel=1e-3)
    assert log_gain(np.array([-1e3, 0.0, 40.0])) == pytest.approx([-500014.734, -0.918939, math.log(40)])
    assert (np.diff(log_gain(np.linspace(-50, 50, 5000))) > 0).all()


def test_it_goes_up_and_stays_out_of_where_it_was() -> None:
    rising = taught([0.0, 0.2, 0.4, 0.6], [0.0, 0.2, 0.4, 0.6])
    assert best(rising) > 0.65
    peak = taught([0.0, 0.2, 0.45, 0.55, 0.8, 1.0], [0.0, 0.5, 0.9, 0.9, 0.5, 0.0])
    assert 0.45 < best(peak) < 0.55


def test_what_is_pending_is_not_sought_again_and_what_failed_even_less() -> None:
    points, values = [0.0, 0.2, 0.4, 0.6], [0.0, 0.2, 0.4, 0.6]
    first = best(taught(points, values))
    kinds = taught(points, values), taught(points, values, pending=[first]), taught(points, values, failed=[first])
    new, pending, failed = (float(kind.log_improvement(np.array([[first]]))[0]) for kind in kinds)
    assert failed < pending - 0.5 < new - 1


def test_labels_have_no_order() -> None:
    def gains(names: list[float]) -> Array:
        none = np.empty((0, 2))
        points = np.array([[names[i % 3], i / 9] for i in range(10)])
        process = known(points, np.sin(np.arange(10.0)), none, none, np.array([True, False]), np.random.default_rng(0))
        return process.log_improvement(np.array([[name, 0.3] for name in names]))

    assert gains([0.0, 0.5, 1.0]) == pytest.approx(gains([1.0, 0.0, 0.5]))


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0, 1e-9]), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=20, deadline=None)
def test_any_values_at_any_points_give_finite_answers(told: list[tuple[float, float]]) -> None:
    process = taught([point for point, _ in told], [value for _, value in told], [0.5, 0.5], [0.5])
    assert np.isfinite(process.log_improvement(np.linspace(0, 1, 11)[:, None])).all()
