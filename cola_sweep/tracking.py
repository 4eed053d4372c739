"""The trial's W&B run: opened and finished with the trial, and what is logged to it beside Lightning's metrics.

Imports callbacks' names, connection, endings, errors, metric_names, plots and samples; wandb and lightning inside
functions, or where they are loaded anyway.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cola_sweep.connection import DEFAULT_PROJECT, check_reachable, graphql, server_address, within
from cola_sweep.endings import Stopped, StopRequest, exit_code
from cola_sweep.errors import UserError
from cola_sweep.metric_names import METRIC_NAMES, summary_rule

if TYPE_CHECKING:
    import wandb

    from cola_sweep.callbacks import Best
    from cola_sweep.corpus import Split

X_AXIS = "trainer/global_step"  # Lightning's logger sends it with every metric
PREEMPTIBLE = "COLA_SWEEP_PREEMPTIBLE"
ANSWER_SECONDS = 15.0  # half of the time that the agent gives a trial to end
STOPPED = """query RunStoppedStatus($projectName: String, $entityName: String, $runId: String!) {
  project(name: $projectName, entityName: $entityName) { run(name: $runId) { stopped } }
}"""
ENDINGS = ("stopped", "failure")  # keys of the summary that say how a trial ended, if not well


def in_sweep() -> bool:
    """Whether an agent started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


@contextmanager
def only_warned(consequence: str) -> Iterator[None]:
    """Say an error of this block in one line, with its consequence: it is none of the trial's."""
    import wandb

    try:
        yield
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        wandb.termwarn(f"{consequence}: {reason}")


@contextmanager
def tracked_run(config: Mapping[str, Any], stop: StopRequest) -> "Iterator[wandb.Run]":
    """Open the run that the agent or the environment names, and finish it with the exit code of what happens in it.

    In a sweep a run that has begun before is resumed, whoever had it; by hand, one is where `WANDB_RESUME` says so.

    Raises:
        UserError: wandb cannot open it.
    """
    import wandb

    online = wandb.setup().settings.mode == "online"
    if online and not in_sweep():
        check_reachable(server_address())  # wandb itself would try a dead address for two minutes
    try:
        run = wandb.init(
            project=None if in_sweep() else os.environ.get("WANDB_PROJECT", DEFAULT_PROJECT),
            config=dict(config),
            resume="allow" if online and in_sweep() else None,
            settings=wandb.Settings(stop_fn=stop.from_server),
        )
    except wandb.errors.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        fix = "run `make serve` or `wandb login`, or set WANDB_MODE=offline"
        raise UserError("wandb.init", rule=f"no run could be opened ({reason})", fix=fix) from error
    try:
        for key in set(ENDINGS) & set(run.summary.keys()):
            del run.summary[key]  # of the attempt before this one
        yield run
    except BaseException as error:
        run.summary["stopped" if isinstance(error, Stopped) else "failure"] = f"{type(error).__name__}: {error}"
        run.finish(exit_code=exit_code(error))
        raise
    run.finish(exit_code=0)


def is_preempted(run: "wandb.Run", stop: StopRequest) -> bool:
    """Whether the machine is being taken away: SIGTERM, where COLA_SWEEP_PREEMPTIBLE says that it may mean that, and
    the server did not ask for a stop, which the agent passes on as SIGTERM too. From then on `stop` knows who asked."""
    if stop.signum != signal.SIGTERM:
        return False
    may_be = os.environ.get(PREEMPTIBLE, "0") != "0"
    if not run.offline and not stop.by_server and (may_be or in_sweep()):
        with only_warned("the server did not say whether it stopped the run"):
            stop.by_server = within(ANSWER_SECONDS, lambda: was_stopped(run))
    return may_be and not stop.by_server


def was_stopped(run: "wandb.Run") -> bool:
    """What wandb's client asks every 15 s, too late for a signal of the agent's; its API has no name for it."""
    import wandb

    variables = {"projectName": run.project, "entityName": run.entity, "runId": run.id}
    return bool(graphql(wandb.Api(), STOPPED, variables)["project"]["run"]["stopped"])


def define_metrics(run: "wandb.Run") -> None:
    """Best and last value of each metric reach the summary, and charts have the step of the optimizer as x axis."""
    run.define_metric(X_AXIS)
    run.define_metric("*", step_metric=X_AXIS)
    for name in METRIC_NAMES:
        if rule := summary_rule(name):
            run.define_metric(name, step_metric=X_AXIS, summary=rule)


def log_best(run: "wandb.Run", best: "Best", valid: "Split") -> None:
    """Charts and tables of the best epoch; in the summary, which one that was and whether it predicts one class."""
    import wandb

    from cola_sweep import plots, samples

    tables = {
        "examples": (samples.EXAMPLE_COLUMNS, samples.example_rows(best.predictions, valid)),
        "predictions": (samples.PREDICTION_COLUMNS, samples.prediction_rows(best.predictions, valid)),
    }
    # No cell is empty, and wandb takes three times as long to learn the types of columns where one may be.
    full = {key: wandb.Table(columns, rows, optional=False) for key, (columns, rows) in tables.items()}
    run.log(plots.charts(best.predictions) | full)
    run.summary["best_epoch"] = best.epoch + 1  # from 1, as in the trial's log and in reports
    run.summary["collapsed"] = best.collapsed
    if best.collapsed:
        wandb.termwarn("the best epoch predicts one class only")
