"""Lightning's logger for W&B, made for trials that are taken up again: no row is logged twice, and none is missing.

Imports metric_names and tracking; lightning, and wandb inside functions.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytorch_lightning.loggers import WandbLogger

from cola_sweep.metric_names import METRIC_NAMES, summary_rule

if TYPE_CHECKING:
    import wandb

ENDING = {"cost/seconds", "predictions"}  # a key each of the two rows that a trial logs when it ends
Row = Sequence[Any]  # metrics by name, and the optimizer's step, if any: a pair, for JSON has no tuples


class TrialLogger(WandbLogger):
    """Remembers every row of the trial, in order, for its checkpoint; and logs those that the run does not have.

    The rows of a trial follow from its configuration, so the n-th of this process is the n-th of any before it. What
    the run has beyond the checkpoint is not logged again, and what never reached the server is.

    Args:
        rows: those of the checkpoint, which come before any of this process.
    """

    def __init__(self, run: "wandb.Run", rows: Iterable[Row] = ()) -> None:
        super().__init__(experiment=run, log_model=False)
        self.rows: list[Row] = []
        self._known = known_rows(run)
        for metrics, step in rows:
            self.log_metrics(metrics, step)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.rows.append((dict(metrics), step))
        if len(self.rows) > self._known:
            super().log_metrics(metrics, step)
        if self._known:  # wandb's own best and last are of what this process has logged
            self.experiment.summary.update({name: summary(name, self.rows) for name in metrics if summarised(name)})


def summarised(name: str) -> bool:
    return name in METRIC_NAMES and summary_rule(name) is not None


def summary(name: str, rows: Sequence[Row]) -> dict[str, float]:
    """What `define_metric` makes of a metric's values, by the words of its rule."""
    values = [metrics[name] for metrics, _ in rows if name in metrics]
    every = {"min": min(values), "max": max(values), "last": values[-1]}
    return {word: every[word] for word in (summary_rule(name) or "").split(",")}


def known_rows(run: "wandb.Run") -> int:
    """How many rows the run has from its logger; what a trial logs in the end, past the logger, is no such row.

    Rows that come in after this process has opened the run, from the service of one that was killed, do not count:
    this one's take their places, and are the same.
    """
    if not run.resumed:
        return 0
    import wandb

    path = f"{run.entity}/{run.project}/{run.id}"
    return sum(not ENDING & row.keys() for row in wandb.Api().run(path).scan_history(max_step=run.starting_step))
