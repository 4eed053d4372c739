import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.server import curves
from cola_sweep.server.curve_cache import CurveCache
from cola_sweep.server.curves import BUCKETS, CLOCKS, Curves, Part
from cola_sweep.server.store import Store, projects, runs, streams

NUMBERS = st.one_of(st.floats(), st.integers(-(10**9), 10**9))


def folded(values: list[float], chunk: int) -> Curves:
    made = Curves(("epoch",))
    rows = [{"_step": i, "loss": value} for i, value in enumerate(values)]
    for begin in range(0, len(rows), chunk):
        made.add(rows[begin : begin + chunk])
    return made


@settings(max_examples=60)
@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(1, 300), st.sampled_from([2, 8, BUCKETS]))
def test_extremes_and_ends_of_every_bucket_are_kept_and_nothing_is_invented(
    values: list[float], chunk: int, buckets: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "BUCKETS", buckets)
        points = folded(values, chunk).part("loss").points()
    found = {int(step): value for step, value, _ in points}
    assert list(found) == sorted(found)
    named = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
    for step, value in found.items():
        assert str(float(named.get(value, value))) == str(float(values[step]))
    assert {0, len(values) - 1} <= set(found)
    width = 1
    while width * buckets < len(values):
        width *= 2
    assert len(found) <= 3 * buckets + 2
    for begin in range(0, len(values), width):
        bucket = range(begin, min(begin + width, len(values)))
        finite = [values[i] for i in bucket if math.isfinite(values[i])]
        kept = [found[i] for i in bucket if i in found and not isinstance(found[i], str)]
        if finite:
            assert (min(kept), max(kept)) == (min(finite), max(finite))
        assert (len(finite) < len(bucket)) <= any(isinstance(found.get(i), str) for i in bucket)


def test_a_long_run_has_about_a_thousand_points_and_loses_no_spike() -> None:
    values = [float(i * 7919 % 1000) for i in range(100_000)]
    values[77_777] = 9000.0
    points = folded(values, 2000).part("loss").points()
    assert 500 < len(points) <= 2 * BUCKETS + 2
    assert (77_777, 9000.0, None) in points


def test_gaps_texts_nested_keys_and_media_are_read_as_what_they_are() -> None:
    made = Curves(("_runtime", "epoch"))
    made.add(
        [
            {"_step": 3, "_runtime": 0.5, "epoch": 0, "a": {"b": 1, "c": {"d": 2}}, "ok": True, "s": "1"},
            {"_step": 5, "_runtime": 0.75, "image": {"_type": "image-file", "width": 4}},
            {"_step": 9, "epoch": 1, "a": {"b": None}, "loss": math.nan, "s": 2},
        ]
    )
    made.add([{"a": {"b": 7}, "s": []}])
    points = {key: made.part(key).points() for key in ("a.b", "a.c.d", "s", "ok", "image.width", "_runtime", "loss")}
    assert points == {
        "a.b": [(3, 1, 0.5, 0), (3, 7, 0.75, 1)],
        "a.c.d": [(3, 2, 0.5, 0)],
        "s": [(9, 2, 0.75, 1)],
        "ok": [],
        "image.width": [],
        "_runtime": [],
        "loss": [(9, "NaN", 0.75, 1)],
    }
    assert made.part("absent") == Part(0, 0, [])


def test_a_whole_number_that_no_float_holds_is_infinite() -> None:
    made = Curves(())
    made.add([{"n": 10**400, "m": 2**1023}, {"n": 0.5, "m": 2**1023}, {"n": -(10**400)}])
    assert made.part("n").points() == [(0, "Infinity"), (1, 0.5), (2, "-Infinity")]
    assert made.part("m").points() == [(0, 2.0**1023), (1, 2.0**1023)]


@settings(max_examples=60)
@given(st.lists(st.lists(NUMBERS, max_size=40), min_size=1, max_size=8), st.sampled_from([2, 8, BUCKETS]))
def test_what_is_new_put_behind_what_was_is_the_whole_curve(chunks: list[list[float]], buckets: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "BUCKETS", buckets)
        known: list[list[curves.Point]] = []
        made, count = Curves(()), 0
        for chunk in chunks:
            made.add([{"loss": value} for value in chunk])
            part = made.part("loss", count)
            count, known = part.count, known[: part.begin] + part.buckets
            assert known == made.part("loss").buckets
    assert count == sum(map(len, chunks))


def test_of_a_long_curve_its_end_alone_is_given_again() -> None:
    made = folded([float(i) for i in range(10_000)], 2000)
    made.add([{"_step": 10_000, "loss": 0.0}])
    new = made.part("loss", 10_000)
    assert (new.count, len(new.buckets)) == (10_001, 1)
    assert len(made.part("loss", new.count).buckets) == 1
    assert made.part("loss", 5_000).begin == 0, "buckets were half as wide"


@pytest.fixture
def run_id(store: Store) -> int:
    project = projects.ensure(store, "me", "p")
    return runs.create(store, project.id, "r", state="running", display_name="r").id


def write(store: Store, run_id: int, offset: int, values: list[float]) -> None:
    lines = [json.dumps({"_step": offset + i, "loss": value}) for i, value in enumerate(values)]
    streams.write_lines(store, run_id, "history", offset, lines)


def values_of(cache: CurveCache, store: Store, run_id: int) -> list[float]:
    return [point[1] for point in cache.draw(store, run_id, "history", {"loss": 0}).parts["loss"].points()]


def test_only_new_lines_of_a_run_are_read(store: Store, run_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = CurveCache()
    write(store, run_id, 0, [3.0, 2.0])
    assert values_of(cache, store, run_id) == [3.0, 2.0]
    write(store, run_id, 2, [1.0])
    parsed: list[Any] = []
    real = json.loads

    def watched(text: str) -> Any:
        parsed.append(real(text))
        return parsed[-1]

    monkeypatch.setattr("cola_sweep.server.curve_cache.json.loads", watched)
    assert values_of(cache, store, run_id) == [3.0, 2.0, 1.0]
    assert [row["loss"] for rows in parsed if isinstance(rows, list) for row in rows] == [1.0]


def test_a_page_is_given_what_is_new_of_the_version_it_has(store: Store, run_id: int) -> None:
    cache = CurveCache()
    write(store, run_id, 0, [3.0, 2.0])
    first = cache.draw(store, run_id, "history", {"loss": 0})
    write(store, run_id, 2, [1.0])

    def begin(version: str) -> int:
        drawn = cache.draw(store, run_id, "history", {"loss": first.parts["loss"].count}, version=version)
        return drawn.parts["loss"].begin

    assert (begin(first.version), begin("another"), begin("")) == (1, 0, 0)
    streams.rewind(store, run_id, 0)
    write(store, run_id, 1, [5.0, 6.0])
    assert begin(first.version) == 0


def test_a_run_that_was_rewound_is_read_anew(store: Store, run_id: int) -> None:
    cache = CurveCache()
    write(store, run_id, 0, [3.0, 2.0, 1.0])
    assert values_of(cache, store, run_id) == [3.0, 2.0, 1.0]
    streams.rewind(store, run_id, 0)
    assert values_of(cache, store, run_id) == [3.0]
    write(store, run_id, 1, [5.0, 6.0, 7.0])
    assert values_of(cache, store, run_id) == [3.0, 5.0, 6.0, 7.0]


def test_a_long_run_is_drawn_from_some_lines_until_all_are_read(
    store: Store, run_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cola_sweep.server.curve_cache.LONG", 50)
    monkeypatch.setattr("cola_sweep.server.curve_cache._SOME", 3)
    cache = CurveCache()

    def some(lines: int) -> list[float] | None:
        found = cache.some(store, run_id, "history", {"loss": 0}, CLOCKS, lines)
        return None if found is None else [point[1] for point in found.parts["loss"].points()]

    write(store, run_id, 0, [float(i) for i in range(101)])
    assert some(101) == [0.0, 50.0, 100.0]
    assert some(49) is None
    assert len(values_of(cache, store, run_id)) == 101
    assert some(101) is None, "all of it is kept"
    write(store, run_id, 101, [7.0] * 50)
    assert some(151) == [0.0, 75.0, 7.0], "much is new"
    streams.write_lines(store, run_id, "events", 0, [json.dumps({"_runtime": i, "cpu": i}) for i in range(100)])
    events = cache.some(store, run_id, "events", {"cpu": 0}, CLOCKS, 100)
    assert events is not None
    assert [point[1] for point in events.parts["cpu"].points()] == [0, 49, 99]


def test_the_curves_asked_for_last_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cola_sweep.server.curve_cache.MOST_POINTS", 8)
    project = projects.ensure(store, "me", "p")
    cache = CurveCache()
    made = [runs.create(store, project.id, name, state="finished", display_name=name).id for name in "abc"]
    for run_id in made:
        write(store, run_id, 0, [1.0, 2.0])
        cache.draw(store, run_id, "history", {})
    assert [run for run, *_ in cache._entries] == made[1:]
