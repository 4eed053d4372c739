from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cola_sweep.early_stopping import EarlyStopping

COLLAPSED = None  # one class only, and so an MCC of 0


def epochs_run(scores: list[float | None], patience: int, callback: EarlyStopping | None = None) -> int:
    """How many of the epochs with these values of `valid/mcc` are run."""
    callback = callback or EarlyStopping(patience)
    trainer: Any = SimpleNamespace(should_stop=False)
    for epoch, score in enumerate(scores):
        if trainer.should_stop:
            return epoch
        values = {"valid/mcc": score or 0.0, "valid/positive_rate": 1.0 if score is COLLAPSED else 0.6}
        trainer.callback_metrics = {name: torch.tensor(value) for name, value in values.items()}
        callback.on_validation_end(trainer, None)  # type: ignore[arg-type]
    return len(scores)


@pytest.mark.parametrize(
    ("scores", "patience", "run"),
    [
        ([0.1, 0.2, 0.3, 0.4], 1, 4),
        ([0.3, 0.2, 0.4], 1, 2),
        ([0.3, 0.2, 0.4, 0.3, 0.3, 0.9], 2, 5),  # counted from the best anew
        ([0.3, 0.3, 0.4], 1, 2),  # as good is not better
        ([COLLAPSED, COLLAPSED, 0.2, 0.3], 1, 4),  # it has yet to begin
        ([COLLAPSED, COLLAPSED, COLLAPSED], 1, 3),
        ([COLLAPSED, -0.1, COLLAPSED, 0.4, 0.5], 1, 5),  # 0 is better than -0.1
        ([0.2, COLLAPSED, 0.3], 1, 2),  # falling back into one class is no progress
        ([0.2, float("nan"), 0.3], 1, 2),
        ([float("nan"), 0.3, 0.4], 2, 3),
    ],
)
def test_it_stops_after_so_many_epochs_without_a_better_score(
    scores: list[float | None], patience: int, run: int
) -> None:
    assert epochs_run(scores, patience) == run


def test_a_resumed_trial_counts_on() -> None:
    first = EarlyStopping(2)
    assert epochs_run([0.4, 0.3], 2, first) == 2
    again = EarlyStopping(2)
    again.load_state_dict(first.state_dict())
    assert epochs_run([0.35, 0.9], 2, again) == 1
