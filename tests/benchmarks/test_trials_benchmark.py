"""The arithmetic of the benchmark of trials; its parts check themselves that what was to be warm was."""

from tests.benchmarks.trials import compared, spans


def test_a_span_is_in_seconds_and_cpu_seconds_with_the_clients_counted_in() -> None:
    trial = {"moments": {"spawn": [100.0, -0.25], "program": [100.5, 0.5], "step": [102.0, 1.5]}}
    assert spans([trial], "spawn", "program") == [(0.5, 0.75)]
    assert spans([trial], "program", "step") == [(1.5, 1.0)]


def test_a_row_holds_both_medians() -> None:
    row = compared("x", [(9.0, 8.0), (7.0, 6.0), (8.0, 7.0)], [(1.0, 0.5)])
    assert row.got == "  8.00 s ( 7.00) cold,   1.00 s ( 0.50) warm"
