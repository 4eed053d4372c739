"""Sweeps: making and changing them, reading them with their runs."""

import random
from threading import Thread
from typing import Any

import yaml

from cola_sweep import sweep_rules
from cola_sweep.document import parse
from cola_sweep.errors import UserError
from cola_sweep.points import count
from cola_sweep.server import controller, dispatch, ids, names, run_lists, search, states, texts, trials
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.listing import listing
from cola_sweep.server.resolvers.projects import named
from cola_sweep.server.store import projects, runs, sweeps
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep
from cola_sweep.space import SweepSpec, read_mapping
from cola_sweep.start_rules import runs_our_trial

resolvers = Resolvers()


@resolvers.field("Mutation", "upsertSweep")
def _upsert(context: Context, parent: Any, args: Args) -> Args:
    """Make a sweep, or with an `id` change one; null and absent inputs leave what is there."""
    given = {name: value for name, value in args["input"].items() if value is not None}
    spec, warnings = _read(given["config"]) if "config" in given else (None, [])
    with context.store.write():
        if "id" in given:
            sweep = _changed(context, by_id(context, given["id"]), given, spec)
        else:
            sweep = _made(context, given, spec)
        if "priorRunsFilters" in given:
            matching = run_lists.connection(context.store, sweep.project_id, filters=given["priorRunsFilters"])
            sweeps.add_prior_runs(context.store, sweep.id, [edge["node"].id for edge in matching["edges"]])
        if "controller" in given:
            controller.obey(context.store, sweep, given["controller"])
        if "id" in given and "state" in given:
            try:
                dispatch.set_sweep_state(context.store, sweep, given["state"])
            except states.IllegalMove as error:
                raise Refused(str(error)) from None
        fresh = sweeps.by_id(context.store, sweep.id)
    if spec is not None:
        # Before the first agent asks; the answer need not wait.
        Thread(target=search.prepare, args=(spec.method,)).start()
    return {"sweep": fresh, "configValidationWarnings": warnings}


@resolvers.field("Project", "sweep")
def _sweep(context: Context, project: Project, args: Args) -> Sweep | None:
    return sweeps.get(context.store, project.id, args.get("sweepName") or args.get("name") or "")


@resolvers.field("Project", "sweeps")
def _sweeps(context: Context, project: Project, args: Args) -> Args:
    found = sweeps.of_project(context.store, project.id)
    return listing(found, args, key=lambda sweep: sweep.id, fields=_fields, order="-id")


@resolvers.field("Project", "totalSweeps")
def _total(context: Context, project: Project, args: Args) -> int:
    return len(sweeps.of_project(context.store, project.id))


@resolvers.field("Run", "sweep")
def _of_run(context: Context, run: Run, args: Args) -> Sweep | None:
    return sweeps.by_id(context.store, run.sweep_id) if run.sweep_id is not None else None


@resolvers.field("Sweep", "id")
def _id(context: Context, sweep: Sweep, args: Args) -> str:
    return ids.encode("Sweep", sweep.id)


@resolvers.field("Sweep", "project")
def _project(context: Context, sweep: Sweep, args: Args) -> Project | None:
    return projects.by_id(context.store, sweep.project_id)


@resolvers.field("Sweep", "controllerRunName")
def _controller_run(context: Context, sweep: Sweep, args: Args) -> str | None:
    return sweep.controller_run


@resolvers.field("Sweep", "earlyStopJobRunning")
def _no_job(context: Context, sweep: Sweep, args: Args) -> bool:
    """Early stopping is judged as values arrive, not by a job."""
    return False


@resolvers.field("Sweep", "runs")
def _runs(context: Context, sweep: Sweep, args: Args) -> Args:
    wanted = {name: args.get(name) for name in ("filters", "order", "first", "after")}
    return run_lists.connection(context.store, sweep.project_id, only={"sweep": {sweep.name}}, **wanted)


@resolvers.field("Sweep", "priorRuns")
def _prior_runs(context: Context, sweep: Sweep, args: Args) -> Args:
    return {"edges": [{"node": run} for run in sweeps.prior_runs(context.store, sweep.id)]}


@resolvers.field("Sweep", "runCount")
def _run_count(context: Context, sweep: Sweep, args: Args) -> int:
    return sweeps.run_count(context.store, sweep.id)


@resolvers.field("Sweep", "runCountExpected")
def _run_count_expected(context: Context, sweep: Sweep, args: Args) -> int | None:
    """The number of grid points; null for a search without end."""
    spec = trials.spec_of(sweep.config)
    return count(spec.parameters) if spec and spec.method == "grid" else None


@resolvers.field("Sweep", "bestLoss")
def _best_loss(context: Context, sweep: Sweep, args: Args) -> float | None:
    spec = trials.spec_of(sweep.config)
    return trials.best_value(runs.of_sweep(context.store, sweep.id), spec.metric if spec else None)


def by_id(context: Context, opaque: object) -> Sweep:
    """The sweep with that opaque id.

    Raises:
        Refused: there is none.
    """
    sweep = sweeps.by_id(context.store, ids.decode(opaque, "Sweep"))
    if sweep is None:
        raise Refused("there is no such sweep")
    return sweep


def _read(config: str) -> tuple[SweepSpec, list[str]]:
    """The specification and what to warn of; all that is wrong, a line each, is one refusal."""
    errors: list[UserError] = []
    try:
        spec = read_mapping(parse(config).data, errors)
    except UserError as error:
        raise Refused("\n".join(map(str, [*errors, error]))) from None
    # Other programs have settings and metrics of their own.
    ours = runs_our_trial(spec)
    general = [*spec.warnings, *sweep_rules.search(spec), *sweep_rules.retried(spec)]
    found = sweep_rules.findings(spec) if ours else general
    wrong = [*errors, *(finding for finding in found if finding.severity == "error")]
    if wrong:
        raise Refused("\n".join(map(str, wrong)))
    return spec, [str(finding) for finding in found]


def _made(context: Context, given: Args, spec: SweepSpec | None) -> Sweep:
    if spec is None:
        raise Refused("a new sweep needs a config")
    project = projects.ensure(context.store, *named(context, given.get("entityName"), given.get("projectName")))
    seeds = (sweep_rules.search_seed(spec), context.search_seed, random.SystemRandom().getrandbits(31))
    return sweeps.create(
        context.store,
        project.id,
        names.run_id(),
        config=given["config"],
        method=spec.method,
        state=states.moved("PENDING", given.get("state", "PENDING")),
        seed=next(seed for seed in seeds if seed is not None),
        controller_run=names.run_id() if spec.engine else None,
        **_columns(given),
    )


def _changed(context: Context, sweep: Sweep, given: Args, spec: SweepSpec | None) -> Sweep:
    changes: dict[str, Any] = _columns(given)
    # The local controller posts its config, rewritten, with each step: only another meaning is a change.
    if spec is not None and yaml.safe_load(given["config"]) != yaml.safe_load(sweep.config):
        seed = sweep_rules.search_seed(spec)
        changes |= {"config": given["config"], "method": spec.method, "seed": sweep.seed if seed is None else seed}
        sweeps.change_config(context.store, sweep, **changes)
    elif changes:
        sweeps.update(context.store, sweep.id, **changes)
    return by_id(context, given["id"])


def _columns(given: Args) -> dict[str, Any]:
    columns = {"displayName": "display_name", "description": "description", "scheduler": "scheduler"}
    changes = {column: given[name] for name, column in columns.items() if name in given}
    if "scheduler" in changes:
        try:
            texts.read("scheduler", changes["scheduler"])
        except ValueError as error:
            raise Refused(str(error)) from None
    return changes


def _fields(sweep: Sweep) -> dict[str, Any]:
    """What filters and orders of sweeps may name."""
    kept = ("name", "display_name", "state", "method", "description", "created_at", "updated_at", "heartbeat_at")
    return {name: getattr(sweep, name) for name in kept}
