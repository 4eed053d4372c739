"""What a server says of a sweep, as plain values: the one module of the report that pulls.

Through `wandb.Api` alone, so it reads wandb.ai and the embedded server alike. Runs are listed light; of
those that changed since the last pull, config, summary and history are asked for, several at once.
Imports `connection`, `kept`, `records`; no pandas (see `records`).

    snapshot = take(connect(), "entity/project/abc123", kept_in=default_folder())
    [record.id for record in snapshot.records]
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cola_sweep import kept, records
from cola_sweep.connection import ask, find_sweep, home, server_errors, within
from cola_sweep.errors import UserError
from cola_sweep.metric_names import BEST, OBJECTIVE
from cola_sweep.records import Goal, Record

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 16  # requests; the client itself waits 40 ms on each
PAGE = 100  # runs a request
SLOW_SECONDS = 60  # downloads and scans
PROGRESS_SECONDS = 5
HISTORY_ROWS = 10_000  # up to this many come whole in one request; longer histories are scanned in pages
FAILURES_IN_A_ROW = 3  # so many runs whose history cannot be read: the server is gone
ENDED = ("finished", "failed", "crashed", "killed")  # a run in another state may change at any moment


@dataclass(frozen=True)
class Snapshot:
    """One sweep.

    Attributes:
        path: `entity/project/id`.
        config: the sweep's YAML.
        metric, goal: what the sweep optimises, and which way.
        records: its runs, oldest first.
        tables: by run id, for those read in detail: the `predictions` table, JSON as it was logged.
        artifacts: of the same: `run`, `name`, `type`, `version`, `aliases`, `digest`, `size` in bytes.
        notes: what could not be read, one line each.
    """

    path: str
    name: str
    url: str
    state: str
    config: dict[str, Any]
    metric: str
    goal: Goal
    records: tuple[Record, ...]
    tables: dict[str, bytes]
    artifacts: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    @property
    def id(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all of it."""
        tables = {run_id: kept.digest(content) for run_id, content in self.tables.items()}
        plain = {**self.__dict__, "tables": tables, "records": [vars(record) for record in self.records]}
        return kept.digest(json.dumps(plain, sort_keys=True, default=str).encode())


def take(
    api: Any, sweep_path: str | None, *, kept_in: Path | None = None, fresh: bool = False, beside: str | None = None
) -> Snapshot:
    """Pull a sweep.

    Args:
        sweep_path: `entity/project/id`, `project/id`, `id` or the sweep's address; the newest sweep if None.
        kept_in: folder of what earlier pulls found, see `kept`; None asks for everything.
        fresh: read every run anew all the same: what was edited by hand after a run ended changes nothing that the
            list of runs shows.
        beside: a run whose predictions and artifacts, and those of its repeats, are read too.

    Raises:
        UserError: no such sweep, no sweep at all, or a server that stops answering.
    """
    sweep = _newest_sweep(api) if sweep_path is None else find_sweep(api, sweep_path)
    path = f"{sweep.entity}/{sweep.project}/{sweep.id}"
    config = sweep.config or {}
    metric, goal = _objective(config)
    notes: list[str] = []
    runs, found = _runs(api, path, kept_in, fresh, notes)
    detailed = records.in_detail(found, metric, goal) + (records.repeats_of(found, beside) if beside else [])
    best = {record.id: runs[record.id] for record in detailed}
    tables, artifacts = _details(best, found, kept_in, notes)
    return Snapshot(
        path=path,
        name=str(sweep.name),
        url=str(sweep.url),
        state=str(sweep.state).lower(),
        config=config,
        metric=metric,
        goal=goal,
        records=tuple(found),
        tables=tables,
        artifacts=tuple(artifacts),
        notes=tuple(notes),
    )


def _newest_sweep(api: Any) -> Any:
    entity, project = home(api)
    where = f"project {entity}/{project}"
    start = "start one with `wandb sweep sweeps/lr.yaml`, or set WANDB_PROJECT"
    sweeps = ask(
        lambda: list(_each("sweeps", api.project(name=project, entity=entity).sweeps())),
        where,
        missing=f"does not exist; {start}",
    )
    if not sweeps:
        raise UserError(where, rule="has no sweep yet", fix=start)
    return max(sweeps, key=lambda sweep: str(sweep.created_at))


def _objective(config: Mapping[str, Any]) -> tuple[str, Goal]:
    """Name and goal of the (first) metric; W&B minimizes where a sweep names a metric and no goal.

    The best MCC so far is at its best what MCC is at its best, in the same epoch: the report speaks of MCC.
    """
    default = {"name": OBJECTIVE, "goal": "maximize"}
    metric = config.get("metric") or next(iter(config.get("metrics") or []), default)
    name = str(metric.get("name") or OBJECTIVE)
    return OBJECTIVE if name == BEST else name, "maximize" if metric.get("goal") == "maximize" else "minimize"


def _runs(
    api: Any, path: str, kept_in: Path | None, fresh: bool, notes: list[str]
) -> tuple[dict[str, Any], list[Record]]:
    """The API's runs by id, and their records, oldest first; only those that changed are read."""
    place = f"{api.settings.get('base_url')}/{path}"
    listed = {run.id: run for run in _each("runs", _list(api, path, lazy=True))}
    known = {} if fresh else kept.load_runs(kept_in, place)
    held = {
        run_id: known[run_id]
        for run_id, run in listed.items()
        if run_id in known and known[run_id][0] == _stamp(run) and run.state in ENDED
    }
    stale = [run_id for run_id in listed if run_id not in held]
    pages = [stale[first : first + PAGE] for first in range(0, len(stale), PAGE)]
    full = [run for page in at_once(lambda ids: _list(api, path, ids, lazy=False), pages) for run in page]
    read = {record.id: (stamp, record) for stamp, record in _read(full, notes)}
    now = {run_id: pair for run_id in listed if (pair := held.get(run_id) or read.get(run_id))}
    if read or held.keys() != known.keys():
        kept.save_runs(kept_in, place, {run_id: pair for run_id, pair in now.items() if pair[0]})
    return listed, [record for _, record in now.values()]


def _list(api: Any, path: str, ids: Sequence[str] | None = None, *, lazy: bool) -> list[Any]:
    """The sweep's runs, or those of them that `ids` names, oldest first; `lazy`: without config and summary."""
    project, _, sweep_id = path.rpartition("/")
    filters = [{"sweep": sweep_id}, *([{"name": {"$in": list(ids)}}] if ids else [])]

    def load() -> list[Any]:
        return list(api.runs(project, filters={"$and": filters}, order="+created_at", per_page=PAGE, lazy=lazy))

    return ask(load, f"runs of {path}")


def _stamp(run: Any) -> kept.Stamp:
    """What differs once a run has changed; all of it is in the light list."""
    last = (getattr(run, name, None) for name in ("heartbeat_at", "history_line_count"))
    return [run.state, run.name, str(run.created_at), *last]


def _read(runs: list[Any], notes: list[str]) -> Iterator[tuple[kept.Stamp, Record]]:
    """Each run's record, with its stamp: none if its history could not be read, so that it will be read again."""
    failures = 0
    histories = at_once(lambda run: _or_error(lambda: _history(run)), runs)
    for run, (rows, error) in zip(_each("histories", runs), histories, strict=True):
        failures = failures + 1 if error else 0
        if failures == FAILURES_IN_A_ROW:
            rule = f"the server stopped answering ({error})"
            raise UserError(f"history of run {run.id}", rule=rule, fix="look at its log, then try again") from error
        if error:
            notes.append(f"The history of run {run.id} could not be read: {error}.")
        yield [] if error else _stamp(run), _record(run, rows or ())


def _record(run: Any, rows: Iterable[Mapping[str, Any]]) -> Record:
    return Record(
        id=run.id,
        name=run.name or run.id,
        state=run.state,
        created=str(getattr(run, "created_at", "") or ""),
        url=run.url,
        config={key: value for key, value in run.config.items() if not key.startswith("_")},
        summary={key: value for key, value in dict(run.summary_metrics).items() if not key.startswith("_")},
        epochs=records.by_epoch(rows),
    )


def _history(run: Any) -> Iterable[Mapping[str, Any]]:
    if (getattr(run, "history_line_count", None) or 0) <= HISTORY_ROWS:
        return run.history(samples=HISTORY_ROWS, pandas=False)
    return list(run.scan_history())


def _details(
    best: Mapping[str, Any], found: list[Record], kept_in: Path | None, notes: list[str]
) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    """Tables and artifacts of the runs in `best`, in their order."""
    entries = {record.id: _table_entry(record.summary) for record in found if record.id in best}
    if absent := [run_id for run_id in best if not entries[run_id]]:
        notes.append(f"No predictions table was logged by {', '.join(absent)}.")

    def of_each(what: str, call: Callable[[Any], T]) -> Iterator[tuple[str, T]]:
        outcomes = at_once(lambda run: _or_error(lambda: call(run)), best.values())
        for run_id, (value, problem) in zip(best, outcomes, strict=True):
            if problem:
                notes.append(f"The {what} of run {run_id} could not be read: {problem}.")
            elif value:
                yield run_id, value

    tables = dict(of_each("predictions table", lambda run: _table(run, entries[run.id], kept_in)))
    return tables, [artifact for _, logged in of_each("list of artifacts", _artifacts) for artifact in logged]


def _table_entry(summary: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the summary says of the last `predictions` table, if it is a file of the run."""
    entry = summary.get("predictions")
    return entry if isinstance(entry, Mapping) and entry.get("path") else {}


def _table(run: Any, entry: Mapping[str, Any], kept_in: Path | None) -> bytes:
    if not entry:
        return b""
    sha256 = str(entry.get("sha256") or "")
    content = kept.load_bytes(kept_in, sha256)
    if content is None:
        content = _download(run, str(entry["path"]))
        kept.save_bytes(kept_in, sha256, content)
    return content


def _download(run: Any, path: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, run.file(path).download(root=folder, replace=True) as file:
        return Path(file.name).read_bytes()


def _artifacts(run: Any) -> list[dict[str, Any]]:
    names = ("name", "type", "version", "aliases", "digest", "size")
    return [{"run": run.id, **{name: getattr(artifact, name) for name in names}} for artifact in run.logged_artifacts()]


def _or_error(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    """What `call` gives in due time, or what the client raised."""
    try:
        return within(SLOW_SECONDS, call), None
    except server_errors() as error:
        return None, error


def at_once(call: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """`call` of each item, in order, several at a time; what has not begun when the caller leaves never does."""
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(call, items)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _each(what: str, items: Iterable[T]) -> Iterator[T]:
    """`items`, with a line on stderr now and then if they take long."""
    said = time.monotonic()
    for place, item in enumerate(items, 1):
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"reading {what}: {place} so far", file=sys.stderr)
        yield item
