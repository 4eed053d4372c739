"""A sweep's runs as the search sees them. Pure."""

import json
import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cola_sweep.errors import UserError
from cola_sweep.server.paths import lookup
from cola_sweep.server.search import Trial, placed
from cola_sweep.server.search.trials import VALUED, TrialState
from cola_sweep.server.states import OPEN_RUN
from cola_sweep.server.store.runs import Outline, Run
from cola_sweep.space import Metric, SweepSpec, read_text

# Members of a summary object (`define_metric(summary=...)`) by how well they say what the best epoch gave.
_MEMBERS = {"maximize": ("max", "best", "last", "mean"), "minimize": ("min", "best", "last", "mean")}


@lru_cache(maxsize=256)
def spec_of(config: str) -> SweepSpec | None:
    """The specification in a sweep's YAML text; None if it cannot be read."""
    try:
        return read_text(config)
    except UserError:
        return None


def trial(run: Outline, config: str) -> Trial:
    """What the search of a sweep, given by its YAML text, is told of a run."""
    state = trial_state(run)
    # What a run says on its way is no result, and left out, so that its trial too is found again.
    return _trial(run.params_json, run.summary_json if state in VALUED else "{}", state, config)


# A run under way changes with every line that it logs, its trial does not: what was worked out from it is kept.
@lru_cache(maxsize=1024)
def _trial(params_json: str, summary_json: str, state: TrialState, config: str) -> Trial:
    spec = spec_of(config)
    assert spec is not None, "no search without a specification"
    value = metric_value(summary_json, spec.metric) if spec.metric else None
    return placed(spec, plain(json.loads(params_json)), state, value)


def trial_state(run: Outline) -> TrialState:
    """A run's state in the search's words."""
    if run.state in ("pending", "preempted"):
        return "waiting"
    if run.state in OPEN_RUN:
        return "running"
    if run.heartbeat_at is None:
        return "unstarted"
    if run.stop_requested and run.state != "crashed":
        return "pruned"
    return "complete" if run.state == "finished" else "failed"


def given_out(run: Outline) -> bool:
    """Whether a run counts as given to an agent: one that waits does not, nor one that never started."""
    return (run.agent_id is not None or run.state != "pending") and trial_state(run) != "unstarted"


def metric_value(summary_json: str, metric: Metric) -> float | None:
    """The metric at its best epoch as the summary has it; None if it is missing or not finite."""
    value = lookup(json.loads(summary_json), metric.name)
    if isinstance(value, dict):
        value = next((value[member] for member in _MEMBERS[metric.goal] if member in value), None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def best_value(runs: Iterable[Run | Outline], metric: Metric | None) -> float | None:
    """The best value that any of the runs has."""
    values = [value for run in runs if metric and (value := metric_value(run.summary_json, metric)) is not None]
    if not metric or not values:
        return None
    return max(values) if metric.goal == "maximize" else min(values)


def reaches(metric: Metric, value: float | None) -> bool:
    """Whether a value is as good as the metric's target; False without one."""
    if value is None or metric.target is None:
        return False
    return value >= metric.target if metric.goal == "maximize" else value <= metric.target


def wrapped(params: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments in the form of the wire: each value in `{"value": ...}`."""
    return {key: {"value": value} for key, value in params.items()}


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `wrapped`; values that are not wrapped stay."""
    return {k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in config.items()}
