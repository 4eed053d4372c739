"""The names of the metrics that a trial logs, and which way each is better.

A sweep's `metric.name` must be one of them. Imports nothing, so that `cola-sweep check` stays quick.

    >>> METRIC_GOALS["valid/mcc"]
    'maximize'
"""

METRIC_GOALS: dict[str, str | None] = {
    "train/loss_step": "minimize",
    "train/loss_epoch": "minimize",
    "train/acc_step": "maximize",
    "train/acc_epoch": "maximize",
    "valid/loss_step": "minimize",
    "valid/loss_epoch": "minimize",
    "valid/acc": "maximize",
    "valid/precision_macro": "maximize",
    "valid/recall_macro": "maximize",
    "valid/precision_micro": "maximize",
    "valid/recall_micro": "maximize",
    "valid/f1": "maximize",
    "valid/mcc": "maximize",
    "valid/mcc_best": "maximize",  # so far
    "valid/mcc_in": "maximize",
    "valid/mcc_out": "maximize",
    "valid/positive_rate": None,  # a share to look at, not to push either way
    "cost/seconds": "minimize",
    "cost/samples_per_second": "maximize",
    "cost/seconds_per_1000": "minimize",
    "cost/parameters": "minimize",
    "cost/peak_memory_mb": "minimize",
    "cost/kwh": "minimize",
}
METRIC_NAMES = tuple(METRIC_GOALS)

OBJECTIVE = "valid/mcc"
# Its best so far as a plain number: W&B's schedulers read a run's summary, and of {"max": ...} make nothing.
BEST = "valid/mcc_best"


def summary_rule(name: str) -> str | None:
    """What of a metric reaches the run's summary, in the words of `run.define_metric`; None leaves its last value.

    Metrics of an epoch keep their best and their last value, so that the best epoch is not lost behind a worse last.
    """
    if name == BEST or name.startswith("cost/") or name.endswith("_step"):
        return None
    return {"maximize": "max,last", "minimize": "min,last", None: "min,max,last"}[METRIC_GOALS[name]]
