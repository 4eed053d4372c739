"""`wandb sweep-scheduler`: a search elsewhere enqueues runs, and agents take them.

It reads through the fields of `Sweep` and `Run`, stops runs by `stopRun` and ends by `upsertSweep`.
"""

from typing import Any

from cola_sweep.server import dispatch, ids, states, texts
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.resolvers import sweeps

resolvers = Resolvers()


@resolvers.field("Mutation", "enqueueSweepRun")
def _enqueue(context: Context, parent: Any, args: Args) -> Args:
    """A pending run from here on. `id` answers with its name."""
    given = args["input"]
    try:
        config = texts.parsed(given["config"])
    except ValueError as error:
        raise Refused(f"config is not JSON: {error}") from None
    if not isinstance(config, dict) or not all(isinstance(v, dict) and "value" in v for v in config.values()):
        raise Refused('config must be an object of {"value": ...}')
    with context.store.write():
        sweep = sweeps.by_id(context, given["id"])
        if sweep.state not in states.OPEN_SWEEP:
            raise Refused(f"the sweep is {sweep.state}: resume it first")
        run = dispatch.enqueue(context.store, sweep, config, given.get("displayName"))
    return {"id": run.name, "runQueueItemId": ids.encode("RunQueueItem", run.id)}
