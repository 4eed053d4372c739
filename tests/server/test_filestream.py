"""What a running client posts, and what is left of it."""

import json
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.server import filestream
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import HttpRefusal
from cola_sweep.server.store import Store, projects, runs, shared_lines, streams
from cola_sweep.server.store.runs import Run
from tests.server.conftest import Clock


def post(context: Context, body: Any, name: str = "r1") -> dict[str, Any]:
    return filestream.receive(context, "ada", "p", name, body)


def lines(name: str, offset: int, *content: Any) -> dict[str, Any]:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in content]
    return {"files": {name: {"offset": offset, "content": texts}}}


def history(offset: int, *rows: Any) -> dict[str, Any]:
    return lines("wandb-history.jsonl", offset, *rows)


def stored(context: Context, name: str = "r1") -> Run:
    run = runs.find(context.store, "ada", "p", name)
    assert run is not None
    return run


@pytest.fixture
def run(context: Context) -> Run:
    project = projects.ensure(context.store, "ada", "p")
    return runs.create(context.store, project.id, "r1", state="pending", display_name="calm-owl-1")


def test_history_is_kept_and_what_is_known_of_it_follows(context: Context, run: Run) -> None:
    assert post(context, history(0, {"_step": 0, "loss": 2}, {"_step": 3, "loss": 1})) == {"stopped": False}
    run = stored(context)
    assert streams.history_rows(context.store, run.id) == [{"_step": 0, "loss": 2}, {"_step": 3, "loss": 1}]
    assert (run.history_lines, run.last_step, run.state) == (2, 3, "running")
    assert json.loads(run.keys_json)["loss"] == {"types": {"number": 2}, "monotonic": False, "last": 1}


def test_nan_and_infinities_are_kept(context: Context, run: Run) -> None:
    post(context, history(0, '{"_step":0,"loss":NaN}', '{"_step":1,"loss":-Infinity}', '{"_step":2,"other":1}'))
    values = streams.history_values(context.store, run.id, "loss")
    assert [(step, str(value)) for step, value in values] == [(0, "nan"), (1, "-inf")]


def test_a_number_beyond_any_float_is_infinite(context: Context, run: Run) -> None:
    row = f'{{"_step": 0, "loss": -1{"0" * 400}, "id": "{"7" * 400}"}}'
    post(context, history(0, row))
    post(context, lines("wandb-summary.json", 0, row))
    post(context, lines("wandb-events.jsonl", 0, row))
    kept = {"_step": 0, "loss": float("-inf"), "id": "7" * 400}
    assert streams.history_rows(context.store, stored(context).id) == [kept]
    assert json.loads(stored(context).summary_json) == json.loads(stored(context).system_json) == kept


def test_a_summary_replaces_the_one_before_whatever_its_offset(context: Context, run: Run) -> None:
    post(context, lines("wandb-summary.json", 0, {"loss": 1, "old": 1}))
    post(context, lines("wandb-summary.json", 7, '{"loss": NaN}'))
    assert stored(context).summary_json == '{"loss": NaN}'


def test_system_metrics_show_the_newest_value_of_each(context: Context, run: Run) -> None:
    post(context, lines("wandb-events.jsonl", 0, {"system.cpu": 1, "system.gpu": 5}, {"system.cpu": 2}))
    post(context, lines("wandb-events.jsonl", 2, {"system.cpu": 3}))
    assert json.loads(stored(context).system_json) == {"system.cpu": 3, "system.gpu": 5}


def test_console_lines_are_rewritten(context: Context, run: Run) -> None:
    post(context, lines("output.log", 0, "2026-11-23T12:00:00 10%", "2026-11-23T12:00:01 next"))
    post(context, lines("output.log", 0, "2026-11-23T12:00:02 100%"))
    assert streams.console(context.store, run.id, first=9) == [
        (0, "2026-11-23T12:00:02 100%"),
        (1, "2026-11-23T12:00:01 next"),
    ]
    assert stored(context).console_lines == 2


@pytest.mark.parametrize(("exitcode", "state"), [(0, "finished"), (1, "failed"), (130, "failed")])
def test_the_end_is_told_by_the_exit_code(context: Context, run: Run, exitcode: int, state: str) -> None:
    post(context, {"complete": True, "exitcode": exitcode})
    run = stored(context)
    assert (run.state, run.exitcode, run.finished_at) == (state, exitcode, context.store.now())


def test_a_run_that_speaks_again_runs_again(context: Context, run: Run) -> None:
    post(context, {"complete": True, "exitcode": 1})
    post(context, {})
    run = stored(context)
    assert (run.state, run.exitcode, run.finished_at) == ("running", None, None)


def test_a_preempting_run_stays_so_until_its_end(context: Context, run: Run) -> None:
    post(context, {"preempting": True})
    post(context, {})
    assert stored(context).state == "preempting"
    post(context, {"complete": True, "exitcode": 0})
    assert stored(context).state == "finished"


def test_an_empty_request_is_a_sign_of_life(context: Context, run: Run, clock: Clock) -> None:
    clock.advance(60)
    post(context, {})
    assert stored(context).heartbeat_at == context.store.now()


def test_a_run_that_shall_stop_is_told(context: Context, run: Run) -> None:
    runs.request_stop(context.store, run.id, "why")
    assert post(context, {}) == {"stopped": True}


@pytest.mark.parametrize("name", ["other", ""])
def test_an_unknown_run_is_404(context: Context, run: Run, name: str) -> None:
    with pytest.raises(HttpRefusal) as refusal:
        post(context, {}, name)
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"files": []},
        {"files": {"wandb-history.jsonl": []}},
        {"exitcode": "no"},
        {"exitcode": 2**63, "complete": True},
        lines("wandb-history.jsonl", -1, {"a": 1}),
        {"files": {"wandb-history.jsonl": {"offset": "0", "content": ["{}"]}}},
        {"files": {"wandb-history.jsonl": {"offset": 0, "content": [{}]}}},
        history(0, {"a": 1}, '{"a":'),
        history(0, "[1]"),
        history(0, "[" * 100_000),
        lines("wandb-summary.json", 0, "no"),
    ],
)
def test_a_bad_body_is_400_and_nothing_is_kept(context: Context, run: Run, body: Any) -> None:
    if isinstance(body, dict) and isinstance(body.get("files"), dict):
        body["files"]["output.log"] = {"offset": 0, "content": ["first"]}
    with pytest.raises(HttpRefusal) as refusal:
        post(context, body)
    assert refusal.value.status == 400
    assert stored(context) == run


def test_text_that_is_no_unicode_is_replaced_not_refused(context: Context, run: Run) -> None:
    post(context, lines("output.log", 0, "bad \ud800 text"))
    assert streams.console(context.store, run.id, first=1) == [(0, "bad ? text")]


ROWS = st.lists(
    st.fixed_dictionaries({"_step": st.integers(0, 50)}, optional={"loss": st.integers(0, 9), "text": st.text()}),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), rows=ROWS)
def test_any_split_and_repetition_gives_the_same_run(
    data: st.DataObject, rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("streams") / "server.db", clock=lambda: 0.0)
    project = projects.ensure(store, "ada", "p")
    texts = [json.dumps(row) for row in rows]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows)), max_size=3)) | {0, len(rows)})
    parts = list(pairwise(cuts))
    posted = [part for i, part in enumerate(parts) for part in data.draw(st.permutations([parts[i], *parts[:i]]))[:2]]

    def written(name: str, sent: list[tuple[int, int]]) -> dict[str, Any]:
        run = runs.create(store, project.id, name, state="running", display_name=name)
        for begin, end in sent:
            streams.write_lines(store, run.id, "history", begin, texts[begin:end])
            streams.write_lines(store, run.id, "events", begin, texts[begin:end])
        found = vars(runs.get(store, project.id, name))
        kept = ("keys_json", "system_json", "history_lines", "events_lines", "last_step")
        lines = store.all("SELECT line, step, data FROM history WHERE run_id = ? ORDER BY line", (run.id,))
        known = {key: json.loads(found[key]) if key.endswith("_json") else found[key] for key in kept}
        return known | {"lines": [tuple(line) for line in lines]}

    try:
        assert written("split", [*posted, *parts]) == written("whole", [(0, len(rows))])
    finally:
        store.close()


def test_processes_that_share_a_run_keep_all_their_lines(context: Context, run: Run) -> None:
    one, two = replace(context, writer="one"), replace(context, writer="two")
    post(one, history(0, {"_step": 0, "a": 1}, {"_step": 1, "a": 2}) | {"complete": False})
    post(two, history(0, {"_step": 0, "b": 1}))
    post(one, history(1, {"_step": 1, "a": 2}, {"_step": 2, "a": 3}))  # its line 1 comes again
    assert streams.history_rows(context.store, run.id) == [
        {"_step": 0, "a": 1},
        {"_step": 1, "a": 2},
        {"_step": 2, "b": 1},
        {"_step": 3, "a": 3},
    ]
    post(one, lines("output.log", 0, "one 1%", "one next"))
    post(two, lines("output.log", 0, "two"))
    post(one, lines("output.log", 0, "one 100%"))
    assert [text for _, text in streams.console(context.store, run.id, first=9)] == ["one 100%", "one next", "two"]
    post(one, lines("wandb-summary.json", 0, {"a": 3, "_step": 2}))
    post(two, lines("wandb-summary.json", 0, {"b": 1, "_step": 0}))
    assert json.loads(stored(context).summary_json) == {"a": 3, "b": 1, "_step": 3}
    post(one, {"complete": True, "exitcode": 0})
    post(two, {})
    assert stored(context).state == "finished"


POSTS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6), st.integers(1, 4)), min_size=1, max_size=12)


@settings(max_examples=30, deadline=None)
@given(posts=POSTS)
def test_no_interleaving_of_shared_lines_loses_one(
    posts: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("shared") / "server.db", clock=lambda: 0.0)
    project = projects.ensure(store, "ada", "p")
    run = runs.create(store, project.id, "r1", state="running", display_name="calm-owl-1")
    sent = []
    try:
        for writer, offset, count in posts:
            texts = [f"{writer} {offset + i}" for i in range(count)]
            sent += texts
            now = runs.by_id(store, run.id) or run
            for piece in shared_lines.placed(store, now, writer, streams.chunk("console", offset, texts)):
                streams.write(store, run.id, piece)
        kept = streams.console(store, run.id, first=1000)
    finally:
        store.close()
    assert kept == list(enumerate(dict.fromkeys(sent)))
