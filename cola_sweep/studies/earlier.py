"""Runs of earlier sweeps as trials of a study, so that a search begins where others ended.

Imports connection, records and snapshot, which ask the server; wandb inside functions.
"""

import math

from cola_sweep import records, snapshot
from cola_sweep.connection import connect
from cola_sweep.metric_names import BEST, OBJECTIVE
from cola_sweep.records import Record
from cola_sweep.space import Metric
from cola_sweep.studies.sweep_study import SweepStudy


def add_earlier(study: SweepStudy, project: str) -> None:
    """Add what finished in the sweeps that the study's options name, and say of each how much that was.

    Args:
        project: `entity/project` of a sweep that is named by its id alone.

    Raises:
        UserError: a sweep cannot be read.
    """
    import wandb

    api = connect()
    for path in study.options.earlier:
        found = snapshot.take(api, path if "/" in path else f"{project}/{path}").records
        added = sum(add(study, record, path) for record in found)
        wandb.termlog(f"{added} of {len(found)} runs of the earlier sweep {path} suit this one.")


def add(study: SweepStudy, record: Record, sweep: str) -> bool:
    """Whether a run could be added: it finished, has every metric, and its config is a point of the space."""
    values = [_best(record, metric) for metric in study.options.metrics]
    if record.state != "finished" or not all(math.isfinite(value) for value in values):
        return False
    name = study.options.metrics[0].name
    try:
        study.add_earlier(record.config, values, [row[name] for row in record.epochs if name in row], sweep)
    except ValueError:
        return False
    return True


def _best(record: Record, metric: Metric) -> float:
    """Runs of before there was a best so far have it by the metric itself."""
    value = records.score(record, metric.name, metric.goal).best
    if math.isnan(value) and metric.name == BEST:
        return records.score(record, OBJECTIVE, metric.goal).best
    return value
