"""A sweep as frames: runs, histories, tables of predictions, artifacts.

Imports pandas, `connection`, `frames`, `snapshot` (which asks the server) and, for class names, `stats`.

    results = pull("entity/project/abc123")
    results.runs[["id", "best", "config.lr"]]

Columns are named after where they come from: `config.lr`, `provenance.device`, `summary.cost/seconds`;
where a summary value is an object (`define_metric(summary="max,last")`), `summary.valid/mcc.max`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from cola_sweep import frames, kept, snapshot, stats
from cola_sweep.connection import connect
from cola_sweep.records import Goal
from cola_sweep.snapshot import Snapshot


@dataclass(frozen=True)
class SweepResults:
    """A `Snapshot`, whose fields are here too where they have the same name, with its parts as frames.

    Attributes:
        runs: one row a run (`frames.RUN_COLUMNS`, then `config.*`, `provenance.*`, `summary.*`), oldest first.
        histories: one row a run and epoch: `run`, `epoch` (from 1), `step`, then every number logged there.
        predictions: by run id, best first, for those of `records.in_detail`: `index`, `sentence`, `label` and
            `predicted` as 0 and 1, and what else the trial put in the table.
        artifacts: what the same runs logged (`frames.ARTIFACT_COLUMNS`).
    """

    path: str
    name: str
    url: str
    state: str
    config: dict[str, Any]
    metric: str
    goal: Goal
    runs: pd.DataFrame
    histories: pd.DataFrame
    predictions: dict[str, pd.DataFrame] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    artifacts: pd.DataFrame = field(default_factory=lambda: frames.artifacts_frame(()))

    @property
    def id(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def pull(sweep_path: str | None = None) -> SweepResults:
    """Read a sweep from the server the user is logged in to, and keep what was read for the next time.

    Args:
        sweep_path: `entity/project/id`, `project/id`, `id` or the sweep's address; the newest sweep if None.

    Raises:
        UserError: server not reachable, not logged in, key refused, no such sweep, or no sweep at all.
    """
    return of(snapshot.take(connect(), sweep_path, kept_in=kept.default_folder()))


def read(api: Any, sweep_path: str | None = None) -> SweepResults:
    """Like `pull`, from an `api` that is connected, keeping nothing."""
    return of(snapshot.take(api, sweep_path))


def of(taken: Snapshot) -> SweepResults:
    """The frames of what was pulled."""
    notes = list(taken.notes)
    return SweepResults(
        path=taken.path,
        name=taken.name,
        url=taken.url,
        state=taken.state,
        config=taken.config,
        metric=taken.metric,
        goal=taken.goal,
        runs=frames.runs_frame(taken.records, taken.metric, taken.goal),
        histories=frames.histories_frame(taken.records),
        predictions=dict(_predictions(taken.tables, notes)),
        notes=tuple(notes),
        artifacts=frames.artifacts_frame(taken.artifacts),
    )


def _predictions(tables: Mapping[str, bytes], notes: list[str]) -> Iterable[tuple[str, pd.DataFrame]]:
    """Each run's table with its classes as 0 and 1; a note for one that is something else."""
    for run_id, content in tables.items():
        try:
            table = frames.table_frame(content)
            classes = {name: stats.binary(table[name]) for name in ("label", "predicted")}
        except (KeyError, TypeError, ValueError) as error:
            notes.append(f"The predictions table of run {run_id} could not be read: {error}.")
        else:
            yield run_id, table.assign(**classes)
