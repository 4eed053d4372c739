"""Reading what a run logged over time."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.console_lines import console_line
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import projects, runs, streams
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.streams import sample

Ask = Callable[..., Any]


@pytest.fixture
def run(context: Context) -> Run:
    project = projects.ensure(context.store, "ada", "p")
    return runs.create(context.store, project.id, "r1", state="running", display_name="calm-owl-1")


@pytest.fixture
def ask(context: Context, run: Run) -> Ask:
    def ask(fields: str, **variables: Any) -> Any:
        names = "".join(f"${name}: Any, " for name in variables)
        text = (
            f'query Q({names}$_: Int) {{ project(entityName: "ada", name: "p") {{ run(name: "r1") {{ {fields} }} }} }}'
        )
        answer = execute(resolvers, text, variables, context=context)
        assert not answer.errors, answer.errors
        assert answer.data is not None
        return answer.data["project"]["run"]

    return ask


def log(context: Context, run: Run, *rows: dict[str, Any], stream: streams.Stream = "history") -> None:
    streams.write_lines(context.store, run.id, stream, 0, [json.dumps(row) for row in rows])


def test_history_is_texts_of_whole_rows_between_steps(ask: Ask, context: Context, run: Run) -> None:
    log(context, run, *({"_step": 2 * i, "loss": i} for i in range(5)))
    found = ask("history(minStep: $low, maxStep: $high, samples: 100)", low=2, high=6)["history"]
    assert [json.loads(text) for text in found] == [{"_step": 2, "loss": 1}, {"_step": 4, "loss": 2}]


def test_fewer_samples_keep_both_ends(ask: Ask, context: Context, run: Run) -> None:
    log(context, run, *({"_step": i} for i in range(100)))
    steps = [json.loads(text)["_step"] for text in ask("history(samples: 5)")["history"]]
    assert steps == [0, 24, 49, 74, 99]
    assert len(ask("history")["history"]) == 100


def test_sampled_history_has_rows_with_all_keys_and_no_others(ask: Ask, context: Context, run: Run) -> None:
    log(
        context,
        run,
        {"_step": 0, "a": 1, "n": {"x.y": 5}, "rest": 0},
        {"_step": 1, "a": 2},
        {"_step": 2, "n": {"x.y": 6}},
        {"_step": 3, "a": None, "n": {"x.y": 7}},
    )
    spec = json.dumps({"keys": ["_step", "a", "n.x.y"], "samples": 10})
    rows = [{"_step": 0, "a": 1, "n.x.y": 5}, {"_step": 3, "a": None, "n.x.y": 7}]
    assert ask("sampledHistory(specs: $specs)", specs=[spec, "{}"])["sampledHistory"][0] == rows


def test_a_bare_spec_is_a_list_of_one(ask: Ask, context: Context, run: Run) -> None:
    log(context, run, {"_step": 0, "a": 1})
    assert ask("sampledHistory(specs: $specs)", specs="{}") == {"sampledHistory": [[{"_step": 0, "a": 1}]]}


def test_both_steps_of_a_spec_are_inclusive(ask: Ask, context: Context, run: Run) -> None:
    log(context, run, *({"_step": i, "a": i} for i in range(6)))
    spec = json.dumps({"keys": ["a"], "minStep": 2, "maxStep": 4})
    assert ask("sampledHistory(specs: [$spec])", spec=spec)["sampledHistory"] == [[{"a": 2}, {"a": 3}, {"a": 4}]]


@pytest.mark.parametrize("spec", ["{", "3", '["a"]'])
def test_a_spec_that_is_no_object_is_refused(context: Context, run: Run, spec: str) -> None:
    text = (
        'query Q($s: Any) { project(entityName: "ada", name: "p") { run(name: "r1") { sampledHistory(specs: [$s]) } } }'
    )
    answer = execute(resolvers, text, {"s": spec}, context=context)
    assert answer.errors[0]["message"].startswith("specs must be ")


def test_a_key_with_odd_letters_is_found(context: Context, run: Run) -> None:
    streams.write_lines(context.store, run.id, "history", 0, ['{"_step":0,"a\\u003eb":1,"größe":2,"q\\"":3}'])
    assert [streams.history_values(context.store, run.id, key) for key in ("a>b", "größe", 'q"', "none")] == [
        [(0, 1.0)], [(0, 2.0)], [(0, 3.0)], []
    ]  # fmt: skip


def test_values_are_numbers_by_step(context: Context, run: Run) -> None:
    log(context, run, {"_step": 0, "m": 1}, {"_step": 1, "m": "text"}, {"_step": 2, "m": True}, {"_step": 3, "m": 2.5})
    assert streams.history_values(context.store, run.id, "m") == [(0, 1.0), (3, 2.5)]


def test_keys_and_last_step(ask: Ask, context: Context, run: Run) -> None:
    assert ask("historyKeys historyLineCount") == {"historyKeys": None, "historyLineCount": 0}
    log(context, run, {"_step": 4, "a": 1}, {"_step": 9})
    found = ask("historyKeys")["historyKeys"]
    assert found["lastStep"] == 9
    assert found["keys"]["a"]["typeCounts"] == [{"type": "number", "count": 1}]


def test_the_live_rows_are_all_there_is(ask: Ask) -> None:
    found = ask("parquetHistory(liveKeys: $keys) { parquetUrls liveData }", keys=["a"])
    assert found == {"parquetHistory": {"parquetUrls": [], "liveData": []}}


def test_events_and_tails(ask: Ask, context: Context, run: Run) -> None:
    assert ask("historyTail eventsTail") == {"historyTail": "[]", "eventsTail": "[]"}
    log(context, run, {"system.cpu": 1}, {"system.cpu": 2}, {"system.cpu": 3}, stream="events")
    log(context, run, {"_step": 0}, {"_step": 1})
    found = ask("historyTail eventsTail eventsLineCount events(samples: 2)")
    assert [json.loads(line) for line in json.loads(found["historyTail"])] == [{"_step": 1}]
    assert [json.loads(line) for line in json.loads(found["eventsTail"])] == [{"system.cpu": 3}]
    assert [json.loads(line) for line in found["events"]] == [{"system.cpu": 1}, {"system.cpu": 3}]
    assert found["eventsLineCount"] == 3


LOG_LINES = (
    "logLines(first: $first, after: $after) { edges { node { number line } } pageInfo { endCursor hasNextPage } }"
)


@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
def test_console_pages_show_each_line_once(ask: Ask, context: Context, run: Run, size: int) -> None:
    streams.write_lines(context.store, run.id, "console", 0, [f"2026-11-23T12:00:0{i} line {i}" for i in range(5)])
    seen, after, more = [], None, True
    while more:
        found = ask(LOG_LINES, first=size, after=after)["logLines"]
        seen += [(edge["node"]["number"], edge["node"]["line"]) for edge in found["edges"]]
        after, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    assert seen == [(i, f"line {i}") for i in range(5)]


def test_the_last_console_lines_come_in_order(ask: Ask, context: Context, run: Run) -> None:
    streams.write_lines(context.store, run.id, "console", 0, ["one", "two", "three"])
    found = ask("logLineCount logLines(last: 2) { edges { node { number line } } }")
    assert [edge["node"] for edge in found["logLines"]["edges"]] == [
        {"number": 1, "line": "two"},
        {"number": 2, "line": "three"},
    ]
    assert found["logLineCount"] == 3


@pytest.mark.parametrize(
    ("text", "timestamp", "level", "label", "line"),
    [
        ("2026-11-23T12:00:00.123456 plain text", "2026-11-23T12:00:00.123456", "info", None, "plain text"),
        ("ERROR 2026-11-23T12:00:00.1 bad", "2026-11-23T12:00:00.1", "error", None, "bad"),
        ("no time here", None, "info", None, "no time here"),
        ('{"ts":"2026-11-23T12:00","content":"x","level":"error","label":"w"}', "2026-11-23T12:00", "error", "w", "x"),
        ('{"ts":"2026-11-23T12:00:00","content":"x"}', "2026-11-23T12:00:00", "info", None, "x"),
        ('{"not": "ours"}', None, "info", None, '{"not": "ours"}'),
        ("", None, "info", None, ""),
    ],
)  # fmt: skip
def test_console_lines_are_read_in_both_forms(
    text: str, timestamp: str | None, level: str, label: str | None, line: str
) -> None:
    assert console_line(text) == {"timestamp": timestamp, "level": level, "label": label, "line": line}


@given(st.integers(0, 200), st.integers(0, 60))
def test_samples_are_in_order_distinct_and_hold_both_ends(size: int, count: int) -> None:
    found = sample(range(size), count)
    assert len(found) == min(size, count)
    assert found == sorted(set(found))
    if count >= 2 and size:
        assert (found[0], found[-1]) == (0, size - 1)
