"""A sweep as its page's scripts are given it: parameters, trials, agents, and what it may be asked for. Only reads."""

import json
from collections import Counter
from functools import lru_cache
from typing import Any

from cola_sweep.parameters import EXPONENT, LOG_VALUES, Parameter
from cola_sweep.server import states, trials
from cola_sweep.server.paths import MISSING, lookup
from cola_sweep.server.store import Store, agents, runs
from cola_sweep.server.store.database import seconds
from cola_sweep.server.store.runs import Part
from cola_sweep.server.store.sweeps import Sweep
from cola_sweep.space import SweepSpec

# What the page's buttons ask for, in `states`' words: each one's word, and what it does.
MOVES = {
    "PAUSED": ("Pause", "Agents wait; trials under way go on."),
    "RUNNING": ("Resume", "Agents are given trials again."),
    "FINISHED": ("Stop", "No more trials; those under way go on to their end."),
    "CANCELED": ("Cancel", "No more trials; those under way are ended."),
}
NOTES = 300  # letters of a trial's notes: what was done about one that failed stands there
_COLUMNS = (
    "name", "display_name", "state", "args_json", "config_json", "summary_json", "created_at", "heartbeat_at",
    "finished_at", "stop_reason", "agent_id", "notes",
)  # fmt: skip


def moves(state: str) -> list[str]:
    """The states that a sweep in `state` may be asked for and is not in; its first agent takes it out of PENDING."""
    idle = {state, "RUNNING"} if state == "PENDING" else {state}
    return [wanted for wanted in MOVES if wanted not in idle and _may(state, wanted)]


def data(store: Store, sweep: Sweep) -> dict[str, Any]:
    """All that a sweep's page draws.

    Returns:
        `live`, whether this may still change; `state`; `method`; `moves`; `metric` (name and goal, or None); `cap`;
        `parameters` (name, scale: `log`, `linear` or `values`), those that vary; `trials` in the order they were
        issued, each with its `values` in the order of the parameters; `agents`.
    """
    spec = trials.spec_of(sweep.config)
    rows = runs.parts(store, sweep.project_id, _COLUMNS, {"sweep": {sweep.name}})
    given = Counter(row["agent_id"] for row in rows)
    names = {agent.id: agent.name for agent in agents.of_sweep(store, sweep.id)}
    return {
        "live": sweep.state in states.OPEN_SWEEP or any(row["state"] in states.OPEN_RUN for row in rows),
        "state": sweep.state,
        "method": sweep.method,
        "moves": moves(sweep.state),
        "metric": {"name": spec.metric.name, "goal": spec.metric.goal} if spec and spec.metric else None,
        "cap": spec.run_cap if spec else None,
        "parameters": [{"name": p.name, "scale": _scale(p)} for p in (varied(spec) if spec else ())],
        "trials": [_trial(row, sweep.config, names) for row in rows],
        "agents": [
            {
                "name": agent.name, "host": agent.host, "state": agent.state, "heartbeat": agent.heartbeat_at,
                "runs": given[agent.id], "why": agent.exit_reason,
            }
            for agent in agents.of_sweep(store, sweep.id)
        ],
    }  # fmt: skip


def elapsed(row: Part) -> float:
    """Seconds from when a run was made to its end or its last sign of life."""
    return max(
        seconds(row["finished_at"] or row["heartbeat_at"] or row["created_at"]) - seconds(row["created_at"]), 0.0
    )


def _trial(row: Part, config: str, names: dict[int, str]) -> dict[str, Any]:
    value, values = found(row["args_json"] or row["config_json"], row["summary_json"], config)
    return {
        "id": row["name"], "name": row["display_name"], "state": row["state"], "value": value, "values": values,
        "since": row["created_at"], "seconds": elapsed(row), "reason": row["stop_reason"],
        "agent": names.get(row["agent_id"]), "notes": (row["notes"] or "")[:NOTES] or None,
    }  # fmt: skip


# A sweep that runs is read every few seconds, and most of its trials are as they were.
@lru_cache(maxsize=4096)
def found(params_json: str, summary_json: str, config: str) -> tuple[float | None, list[Any]]:
    """A trial's value of the metric, and its values of the parameters that vary; None for one that it does not have."""
    spec = trials.spec_of(config)
    if spec is None:
        return None, []
    params = trials.plain(json.loads(params_json))
    values = [lookup(params, p.name) for p in varied(spec)]
    value = trials.metric_value(summary_json, spec.metric) if spec.metric else None
    return value, [None if each is MISSING else each for each in values]


def varied(spec: SweepSpec) -> list[Parameter]:
    """The parameters that a sweep varies."""
    return [p for p in spec.parameters if p.distribution != "constant"]


def _scale(parameter: Parameter) -> str:
    if parameter.values:
        return "values"
    return "log" if parameter.distribution in EXPONENT | LOG_VALUES else "linear"


def _may(state: str, wanted: str) -> bool:
    try:
        states.moved(state, wanted)
    except states.IllegalMove:
        return False
    return True
