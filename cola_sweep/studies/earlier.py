"""Runs of earlier sweeps as trials of a study, so that a search begins where others ended.

Imports connection, records and snapshot, which ask the server; wandb inside functions.
"""

import math
from collections import Counter

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
        reasons = Counter(add(study, record, path) for record in found)
        added = reasons.pop("", 0)
        others = "".join(f"; {n}: {reason}" for reason, n in reasons.most_common())
        wandb.termlog(f"{added} of {len(found)} runs of the earlier sweep {path} suit this one{others}.")


def add(study: SweepStudy, record: Record, sweep: str) -> str:
    """Add a run that finished, has every metric, and whose config is a point of the space; of others the reason."""
    if record.state != "finished":
        return record.state
    values = [_best(record, metric) for metric in study.options.metrics]
    for metric, value in zip(study.options.metrics, values, strict=True):
        if not math.isfinite(value):
            return f"without {metric.name}"
    name = study.options.metrics[0].name
    try:
        study.add_earlier(record.config, values, [row[name] for row in record.epochs if name in row], sweep)
    except ValueError as error:
        return str(error)
    return ""


def _best(record: Record, metric: Metric) -> float:
    """Runs of before there was a best so far have it by the metric itself."""
    value = records.score(record, metric.name, metric.goal).best
    if math.isnan(value) and metric.name == BEST:
        return records.score(record, OBJECTIVE, metric.goal).best
    return value
