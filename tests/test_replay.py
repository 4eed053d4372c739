"""Which rows a trial that is taken up again logs, and what its summary then says."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from pytorch_lightning.loggers import WandbLogger

from cola_sweep import replay
from cola_sweep.replay import Row, TrialLogger, summary

ROWS: list[Row] = [
    ({"valid/mcc": 0.1, "valid/loss_epoch": 0.7}, 5),
    ({"valid/mcc": 0.4, "valid/loss_epoch": 0.9}, 11),
    ({"valid/mcc": 0.2, "valid/loss_epoch": 0.8}, 17),
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Row]:
    """What reaches wandb, in place of it."""
    rows: list[Row] = []
    monkeypatch.setattr(WandbLogger, "__init__", lambda self, experiment, log_model: None)
    monkeypatch.setattr(WandbLogger, "log_metrics", lambda self, metrics, step=None: rows.append((metrics, step)))
    return rows


def log(monkeypatch: pytest.MonkeyPatch, known: int, saved: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:
    """Log ROWS as a trial does that has `saved` in its checkpoint, to a run that has `known` rows."""
    run: Any = SimpleNamespace(summary={})
    monkeypatch.setattr(replay, "known_rows", lambda run: known)
    monkeypatch.setattr(TrialLogger, "experiment", run, raising=False)
    logger = TrialLogger(run, saved)
    for metrics, step in ROWS[len(saved) :]:
        logger.log_metrics(metrics, step)
    return logger.rows, run.summary


@pytest.mark.parametrize("known", [0, 1, 2, 3])
@pytest.mark.parametrize("saved", [0, 1, 2])
def test_every_row_is_logged_once_wherever_the_run_and_the_checkpoint_stand(
    monkeypatch: pytest.MonkeyPatch, sent: list[Row], known: int, saved: int
) -> None:
    rows, _ = log(monkeypatch, known, ROWS[:saved])
    assert rows == ROWS, "the next checkpoint has them all"
    assert sent == ROWS[known:]


def test_the_summary_is_of_all_rows(monkeypatch: pytest.MonkeyPatch, sent: list[Row]) -> None:
    _, found = log(monkeypatch, 2, ROWS[:2])
    assert found == {"valid/mcc": {"max": 0.4, "last": 0.2}, "valid/loss_epoch": {"min": 0.7, "last": 0.8}}


def test_best_and_last_by_the_words_of_the_rule() -> None:
    rows: list[Row] = [*ROWS, ({"train/loss_epoch": 1.0}, 18)]
    assert summary("valid/mcc", rows) == {"max": 0.4, "last": 0.2}
    assert summary("train/loss_epoch", rows) == {"min": 1.0, "last": 1.0}


@pytest.mark.parametrize("resumed", [True, False])
def test_rows_of_the_logger_are_told_from_those_of_the_end(monkeypatch: pytest.MonkeyPatch, resumed: bool) -> None:
    late = {"train/loss_step": 0.4}  # from the service of a process that was killed, after this one opened the run
    history = [{"valid/mcc": 0.1}, {"train/loss_step": 0.5}, {"cost/seconds": 3.0}, {"predictions": {}}, late]
    api = SimpleNamespace(run=lambda path: SimpleNamespace(scan_history=lambda max_step: history[:max_step]))
    monkeypatch.setattr("wandb.Api", lambda: api)
    run: Any = SimpleNamespace(entity="e", project="p", id="r", resumed=resumed, starting_step=4)
    assert replay.known_rows(run) == (2 if resumed else 0)
