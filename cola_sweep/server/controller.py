"""The local controller's orders: `wandb controller` searches, and writes what it wants into the sweep.

Its JSON: `{"schedule": [{"id": s, "data": {"args": {k: {"value": v}}}}], "earlystop": [run name, ...]}`.
We answer in the sweep's `scheduler` JSON: `{"scheduled": [{"id": s, "runid": run name}, ...]}`.
"""

import json
from typing import Any

from cola_sweep.server import dispatch, states, texts
from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import Store, runs, sweeps
from cola_sweep.server.store.sweeps import Sweep


def obey(store: Store, sweep: Sweep, text: str) -> None:
    """Keep the controller's JSON, make a run of each new entry of its schedule, and stop what it says.

    An entry without arguments says that there will be no more: the sweep is finished.

    Raises:
        Refused: the text is not such JSON.
    """
    try:
        orders, answers = texts.parsed(text), json.loads(sweep.scheduler or "{}")
        schedule = [(str(entry["id"]), entry["data"]["args"]) for entry in orders.get("schedule") or []]
        stopped = [str(name) for name in orders.get("earlystop") or []]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused("controller is not the JSON of a local controller") from None
    with store.write():
        scheduled: list[dict[str, Any]] = answers.get("scheduled") or []
        done = {entry["id"] for entry in scheduled}
        for number, arguments in schedule:
            if number in done:
                continue
            if arguments is None:
                sweeps.set_state(store, sweep.id, "FINISHED", only_from=states.OPEN_SWEEP)
                continue
            run = dispatch.enqueue(store, sweep, arguments)
            scheduled = [*scheduled, {"id": number, "runid": run.name}]
        for name in stopped:
            run_to_stop = runs.get(store, sweep.project_id, name)
            if run_to_stop and run_to_stop.sweep_id == sweep.id and run_to_stop.state in states.OPEN_RUN:
                runs.request_stop(store, run_to_stop.id, "asked for by the local controller")
        answers["scheduled"] = scheduled
        sweeps.update(store, sweep.id, controller=text, scheduler=json.dumps(answers))
