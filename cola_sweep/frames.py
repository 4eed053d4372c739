"""Records as frames: pure functions, no request.

Imports pandas and `records`. The columns are described in `results`.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cola_sweep.records import Goal, Record, score

RUN_COLUMNS = ("id", "name", "state", "created", "url", "best", "last", "logged", "failure")
ARTIFACT_COLUMNS = ("run", "name", "type", "version", "aliases", "digest", "size")
NULL = "null"  # a setting that is there and is null, in a frame in which a missing one is NaN


def runs_frame(records: Iterable[Record], metric: str, goal: Goal) -> pd.DataFrame:
    """A row a run: RUN_COLUMNS, then `config.*`, `provenance.*` and `summary.*`, each in order of the alphabet."""
    frame = pd.DataFrame([_run_row(record, metric, goal) for record in records])
    return frame.reindex(columns=[*RUN_COLUMNS, *sorted(set(frame) - set(RUN_COLUMNS))])


def histories_frame(records: Iterable[Record]) -> pd.DataFrame:
    """A row a run and epoch: `run`, `epoch`, `step`, then what was logged, in order of the alphabet."""
    frame = pd.DataFrame([{"run": record.id, **epoch} for record in records for epoch in record.epochs])
    first = ["run", "epoch", "step"]
    return frame.reindex(columns=first + sorted(set(frame) - set(first)))


def artifacts_frame(artifacts: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A row an artifact: ARTIFACT_COLUMNS; `aliases` is a list, `size` is in bytes."""
    return pd.DataFrame(list(artifacts), columns=list(ARTIFACT_COLUMNS))


def table_frame(content: bytes) -> pd.DataFrame:
    """A table in W&B's JSON.

    Raises:
        ValueError, KeyError, TypeError: it is no such table.
    """
    table = json.loads(content)
    return pd.DataFrame(table["data"], columns=table["columns"])


def _run_row(record: Record, metric: str, goal: Goal) -> dict[str, Any]:
    config = dict(record.config)
    provenance = config.pop("provenance", None)
    summary = {key: value for key, value in record.summary.items() if not _media(value)}
    scored = score(record, metric, goal)
    settings = _flat("config", config)
    return {
        "id": record.id,
        "name": record.name,
        "state": _state(record),
        "created": record.created,
        "url": record.url,
        "best": scored.best,
        "last": scored.last,
        "logged": scored.logged,
        "failure": _failure(record),
        **{key: NULL if value is None else value for key, value in settings.items()},
        **_flat("provenance", provenance if isinstance(provenance, Mapping) else {}),
        **{key: value for key, value in _flat("summary", summary).items() if isinstance(value, bool | int | float)},
    }


def _state(record: Record) -> str:
    """W&B's word, but that a trial which was asked to stop, by a pruner mostly, is not mixed up with one that broke."""
    was_asked = record.state in ("killed", "failed") and "stopped" in record.summary
    return "stopped early" if was_asked else record.state


def _failure(record: Record) -> str:
    """Why a run failed, in the first line of its own words; "" where it left none: those of other programs do not."""
    said = record.summary.get("failure")
    return said.strip().split("\n")[0] if isinstance(said, str) else ""


def _media(value: Any) -> bool:
    """Images, tables and plots are summarised as what and where they are, not as measurements."""
    return isinstance(value, Mapping) and "_type" in value


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as dotted keys; lists as JSON text, so that every cell can be compared and grouped."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}.{key}", value)
        else:
            flat[f"{prefix}.{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat
