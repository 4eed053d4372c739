"""Sweeps as W&B's scheduler sees them, and its own optimizer over a study of ours: no server, no process."""

from collections.abc import Mapping, Sequence
from typing import Any

from wandb.sdk.sweeps.run_state import RunState
from wandb.sdk.sweeps.scheduler.optimizer import Optimizer, RunConfig, RunWithMetrics, make_optimizer
from wandb.sdk.sweeps.sweep_info import SweepInfo

SCHEDULER = {"engine": "optuna", "source": "cola_sweep/study.py", "search_space": "space", "optimizer": "study"}
METRIC = {"name": "valid/mcc_best", "goal": "maximize"}


def sweep_config(search: Any = None, **parameters: Any) -> dict[str, Any]:
    """A sweep file's content; `search` are the options."""
    options = {"_search": {"value": search}} if search is not None else {}
    return {"method": "custom", "scheduler": SCHEDULER, "metric": METRIC, "parameters": options | parameters}


def scheduler(config: Mapping[str, Any]) -> Optimizer:
    """What `wandb sweep-scheduler` makes of a sweep."""
    return make_optimizer(SweepInfo("abc123xy", "a sweep", "ada", "cola", dict(config), "controller"))


def ask(optimizer: Optimizer, n: int = 1) -> list[tuple[str, dict[str, Any]]]:
    """Ids and arguments of up to `n` new runs."""
    return [(each.run_id, each.config.flat_dict()) for each in optimizer.ask_n_runs(n) or ()]


def run(
    config: Mapping[str, Any], state: str = "finished", values: Sequence[float] = (), *, steps: int = 9,
    summary: Mapping[str, float] | None = None,
) -> RunWithMetrics:  # fmt: skip
    """A run that logged `values`, one an epoch of so many `steps`, and in the end `summary`."""
    name = METRIC["name"]
    history = [{"_step": steps * epoch, name: value} for epoch, value in enumerate(values, 1)]
    found = {**(summary or {}), **({name: values[-1]} if values else {})}
    return RunWithMetrics(RunConfig.from_values(dict(config)), RunState(state), "run", found, history)
