"""Runs: lists of them, making and changing them, resuming and rewinding, and their own fields."""

import json
from dataclasses import replace
from typing import Any

from cola_sweep.server import forks, history_keys, ids, names, run_lists, shared, texts
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, HttpRefusal, Refused, Resolvers
from cola_sweep.server.resolvers import artifact_changes
from cola_sweep.server.resolvers.projects import named
from cola_sweep.server.store import projects, runs, streams
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run

resolvers = Resolvers()

# `upsertBucket` inputs that are columns as they stand.
_COLUMNS = {
    "displayName": "display_name",
    "groupName": "group_name",
    "jobType": "job_type",
    "jobProgram": "program",
    "jobRepo": "repo",
    "commit": "commit_hash",
    "host": "host",
    "notes": "notes",
    "description": "description",
}
# Inputs of a process that begins or resumes a run: `Api` sends none of them.
_PROCESS = {"host", "jobProgram"}
# `updateRunState`: the states it may set, each with those it may follow.
_MOVES = {
    "pending": {"running", "failed", "crashed", "preempted"},
    "failed": {"pending", "running"},
}


@resolvers.field("Project", "run", "bucket")
def _run(context: Context, project: Project, args: Args) -> Run | None:
    return runs.get(context.store, project.id, args.get("name") or "")


@resolvers.field("Project", "runs")
def _runs(context: Context, project: Project, args: Args) -> Args:
    wanted = {name: args.get(name) for name in ("filters", "order", "first", "after")}
    return run_lists.connection(context.store, project.id, **wanted)


@resolvers.field("Project", "runCount")
def _run_count(context: Context, project: Project, args: Args) -> int:
    return run_lists.count(context.store, project.id, args.get("filters"))


@resolvers.field("Mutation", "upsertBucket")
def _upsert(context: Context, parent: Any, args: Args) -> Args:
    """Change or make a run; null and absent inputs leave what is there."""
    given = {name: value for name, value in args["input"].items() if value is not None}
    with context.store.write():
        if "id" not in given:
            run, inserted = _adopt_or_make(context, given)
            # A count tells wandb-core to write behind those lines, and this process has not resumed:
            # it begins at line 0, or behind what it inherits. One that has resumed knows the run's id,
            # and asked for the count before.
            return {"bucket": forks.begin(context.store, run) or replace(run, history_lines=0), "inserted": inserted}
        run = _named_by_id(context, given["id"], gone=410)
        changes = _changes(given) | (_unstopped(run) if _PROCESS & given.keys() else {})
        return {"bucket": _changed(context, run, changes), "inserted": False}


@resolvers.field("Mutation", "deleteRun")
def _delete(context: Context, parent: Any, args: Args) -> Args:
    """Delete a run; again is no error, and may be for the artifacts that were spared before."""
    run = _named_by_id(context, args["input"]["id"], deleted=True)
    if args["input"].get("deleteArtifacts"):
        artifact_changes.delete_artifacts_of_run(context, run.id)
    if run.deleted_at is None:
        runs.delete(context.store, run.id)
    context.blobs.remove_run(run.id)
    return {"clientMutationId": args["input"].get("clientMutationId")}


@resolvers.field("Mutation", "stopRun")
def _stop(context: Context, parent: Any, args: Args) -> Args:
    run = _named_by_id(context, args["input"]["id"])
    if run.state not in runs.ENDED:
        runs.request_stop(context.store, run.id, "asked for by a user")
    return {"success": True}


@resolvers.field("Mutation", "updateRunState")
def _update_state(context: Context, parent: Any, args: Args) -> Args:
    state = args["input"]["state"]
    with context.store.write():
        run = _named_by_id(context, args["input"]["id"])
        if run.sweep_id is not None:
            raise Refused("the state of a sweep's run is the sweep's to set")
        if run.state not in _MOVES.get(state, ()):
            raise Refused(f"invalid state transition: a run that is {run.state} cannot be made {state}")
        runs.update(context.store, run.id, state=state)
    return {"success": True}


@resolvers.field("Mutation", "rewindRun")
def _rewind(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    if given["metricName"] != "_step":
        raise Refused(f"a run is rewound by _step alone, not by {given['metricName']}")
    with context.store.write():
        run = _found(context, given)
        streams.rewind(context.store, run.id, _step(given["metricValue"]))
        return {"rewoundRun": _changed(context, run, {"state": "running", "exitcode": None, "finished_at": None})}


def _step(given: float) -> int:
    if not -(2**63) <= given < 2**63:  # nor is it NaN
        raise Refused(f"input.metricValue must be a step, got {given!r}")
    return int(given)


@resolvers.field("Mutation", "notifyScriptableRunAlert")
def _alert(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    run = _found(context, given)
    severity = given.get("severity") or "INFO"
    runs.add_alert(context.store, run.id, title=given["title"], text=given["text"], severity=severity)
    return {"success": True}


def _named_by_id(context: Context, opaque: object, *, gone: int | None = None, deleted: bool = False) -> Run:
    """The run with that id, deleted or not if so asked; if there is none, an error, or with `gone` that HTTP status."""
    run = runs.by_id(context.store, ids.decode(opaque, "Run"), deleted=deleted)
    if run is None:
        raise HttpRefusal(gone, "the run was deleted") if gone else Refused("there is no such run")
    return run


def _found(context: Context, given: Args) -> Run:
    entity, project = named(context, given.get("entityName"), given.get("projectName"))
    run = runs.find(context.store, entity, project, given["runName"])
    if run is None:
        raise Refused(f"there is no run {entity}/{project}/{given['runName']}")
    return run


def _adopt_or_make(context: Context, given: Args) -> tuple[Run, bool]:
    """The run of that name, changed, or a new one; and whether it is new. Inside a transaction."""
    entity, project_name = named(context, given.get("entityName"), given.get("modelName"))
    project = projects.ensure(context.store, entity, project_name)
    name = given.get("name") or names.run_id()
    run = runs.get(context.store, project.id, name, deleted=True)
    if run is not None and run.deleted_at is not None:
        raise HttpRefusal(410, f"run {entity}/{project_name}/{name} was deleted")
    sweep_id = runs.sweep_number(context.store, project.id, given["sweep"]) if "sweep" in given else None
    changes = _changes(given)
    if run is None:
        minted = names.display_name(runs.next_number(context.store, project.id, sweep_id), sweep=sweep_id is not None)
        columns = {"display_name": minted, "state": given.get("state", "running"), "user_name": context.user.name}
        columns |= {"sweep_id": sweep_id, **changes}
        return runs.create(context.store, project.id, name, **columns), True
    if sweep_id is not None and run.sweep_id is None:
        changes["sweep_id"] = sweep_id
    if _PROCESS & given.keys():
        changes |= _beginning(context, run)
    return _changed(context, run, changes), False


def _beginning(context: Context, run: Run) -> dict[str, Any]:
    """What changes when a process takes up a run without resuming it: one that has ended begins anew."""
    if (run.state in runs.ENDED or run.state == "preempted") and context.writer is None:
        streams.clear(context.store, run.id)
    return {
        "state": "running",
        "heartbeat_at": context.store.now(),
        "finished_at": None,
        "exitcode": None,
        "user_name": context.user.name,
        **_unstopped(run),
    }


def _unstopped(run: Run) -> dict[str, Any]:
    """A run that has ended is taken up again although it was told to stop; one that waits or runs still has to."""
    return {"stop_requested": 0, "stop_reason": None} if run.state in runs.ENDED else {}


def _changes(given: Args) -> dict[str, Any]:
    changes = {column: given[name] for name, column in _COLUMNS.items() if name in given}
    if "config" in given:
        changes["config_json"] = _object_text("config", given["config"])
    if "summaryMetrics" in given:
        changes["summary_json"] = _object_text("summaryMetrics", given["summaryMetrics"])
    if "tags" in given:
        changes["tags_json"] = json.dumps(list(dict.fromkeys(given["tags"])))
    return changes


def _changed(context: Context, run: Run, changes: dict[str, Any]) -> Run:
    if context.writer is not None and "config_json" in changes:  # it does not know what the others configured
        config = shared.merged_config(json.loads(run.config_json), json.loads(changes["config_json"]))
        changes = {**changes, "config_json": json.dumps(config)}
    runs.update(context.store, run.id, **changes)
    changed = runs.by_id(context.store, run.id)
    assert changed is not None
    return changed


def _object_text(where: str, text: str) -> str:
    try:
        return texts.read(where, text)[1]
    except ValueError as error:
        raise Refused(str(error)) from None


@resolvers.field("Run", "id")
def _id(context: Context, run: Run, args: Args) -> str:
    return ids.encode("Run", run.id)


@resolvers.field("Run", "projectId")
def _project_id(context: Context, run: Run, args: Args) -> str:
    return str(run.project_id)


@resolvers.field("Run", "project")
def _project(context: Context, run: Run, args: Args) -> Project | None:
    return projects.by_id(context.store, run.project_id)


@resolvers.field("Run", "user")
def _user(context: Context, run: Run, args: Args) -> Args:
    return {"__typename": "User", "name": run.user_name or run.entity, "username": run.user_name or run.entity}


@resolvers.field("Run", "config")
def _config(context: Context, run: Run, args: Args) -> str:
    return run.config_json


@resolvers.field("Run", "wandbConfig")
def _wandb_config(context: Context, run: Run, args: Args) -> str:
    """The client's own part of the config; by its key `t` a resuming client knows that the run has begun."""
    kept = json.loads(run.config_json).get("_wandb")
    kept = kept.get("value") if isinstance(kept, dict) else None
    keys = args.get("keys")
    chosen = {key: value for key, value in (kept or {}).items() if keys is None or key in keys}
    return json.dumps(chosen)


@resolvers.field("Run", "summaryMetrics")
def _summary(context: Context, run: Run, args: Args) -> str:
    return run.summary_json  # never null: the client resumes no run without one, however early it was killed


@resolvers.field("Run", "systemMetrics")
def _system(context: Context, run: Run, args: Args) -> str:
    return run.system_json


@resolvers.field("Run", "tags")
def _tags(context: Context, run: Run, args: Args) -> Any:
    return json.loads(run.tags_json)


@resolvers.field("Run", "group")
def _group(context: Context, run: Run, args: Args) -> str | None:
    return run.group_name


@resolvers.field("Run", "commit")
def _commit(context: Context, run: Run, args: Args) -> str | None:
    return run.commit_hash


@resolvers.field("Run", "heartbeatAt")
def _heartbeat_at(context: Context, run: Run, args: Args) -> str:
    return run.heartbeat_at or run.created_at


@resolvers.field("Run", "readOnly")
def _read_only(context: Context, run: Run, args: Args) -> bool:
    return False


@resolvers.field("Run", "stopped", "shouldStop")
def _stopped(context: Context, run: Run, args: Args) -> bool:
    return bool(run.stop_requested)


@resolvers.field("Run", "running")
def _running(context: Context, run: Run, args: Args) -> bool:
    return run.state == "running"


@resolvers.field("Run", "failed")
def _failed(context: Context, run: Run, args: Args) -> bool:
    return run.state in ("failed", "crashed")


@resolvers.field("Run", "historyLineCount")
def _history_lines(context: Context, run: Run, args: Args) -> int:
    return run.history_lines


@resolvers.field("Run", "eventsLineCount")
def _events_lines(context: Context, run: Run, args: Args) -> int:
    return run.events_lines


@resolvers.field("Run", "logLineCount")
def _console_lines(context: Context, run: Run, args: Args) -> int:
    return run.console_lines


@resolvers.field("Run", "historyKeys")
def _history_keys(context: Context, run: Run, args: Args) -> Args | None:
    if run.last_step is None:
        return None
    return history_keys.graphql(json.loads(run.keys_json), run.last_step)
