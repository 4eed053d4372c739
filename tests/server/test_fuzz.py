"""Whatever is sent, the server refuses it in words: no failure, no growth, and nobody else's records touched.

`COLA_SWEEP_FUZZ=10000`, or `python -m tests.drills --fuzz 10000`, for as many examples of each kind.
"""

import gzip
import json
import os
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cola_sweep.server import app, ids
from cola_sweep.server.input_types import INPUTS, input_type
from cola_sweep.server.store.settings import unknown_fields
from tests.benchmarks.client import HEARTBEAT
from tests.server.fuzzing import (
    GRID,
    JSON,
    LEAF,
    ME,
    NASTY,
    OWN,
    READ,
    Target,
    bystander,
    inner,
    inputs,
    operations,
    target,
)
from tests.server.mutations import GOOD, Server

EXAMPLES = int(os.environ.get("COLA_SWEEP_FUZZ", "40"))
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
ROWS = ['{"_step": 1, "m": NaN}', "{}", "[", '{"_step": 1e400}', f'{{"m": {10**400}}}', f'{{"_step": {10**400}}}']
LINES = st.lists(st.text(max_size=10) | st.sampled_from(ROWS) | LEAF)
PART = st.fixed_dictionaries({}, optional={"offset": st.integers(0, 9) | NASTY, "content": LINES | NASTY}) | JSON
FILES = st.sampled_from(["wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json", "output.log", "other"])
STREAM = (
    st.fixed_dictionaries(
        {},
        optional={
            "files": st.dictionaries(FILES | st.text(max_size=5), PART, max_size=3) | JSON,
            "complete": st.booleans() | NASTY,
            "exitcode": st.integers(-9, 255) | NASTY,
            "preempting": st.booleans() | NASTY,
            "uploaded": JSON,
        },
    )
    | JSON
)
KEYS = ["method", "metric", "parameters", "early_terminate", "run_cap", "command", "program", "name", "scheduler"]
WORDS = st.sampled_from(
    ["grid", "random", "bayes", "min", "max", "values", "value", "distribution", "q_log_uniform", "m"]
)
SWEEP = st.fixed_dictionaries(
    {},
    optional={
        key: WORDS | JSON | st.dictionaries(WORDS | st.text(max_size=3), JSON | WORDS, max_size=3) for key in KEYS
    },
)
SMALL = 1000  # bytes of a body, where the limit is tried
SEGMENT = st.sampled_from([OWN, ME, "runs", "sweeps", "r0", f"{OWN}-s", "login", "files", "..", "static"]) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8
)
QUERY = st.dictionaries(
    st.sampled_from(["sort", "order", "page", "q", "filter", "first", "after", "runs", "keys", "token", "x"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
    | st.sampled_from(["-1", "99999999999999999999", "[", "-m"]),
    max_size=3,
)
REQUESTS = [st.tuples(st.just(name), inputs(good, INPUTS[input_type(name)])) for name, good in GOOD.items()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with target(tmp_path_factory.mktemp("fuzz")) as made:
        yield made
        assert bystander(made.context) == made.bystanders, "a write went wrong"
        print(f"{made.requests} requests")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mutations"))
    yield made
    made.close()
    print(f"{made.requests} mutations")


@fuzz
@given(
    request=st.one_of([st.tuples(st.just(name), inputs(good, INPUTS[input_type(name)])) for name, good in GOOD.items()])
)
def test_mutations(alone: Server, request: tuple[str, object]) -> None:
    """Those that are refused change nothing, and the others nothing of another's: `Server` looks."""
    for said in alone.mutate(*request):
        assert "the server failed" not in said


@fuzz
@given(operation=st.sampled_from(operations()), data=st.data())
def test_operations_of_the_client(server: Target, operation: tuple[str, list[str]], data: st.DataObject) -> None:
    text, names = operation
    values = st.fixed_dictionaries({}, optional={name: LEAF | JSON | inner() for name in names})
    assert server.graphql(text, data.draw(values)) is None


@fuzz
@given(st.dictionaries(st.sampled_from(re.findall(r"\$(\w+):", READ)), LEAF | JSON, max_size=15))
def test_reading(server: Target, values: dict[str, object]) -> None:
    with server.untouched():
        assert server.graphql(READ, {"project": OWN, "run": "r0", "sweep": f"{OWN}-s"} | values) is None


@pytest.mark.parametrize(
    "text", ["{" * 5000, "{a " * 3000 + "}" * 3000, "query Q { ...F } fragment F on Query { ...F }"]
)
def test_documents_that_lead_nowhere(server: Target, text: str) -> None:
    answer = server.http.post("/graphql", json={"query": text})
    assert answer.status_code == 200
    assert answer.json()["errors"]


def test_fields_that_nobody_knows_fill_no_table(server: Target) -> None:
    for part in range(3):
        fields = " ".join(f"field{part}_{number}" for number in range(app.MOST_UNKNOWN // 2))
        assert server.graphql(f"{{ {fields} }}", {}) is None
    server.http.app.state.unknown.save()  # type: ignore[attr-defined]
    assert len(unknown_fields(server.context.store)) == app.MOST_UNKNOWN


def test_what_is_fuzzed_is_there(server: Target) -> None:
    stream = {"files": {"wandb-history.jsonl": {"offset": 0, "content": ["{}"]}}}
    assert server.http.post(f"/files/{ME}/{OWN}/r0/file_stream", json=stream).status_code == 200
    assert server.http.put(f"/files/{ME}/{OWN}/r1/a.txt", content=b"a").status_code == 200


@fuzz
@given(body=STREAM, run=st.sampled_from(["r0", "r1", "none", "..", "%00"]))
def test_streams(server: Target, body: object, run: str) -> None:
    with server.untouched(unless=lambda: answer.status_code == 200):
        answer = server.http.post(f"/files/{ME}/{OWN}/{run}/file_stream", content=json.dumps(body))
    assert server.check(answer) is None
    assert server.graphql(READ, {"project": OWN, "run": run, "sweep": f"{OWN}-s"}) is None
    # What a run says must not keep its sweep from going on.
    assert server.graphql(HEARTBEAT, {"id": ids.encode("Agent", 1), "metrics": "{}", "runState": "{}"}) is None


@fuzz
@given(content=st.binary(max_size=50), encoding=st.sampled_from(["identity", "gzip", "br", ""]))
def test_bodies_that_are_no_json(server: Target, content: bytes, encoding: str) -> None:
    for path in ("/graphql", f"/files/{ME}/{OWN}/r0/file_stream"):
        assert server.check(server.http.post(path, content=content, headers={"content-encoding": encoding})) is None


@fuzz
@given(
    name=st.lists(SEGMENT | st.sampled_from(["%2e%2e", "%00", "a" * 300, "%5c", "é"]), min_size=1, max_size=4).map(
        "/".join
    ),
    content=st.binary(max_size=100),
    md5=st.none() | st.sampled_from(["", "x", "1B2M2Y8AsgTpgAmY7PhCfg=="]),
)
def test_file_names_and_contents(server: Target, name: str, content: bytes, md5: str | None) -> None:
    path, headers = f"/files/{ME}/{OWN}/r1/{quote(name, safe='/%')}", {"content-md5": md5} if md5 is not None else {}
    with server.untouched(unless=lambda: put.status_code == 200):
        put = server.http.put(path, content=content, headers=headers)
    assert server.check(put) is None
    got = server.http.get(path)
    assert got.status_code != 200 or put.status_code != 200 or got.content == content
    assert not list((server.context.blobs.root / "incoming").iterdir())


@fuzz
@given(sizes=st.lists(st.integers(0, 3 * SMALL // 2), min_size=1, max_size=4), packed=st.booleans())
def test_sizes(server: Target, sizes: list[int], packed: bool) -> None:
    """A body in pieces, of any sizes: as long as it may be it is taken whole, and longer not at all."""
    stream = f"/files/{ME}/{OWN}/r0/file_stream"
    body = json.dumps({"files": {"other": {"content": ["x" * size for size in sizes]}}}).encode()
    sent = gzip.compress(body, mtime=0) if packed else body
    pieces = iter([sent[: sizes[0]], sent[sizes[0] :]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "FILE_STREAM_LIMIT", SMALL)
        headers = {"content-encoding": "gzip"} if packed else {}
        assert server.http.post(stream, content=pieces, headers=headers).status_code == (
            413 if len(body) > SMALL else 200
        )
    path = f"/files/{ME}/{OWN}/r1/sizes.bin"
    assert server.http.put(path, content=iter([b"x" * size for size in sizes])).status_code == 200
    assert server.http.get(path).content == b"x" * sum(sizes)
    server.requests += 3


@fuzz
@given(config=SWEEP.map(json.dumps) | st.text(max_size=40) | st.text("{}[]:,-&*!|>'\"\n a1", max_size=40))
def test_sweep_files(server: Target, config: str) -> None:
    text = "mutation M($input: Any) { upsertSweep(input: $input) { sweep { id bestLoss runCountExpected } } }"
    assert server.graphql(text, {"input": {"projectName": OWN, "config": config}}) is None
    changed = {"id": ids.encode("Sweep", 1), "projectName": OWN, "config": config}
    assert server.graphql(text, {"input": changed}) is None
    assert server.graphql(text, {"input": {**changed, "config": GRID}}) is None


@fuzz
@given(path=st.lists(SEGMENT, max_size=4).map("/".join), query=QUERY, page=st.booleans())
def test_pages(server: Target, path: str, query: dict[str, str], page: bool) -> None:
    headers = {"accept": "text/html" if page else "*/*"}
    with server.untouched():
        answer = server.http.get(f"/{quote(path.lstrip('/'))}", params=query, headers=headers)
    assert server.check(answer) is None
