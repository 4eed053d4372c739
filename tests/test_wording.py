"""Numbers as a report writes them."""

import numpy as np
import pandas as pd
import pytest

from cola_sweep import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5.35e-5, "5.35e-5"), (0.0001, "1e-4"), (32.0, "32"), (0.1, "0.1"), (0, "0"), (True, "True"), ("a", "a"),
        (np.int64(16), "16"), (None, "–"), (pd.NA, "–"), (float("nan"), "–"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_settings_are_short(value: object, text: str) -> None:
    assert wording.show_value(value) == text


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (0.3119, "", "0.312"), (0.3119, "+", "+0.312"), (-0.02, "+", "−0.020"), (0.0, "+", "+0.000"), (1, "", "1.000"),
        (2.5e-7, "", "2.5e-7"), (2.5e-7, "+", "+2.5e-7"), (123456.0, "", "123456"), (None, "", "–"),
    ],
)  # fmt: skip
def test_metrics_have_three_decimals_where_these_say_something(value: float | None, sign: str, text: str) -> None:
    assert wording.show_metric(value, sign) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.44, "8.4 s"), (83, "83 s"), (1200, "20 min"), (9000, "2.5 h"), (None, "–")]
)
def test_durations_have_their_unit(seconds: float | None, text: str) -> None:
    assert wording.show_duration(seconds) == text


@pytest.mark.parametrize(("p", "text"), [(0.0, "< 0.001"), (0.0314, "0.031"), (0.5, "0.5"), (1.0, "1")])
def test_a_p_value_is_never_zero(p: float, text: str) -> None:
    assert wording.show_p(p) == text


def test_one_of_something_is_singular() -> None:
    assert wording.count(1, "run") == "1 run"
    assert wording.count(1043, "sentence") == "1,043 sentences"
    assert wording.count(2, "more is", "more are") == "2 more are"


def test_an_interval_that_is_not_there_is_a_dash() -> None:
    assert wording.show_range(float("nan"), float("nan")) == "–"
    assert wording.show_range(-0.01, 0.02, "+") == "−0.010 to +0.020"


def test_lists_end_with_and() -> None:
    assert wording.listed(["a"]) == "a"
    assert wording.listed(["a", "b", "c"]) == "a, b and c"


def test_a_lead_is_said_in_words() -> None:
    assert wording.show_lead(0.0221) == "higher by 0.022 than"
    assert wording.show_lead(-0.0221) == "lower by 0.022 than"
    assert wording.show_lead(0.0) == "equal to"
