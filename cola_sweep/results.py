"""What a sweep left on its W&B server, as frames: runs, histories, tables of predictions.

The one module of the report that asks a server, through `wandb.Api` alone, so it reads wandb.ai and the
embedded server alike. Imports pandas, `connection`, `frames` and, for the ranking, `stats`.

    results = pull("entity/project/abc123")
    results.runs[["id", "best", "config.lr"]]

Columns are named after where they come from: `config.lr`, `provenance.device`, `summary.cost/seconds`;
where a summary value is an object (`define_metric(summary="max,last")`), `summary.valid/mcc.max`.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd

from cola_sweep import frames, stats
from cola_sweep.connection import ask, connect, find_sweep, home, server_errors, within
from cola_sweep.errors import UserError
from cola_sweep.metric_names import OBJECTIVE

T = TypeVar("T")

PREDICTIONS_OF = 5  # tables pulled: those of the best so many runs
SLOW_SECONDS = 60  # downloads and scans
PROGRESS_SECONDS = 5
HISTORY_ROWS = 10_000  # up to this many come whole in one request; longer histories are scanned in pages
FAILURES_IN_A_ROW = 3  # so many runs whose history cannot be read: the server is gone


@dataclass(frozen=True)
class SweepResults:
    """One sweep, pulled whole.

    Attributes:
        path: `entity/project/id`.
        config: the sweep's YAML.
        metric, goal: what the sweep optimises, and which way.
        runs: one row a run (`frames.RUN_COLUMNS`, then `config.*`, `provenance.*`, `summary.*`), oldest first.
        histories: one row a run and epoch: `run`, `epoch`, `step`, then every number logged there.
        predictions: by run id, for the best few: `index`, `sentence`, `label` and `predicted` as 0 and 1,
            and what else the trial put in the table.
        notes: what could not be read, one line each.
    """

    path: str
    name: str
    url: str
    state: str
    config: dict[str, Any]
    metric: str
    goal: stats.Goal
    runs: pd.DataFrame
    histories: pd.DataFrame
    predictions: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def pull(sweep_path: str | None = None, *, predictions_of: int = PREDICTIONS_OF) -> SweepResults:
    """Read a sweep from the server the user is logged in to.

    Args:
        sweep_path: `entity/project/id`, `project/id`, `id` or the sweep's address; the newest sweep if None.

    Raises:
        UserError: server not reachable, not logged in, key refused, no such sweep, or no sweep at all.
    """
    return read(connect(), sweep_path, predictions_of=predictions_of)


def read(api: Any, sweep_path: str | None = None, *, predictions_of: int = PREDICTIONS_OF) -> SweepResults:
    """Like `pull`, from an `api` that is connected."""
    sweep = _newest_sweep(api) if sweep_path is None else find_sweep(api, sweep_path)
    path = f"{sweep.entity}/{sweep.project}/{sweep.id}"
    config = sweep.config or {}
    metric, goal = _objective(config)
    notes: list[str] = []
    raw = {run.id: run for run in _all_runs(api, sweep, path)}
    epochs = _epochs(raw, notes)
    runs = frames.runs_frame([frames.run_row(run, epochs[run_id], metric, goal) for run_id, run in raw.items()])
    board = stats.rank(runs, goal)
    best = board.loc[board["rank"].notna(), "id"].head(predictions_of)
    tables = {run_id: _predictions(raw[run_id], notes) for run_id in best if _table_path(raw[run_id])}
    if absent := [run_id for run_id in best if run_id not in tables]:
        notes.append(f"No predictions table was logged by {', '.join(absent)}.")
    return SweepResults(
        path=path,
        name=str(sweep.name),
        url=str(sweep.url),
        state=str(sweep.state).lower(),
        config=config,
        metric=metric,
        goal=goal,
        runs=runs,
        histories=frames.histories_frame(epochs),
        predictions={run_id: table for run_id, table in tables.items() if table is not None},
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


def _all_runs(api: Any, sweep: Any, path: str) -> list[Any]:
    filters = {"$and": [{"sweep": sweep.id}]}

    def load() -> list[Any]:
        pages = api.runs(
            f"{sweep.entity}/{sweep.project}", filters=filters, order="+created_at", per_page=100, lazy=False
        )
        return list(_each("runs", pages))

    return ask(load, f"runs of {path}")


def _objective(config: Mapping[str, Any]) -> tuple[str, stats.Goal]:
    """Name and goal of the (first) metric; W&B minimizes where a sweep names a metric and no goal."""
    default = {"name": OBJECTIVE, "goal": "maximize"}
    metric = config.get("metric") or next(iter(config.get("metrics") or []), default)
    return str(metric.get("name") or OBJECTIVE), "maximize" if metric.get("goal") == "maximize" else "minimize"


def _epochs(runs: Mapping[str, Any], notes: list[str]) -> dict[str, list[dict[str, Any]]]:
    """The history of each run, as one mapping an epoch."""
    epochs: dict[str, list[dict[str, Any]]] = {}
    failures = 0
    for run_id in _each("histories", runs):
        try:
            epochs[run_id] = frames.by_epoch(_history(runs[run_id]))
            failures = 0
        except server_errors() as error:
            epochs[run_id] = []
            failures += 1
            if failures == FAILURES_IN_A_ROW:
                rule = f"the server stopped answering ({error})"
                raise UserError(f"history of run {run_id}", rule=rule, fix="look at its log, then try again") from error
            notes.append(f"The history of run {run_id} could not be read: {error}.")
    return epochs


def _history(run: Any) -> Iterable[Mapping[str, Any]]:
    if (getattr(run, "history_line_count", None) or 0) <= HISTORY_ROWS:
        return run.history(samples=HISTORY_ROWS, pandas=False)
    return within(SLOW_SECONDS, lambda: list(run.scan_history()))


def _table_path(run: Any) -> str:
    """The run file that holds its last `predictions` table, or ""."""
    entry = run.summary_metrics.get("predictions")
    return str(entry.get("path") or "") if isinstance(entry, Mapping) else ""


def _predictions(run: Any, notes: list[str]) -> pd.DataFrame | None:
    """The run's `predictions` table with labels as 0 and 1, or None and a note."""
    try:
        table = within(SLOW_SECONDS, lambda: _download_table(run))
        return table.assign(label=stats.binary(table["label"]), predicted=stats.binary(table["predicted"]))
    except (*server_errors(), KeyError, ValueError) as error:  # type: ignore[misc]
        notes.append(f"The predictions table of run {run.id} could not be read: {error}.")
        return None


def _download_table(run: Any) -> pd.DataFrame:
    with (
        tempfile.TemporaryDirectory() as folder,
        run.file(_table_path(run)).download(root=folder, replace=True) as file,
    ):
        content = json.loads(file.read())
    return pd.DataFrame(content["data"], columns=content["columns"])


def _each(what: str, items: Iterable[T]) -> Iterator[T]:
    """`items`, with a line on stderr now and then if they take long."""
    said = time.monotonic()
    for place, item in enumerate(items, 1):
        if time.monotonic() - said > PROGRESS_SECONDS:
            said = time.monotonic()
            print(f"reading {what}: {place} so far", file=sys.stderr)
        yield item
