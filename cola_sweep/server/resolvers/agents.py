"""Agents: joining a sweep, the heartbeat that brings them commands, reading them."""

import json
from typing import Any

from cola_sweep.server import dispatch, ids, names, run_lists, texts
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, HttpRefusal, Refused, Resolvers
from cola_sweep.server.resolvers.projects import named
from cola_sweep.server.store import agents, projects, sweeps
from cola_sweep.server.store.agents import Agent
from cola_sweep.server.store.sweeps import Sweep

resolvers = Resolvers()


@resolvers.field("Mutation", "createAgent")
def _create(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    entity, project_name = named(context, given.get("entityName"), given.get("projectName"))
    project = projects.get(context.store, entity, project_name)
    sweep = sweeps.get(context.store, project.id, given["sweep"]) if project else None
    if sweep is None:
        raise Refused(f"there is no sweep {entity}/{project_name}/{given['sweep']}")
    return {"agent": agents.create(context.store, sweep.id, names.run_id(), given.get("host"))}


@resolvers.field("Mutation", "agentHeartbeat")
def _heartbeat(context: Context, parent: Any, args: Args) -> Args:
    """`commands` is the text of a list; HTTP 404 tells the agent that its sweep is no more."""
    given = args["input"]
    agent_id = ids.decode(given["id"], "Agent")
    try:
        commands = dispatch.heartbeat(context.store, agent_id, _live(given.get("runState")))
    except dispatch.NoSuchAgent as error:
        raise HttpRefusal(404, str(error)) from None
    return {"agent": agents.by_id(context.store, agent_id), "commands": json.dumps(commands)}


@resolvers.field("Sweep", "agents")
def _of_sweep(context: Context, sweep: Sweep, args: Args) -> Args:
    found = agents.of_sweep(context.store, sweep.id)
    return page(found, args.get("first"), lambda agent: ids.encode("Agent", agent.id))


@resolvers.field("Sweep", "agent")
def _agent(context: Context, sweep: Sweep, args: Args) -> Agent | None:
    return agents.by_name(context.store, sweep.id, args.get("agentName") or "")


@resolvers.field("Agent", "id")
def _id(context: Context, agent: Agent, args: Args) -> str:
    return ids.encode("Agent", agent.id)


@resolvers.field("Agent", "totalRuns")
def _total_runs(context: Context, agent: Agent, args: Args) -> int:
    return agents.total_runs(context.store, agent.id)


@resolvers.field("Agent", "runs")
def _runs(context: Context, agent: Agent, args: Args) -> Args:
    sweep = sweeps.by_id(context.store, agent.sweep_id)
    assert sweep is not None
    return run_lists.connection(
        context.store,
        sweep.project_id,
        order=args.get("order"),
        first=args.get("first"),
        after=args.get("after"),
        only={"agent": {agent.id}},
    )


def _live(text: str | None) -> set[str]:
    """The names in `runState`, `{name: true}`."""
    try:
        state = texts.parsed(text) if text else {}
        return {str(name) for name, alive in state.items() if alive}
    except (ValueError, AttributeError):
        raise Refused("runState is not a JSON object") from None
