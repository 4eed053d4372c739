"""A server to be fuzzed: what it is asked, what it may answer, and a bystander's project that must stay as it is."""

import hashlib
import json
import re
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cola_sweep.server import app, auth, ids
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.input_types import INPUTS
from cola_sweep.server.store import Store, agents, files, projects, runs, streams, sweeps, users
from cola_sweep.server.urls import Urls
from tests.server.conftest import BASE, Clock
from tests.server.uploads import Client as Uploader

BYSTANDER, OWN = "bystander", "p"
ME = users.login_name()  # the entity of both projects
GRID = "{method: grid, metric: {name: m, goal: maximize}, parameters: {a: {values: [1.0, 2.0]}}}"
ROWS = [json.dumps({"_step": i, "m": i / 7, "name": "x"}) for i in range(5)]
# Refusals; 422 is how the server says of anything but GraphQL that it failed, and no answer to expect.
REFUSED = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415})
READ = """query Read($project: String!, $entity: String, $run: String, $sweep: String, $filters: JSONString,
        $order: String, $first: Int, $after: String, $specs: [JSONString!], $samples: Int, $names: [String!],
        $pattern: String, $min: Int64, $max: Int64, $agent: String) {
    project(name: $project, entityName: $entity) {
        id name runCount(filters: $filters) totalSweeps
        runs(filters: $filters, order: $order, first: $first, after: $after) { edges { node { id name } cursor } }
        sweeps(filters: $filters, order: $order, first: $first, after: $after) { edges { node { id name } } }
        sweep(sweepName: $sweep) { id bestLoss runCountExpected agent(agentName: $agent) { id }
            agents(first: $first) { edges { node { id runs(order: $order, first: $first) { edges { cursor } } } } } }
        run(name: $run) { id state history(samples: $samples, minStep: $min, maxStep: $max) events(samples: $samples)
            sampledHistory(specs: $specs) historyKeys logLines(first: $first, after: $after, last: $samples) {
                edges { node { number line level timestamp } } }
            parquetHistory(liveKeys: $names) { parquetUrls liveData } wandbConfig(keys: $names)
            files(names: $names, first: $first, after: $after, pattern: $pattern) { edges { node { id directUrl } } }
            outputArtifacts(first: $first) { edges { node { id } } } } } }"""


@dataclass(repr=False)
class Target:
    """The server, and what of it belongs to a bystander."""

    context: Context
    http: TestClient
    bystanders: tuple[Any, ...]
    look: sqlite3.Connection
    requests: int = 0

    @contextmanager
    def untouched(self, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """What the block asks for changes no record, unless it was done."""
        before = self._version()
        yield
        assert unless() or self._version() == before, "a record has changed"

    def _version(self) -> int:
        """Every commit that changes something raises it."""
        (version,) = self.look.execute("PRAGMA data_version").fetchone()
        return int(version)

    def graphql(self, text: str, variables: dict[str, Any]) -> str | None:
        """Ask, and check the answer; what is wrong with it, or None."""
        body = json.dumps({"query": text, "variables": variables})
        return self.check(self.http.post("/graphql", content=body, headers={"content-type": "application/json"}))

    def check(self, answer: httpx.Response) -> str | None:
        """What is wrong with an answer: a status that makes the client try again, a failure of ours, no JSON."""
        self.requests += 1
        if answer.status_code >= 500 or answer.status_code not in REFUSED | {200, 302, 303, 304, 307}:
            return f"{answer.status_code} {answer.text[:2000]}"
        if "the server failed" in answer.text:
            return re.sub(r"0x[0-9a-f]+", "", answer.text)[:2000]
        if answer.headers.get("content-type") == "application/json":
            json.loads(answer.content, parse_constant=_no_constant)
        return None


def bystander(context: Context) -> tuple[Any, ...]:
    """Everything that is kept of the bystander's project."""
    store = context.store
    project = projects.ensure(store, context.user.name, BYSTANDER)
    kept: list[Any] = [project]
    for run in runs.select(store, project.id):
        lines = streams.history_texts(store, run.id)
        kept += [run, lines, files.get(store, run.id, "kept.txt")]
        kept.append(hashlib.md5(context.blobs.run_file(run.id, "kept.txt").read_bytes()).hexdigest())
    for sweep in sweeps.of_project(store, project.id):
        kept += [sweep, agents.of_sweep(store, sweep.id)]
    return tuple(kept)


def over(folder: Path) -> Context:
    """What a resolver gets of a server over a folder. Its clock stands still: nobody falls silent, ever."""
    clock = Clock()
    store = Store(folder / "server.db", clock)
    return Context(store, Blobs(folder), Urls(BASE, auth.secret(store), clock), users.first(store))


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    """A server over an empty folder with two projects alike: one to ask about, one that nobody asked about."""
    context = over(folder)
    fill(context)
    with pytest.MonkeyPatch.context() as patch, closing(sqlite3.connect(folder / "server.db")) as look:
        patch.setattr(app, "TICK_SECONDS", 1e9)  # which saves the unknown fields: a change that nobody asked for
        server = app.create_app(context.store, context.blobs)
        with TestClient(server, base_url=BASE, follow_redirects=False, raise_server_exceptions=False) as http:
            http.auth = ("api", context.user.api_key)
            yield Target(context, http, bystander(context), look)
    context.store.close()


def fill(context: Context) -> None:
    """The two projects."""
    for name in (OWN, BYSTANDER):
        _fill(context, name)


def _fill(context: Context, name: str) -> None:
    store = context.store
    project = projects.ensure(store, context.user.name, name)
    sweep = sweeps.create(store, project.id, f"{name}-s", config=GRID, method="grid", state="RUNNING", seed=0)
    agents.create(store, sweep.id, f"{name}-a", "host")
    for number in range(2):
        run = runs.create(store, project.id, f"r{number}", state="running", display_name="r", sweep_id=sweep.id)
        streams.write_lines(store, run.id, "history", 0, ROWS)
        path = context.blobs.run_file(run.id, "kept.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"kept")
        files.record(store, run.id, "kept.txt", 4, "x")
    if name == OWN:
        Uploader(context, "r1").log("things", {"a.txt": b"one"}, aliases=["best"])


def _no_constant(name: str) -> None:
    raise AssertionError(f"an answer with {name}, which is no JSON")


# What clients might send. Ids are those of the first rows, which are not the bystander's.
KINDS = ("Agent", "Artifact", "ArtifactCollection", "ArtifactManifest", "Project", "Run", "Sweep")
PLAUSIBLE = st.sampled_from(
    [
        OWN, ME, "r0", "r1", "r2", f"{OWN}-s", f"{OWN}-a", "things", "things:latest", "things:v0", "best",
        "dataset", GRID, "{}", "[]", "null", '{"a": {"value": 1}}', '{"state": "running"}', '{"r0": true}',
        '{"$and": [{"sweep": "x"}]}',
        '{"keys": ["m"], "samples": 3}', "+created_at", "-summary_metrics.m", "running", "FINISHED", "FULL", "_step",
        0, 1, 3, True, False, [OWN], ["m"], "x" * 32, "MTIz",
        *(ids.encode(kind, 1) for kind in KINDS),
    ]
)  # fmt: skip
NASTY = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 2**31, 2**53, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 1e308, 5e-324]),
    st.floats(),
    st.sampled_from(
        [
            "", "\0", "\ud800", "../../server.db", "/etc/passwd", "%", "a\nb", "'; DROP TABLE runs; --", "{",
            "[[" * 600, '{"a":' * 950 + "1" + "}" * 950, "[" * 5000 + "]" * 5000,
            "NaN", '{"$regex": "("}', '{"$where": 1}', '{"name": {"$in": 3}}', "x" * 20_000,
            "\u202e", "1e400", '{"method": "grid"}', "method: grid\nparameters: {a: {values: []}}", "&a [*a]",
            "!!python/object:os.system x", '{"lr": NaN}', "99999999999999999999", "9" * 5000, f'{{"m": {10**400}}}',
            b64encode(f"Run:{'9' * 5000}".encode()).decode(), "UnVuOjk5OTk5OTk5OTk5OTk5OTk5OTk5", "UnVuOi0x",
        ]
    ),
    st.text(max_size=20),
)  # fmt: skip
LEAF = PLAUSIBLE | NASTY
JSON = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@cache
def inner() -> st.SearchStrategy[Any]:
    """What is like a part of some mutation's input."""
    names = sorted({name for fields in INPUTS.values() for name in fields})
    return st.dictionaries(st.sampled_from(names), LEAF, max_size=4)


def inputs(good: Mapping[str, Any], fields: Iterable[str]) -> st.SearchStrategy[Any]:
    """An input that is done, with some of its parts replaced, or others beside."""
    other = st.dictionaries(st.sampled_from(sorted(fields)), LEAF | JSON | inner() | st.lists(inner(), max_size=2))
    return other.map(lambda parts: {**good, **parts})


def operations() -> list[tuple[str, list[str]]]:
    """Every operation of the installed client's Python parts: its text and the names of its variables."""
    from wandb.apis._generated import operations as public
    from wandb.sdk.artifacts._generated import operations as artifacts

    texts = [getattr(part, name) for part in (public, artifacts) for name in sorted(part.__all__)]
    return [(text, re.findall(r"\$(\w+):", text)) for text in texts]
