"""Runs that branch off another at a step, `wandb.init(fork_from="<run>?_step=<n>")`.

A fork begins with what the other run logged up to that step, and the client goes on behind it. All that the client
says of it is in its own part of the config: `branch_point`, which a rewound run has too, of itself.
"""

import json
from typing import Any

from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import Store, runs, streams


def begin(store: Store, run: runs.Run) -> runs.Run | None:
    """Give a fork that has no history yet that of its source; None if the run is no fork. Inside a transaction.

    Raises:
        Refused: its source does not exist.
    """
    point = _branch_point(json.loads(run.config_json))
    if point is None or point["run_id"] == run.name:
        return None
    source = runs.get(store, run.project_id, str(point["run_id"]))
    if source is None:
        raise Refused(f"there is no run {point['run_id']!r} in this project to fork from")
    if run.history_lines == 0:  # otherwise the client asks again, for the answer was lost
        streams.inherit(store, run.id, source.id, int(point["step"]))
    return runs.by_id(store, run.id)


def _branch_point(config: dict[str, Any]) -> dict[str, Any] | None:
    own = config.get("_wandb")
    value = own.get("value") if isinstance(own, dict) else None
    point = value.get("branch_point") if isinstance(value, dict) else None
    if not isinstance(point, dict) or "run_id" not in point:
        return None
    step = point.get("step")
    return point if isinstance(step, int | float) and -(2**63) <= step < 2**63 else None
