"""Runs of a sweep as plain values, what each scored, and which of them count: pure, standard library alone.

Light, so that a report that finds nothing changed need not load the libraries that make frames and figures.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

Goal = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Record:
    """One run, in JSON's own types: `config` and `summary` as logged, `epochs` as `by_epoch` makes them."""

    id: str
    name: str
    state: str
    created: str
    url: str
    config: dict[str, Any]
    summary: dict[str, Any]
    epochs: list[dict[str, Any]]


@dataclass(frozen=True)
class Score:
    """Best finite and last value of the metric (NaN if there is none), and how many values were logged."""

    best: float
    last: float
    logged: int


def by_epoch(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """History rows merged to one an epoch, as Lightning logs the losses and metrics of an epoch in separate rows.

    Rows that hold nothing but values of single training steps (`*_step`) are dropped, and so are those of no
    epoch, such as the cost of the trial. Where no epoch was logged at all (another project's sweep) each row
    stays, with its place as the epoch. Epochs count from 1; Lightning, known by its `trainer/global_step`, logs
    them from 0, and those of others are kept as they were logged.
    """
    rows = list(rows)
    has_epochs = any(number(row.get("epoch")) is not None for row in rows)
    from_zero = not has_epochs or any("trainer/global_step" in row for row in rows)
    epochs: dict[float, dict[str, Any]] = {}
    for place, row in enumerate(rows):
        values = {key: value for key, each in row.items() if (value := number(each)) is not None}
        if has_epochs and "epoch" not in values:
            continue
        epoch = values.pop("epoch", float(place)) + from_zero
        step = values.pop("trainer/global_step", values.get("_step", float(place)))
        values = {key: value for key, value in values.items() if not key.startswith("_") and not key.endswith("_step")}
        if values:
            merged = epochs.setdefault(epoch, {"step": step})
            merged.update(values, step=max(step, merged["step"]))
    return [{"epoch": epoch, **epochs[epoch]} for epoch in sorted(epochs)]


def number(value: Any) -> float | None:
    """A number as float, NaN and infinities too (which native JSON has to write as text); else None."""
    if isinstance(value, str):
        return float(value) if value in ("NaN", "Infinity", "-Infinity") else None
    return float(value) if isinstance(value, int | float) else None


def score(record: Record, metric: str, goal: Goal) -> Score:
    """By the run's history; by its summary if that has nothing."""
    values = [row[metric] for row in record.epochs if metric in row]
    values = values or summary_values(record.summary.get(metric), goal)
    finite = [value for value in values if math.isfinite(value)]
    best = (max(finite) if goal == "maximize" else min(finite)) if finite else math.nan
    return Score(best, values[-1] if values else math.nan, len(values))


def summary_values(value: Any, goal: str) -> list[float]:
    """Best, then last value of a metric by its summary; the best is NaN where the metric ever was, as wandb has it."""
    if isinstance(value, Mapping):
        members = ("max" if goal == "maximize" else "min", "best", "last")
        return [found for member in members if (found := number(value.get(member))) is not None]
    found = number(value)
    return [] if found is None else [found]


def why_left_out(state: str, best: float, logged: int) -> str:
    """Why a run cannot be the best, or "": only one that finished and has a finite value of the metric can."""
    if state != "finished":
        return state
    if not logged:
        return "metric never logged"
    return "" if math.isfinite(best) else "metric never finite"


def place(best: float, created: str, run_id: str, goal: Goal) -> tuple[float, str, str]:
    """What runs are sorted by, best first; equal values go to the older, so that no order of theirs matters."""
    return (-best if goal == "maximize" else best), created, run_id


def best_first(records: Iterable[Record], metric: str, goal: Goal) -> list[Record]:
    """The runs that count, best first."""
    places = {}
    for record in records:
        scored = score(record, metric, goal)
        if not why_left_out(record.state, scored.best, scored.logged):
            places[place(scored.best, record.created, record.id, goal)] = record
    return [places[key] for key in sorted(places)]


def in_detail(
    records: Iterable[Record], metric: str, goal: Goal, *, best: int = 10, repeated: int = 2, most: int = 40
) -> list[Record]:
    """The runs whose predictions and artifacts a report needs, best first.

    They are the `best` few, and all of the `repeated` configurations with the best means over seeds; `most` at most.
    """
    ranked = best_first(records, metric, goal)
    seeds: dict[str, list[Record]] = {}
    for record in ranked:
        seeds.setdefault(configuration(record.config), []).append(record)
    means = {
        setting: fmean(score(record, metric, goal).best for record in runs)
        for setting, runs in seeds.items()
        if len(runs) > 1
    }
    first = sorted(means, key=lambda setting: means[setting], reverse=goal == "maximize")[:repeated]
    wanted = {record.id for record in ranked[:best]} | {run.id for setting in first for run in seeds[setting]}
    return [record for record in ranked if record.id in wanted][:most]


def repeats_of(records: Iterable[Record], run_id: str) -> list[Record]:
    """The run itself and the finished ones of its configuration; [] if it is not among `records`."""
    held = list(records)
    settings = {configuration(record.config) for record in held if record.id == run_id}
    return [
        record
        for record in held
        if record.id == run_id or (record.state == "finished" and configuration(record.config) in settings)
    ]


def configuration(config: Mapping[str, Any]) -> str:
    """Text that is the same for runs which differ by their seeds alone; where they come from is no setting."""
    return json.dumps(_without_seeds({**config, "provenance": None}), sort_keys=True)


def _without_seeds(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_seeds(each) for key, each in value.items() if not is_seed(str(key))}


def is_seed(name: str) -> bool:
    """Whether a setting only repeats a configuration: `seed`, `data_seed`."""
    return name.rpartition("_")[2] == "seed"
