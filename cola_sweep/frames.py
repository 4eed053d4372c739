"""What the API says of runs, as rows and frames: pure functions, no request.

Imports pandas and `stats` (for the type of a goal). The columns are described in `results`.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from cola_sweep import stats

RUN_COLUMNS = ("id", "name", "state", "created", "url", "best", "last", "logged")


def by_epoch(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """History rows merged to one an epoch, as Lightning logs the losses and metrics of an epoch in separate rows.

    Rows that hold nothing but values of single training steps (`*_step`) are dropped, and so are those of no
    epoch, such as the cost of the trial. Where no epoch was logged at all (another project's sweep) each row
    stays, with its place as the epoch.
    """
    rows = list(rows)
    has_epochs = any(_number(row.get("epoch")) is not None for row in rows)
    epochs: dict[float, dict[str, Any]] = {}
    for place, row in enumerate(rows):
        values = {key: number for key, value in row.items() if (number := _number(value)) is not None}
        if has_epochs and "epoch" not in values:
            continue
        epoch = values.pop("epoch", float(place))
        step = values.pop("trainer/global_step", values.get("_step", float(place)))
        values = {key: value for key, value in values.items() if not key.startswith("_") and not key.endswith("_step")}
        if values:
            merged = epochs.setdefault(epoch, {"step": step})
            merged.update(values, step=max(step, merged["step"]))
    return [{"epoch": epoch, **epochs[epoch]} for epoch in sorted(epochs)]


def _number(value: Any) -> float | None:
    """A number as float, NaN and infinities too (which native JSON has to write as text); else None."""
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
    return float(value) if isinstance(value, int | float) else None


def histories_frame(epochs: Mapping[str, list[dict[str, Any]]]) -> pd.DataFrame:
    frame = pd.DataFrame([{"run": run_id, **row} for run_id, rows in epochs.items() for row in rows])
    first = ["run", "epoch", "step"]
    return frame.reindex(columns=first + sorted(set(frame) - set(first)))


def runs_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.reindex(columns=[*RUN_COLUMNS, *sorted(set(frame) - set(RUN_COLUMNS))])


def run_row(run: Any, epochs: list[dict[str, Any]], metric: str, goal: stats.Goal) -> dict[str, Any]:
    config = {key: value for key, value in run.config.items() if not key.startswith("_")}
    provenance = config.pop("provenance", None)
    summary = {
        key: value for key, value in run.summary_metrics.items() if not key.startswith("_") and not _media(value)
    }
    values = [row[metric] for row in epochs if metric in row] or _summary_values(summary.get(metric), goal)
    finite = [value for value in values if math.isfinite(value)]
    return {
        "id": run.id,
        "name": run.name or run.id,
        "state": run.state,
        "created": str(getattr(run, "created_at", "") or ""),
        "url": run.url,
        "best": (max(finite) if goal == "maximize" else min(finite)) if finite else math.nan,
        "last": values[-1] if values else math.nan,
        "logged": len(values),
        **_flat("config", config),
        **_flat("provenance", provenance if isinstance(provenance, Mapping) else {}),
        **{key: value for key, value in _flat("summary", summary).items() if isinstance(value, bool | int | float)},
    }


def _media(value: Any) -> bool:
    """Images, tables and plots are summarised as what and where they are, not as measurements."""
    return isinstance(value, Mapping) and "_type" in value


def _summary_values(value: Any, goal: stats.Goal) -> list[float]:
    """Best, then last value of a metric by its summary, for a run without history."""
    if isinstance(value, Mapping):
        members = ("max" if goal == "maximize" else "min", "best", "last")
        return [number for member in members if (number := _number(value.get(member))) is not None]
    number = _number(value)
    return [] if number is None else [number]


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as dotted keys; lists as JSON text, so that every cell can be compared and grouped."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}.{key}", value)
        else:
            flat[f"{prefix}.{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat
