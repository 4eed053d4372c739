"""Trials that are stopped, fail, or never begin."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb

from cola_sweep import model as model_module
from cola_sweep.errors import run_main
from cola_sweep.train import main
from tests.conftest import read_offline_run
from tests.train.conftest import VALID_ROWS


def server_stops() -> None:
    """What wandb's client does, in a thread of its own, once its server has said so."""
    assert wandb.run is not None
    stop = wandb.run._settings.stop_fn  # `settings` is a deep copy, and would stop nothing
    assert stop is not None
    stop()


@pytest.mark.parametrize(
    ("ask", "code", "who"),
    [
        (lambda: signal.raise_signal(signal.SIGTERM), 143, "SIGTERM"),
        (lambda: signal.raise_signal(signal.SIGINT), 130, "SIGINT"),
        (server_stops, 130, "the server"),
    ],
)
def test_a_stop_keeps_the_best_epoch_and_is_not_exit_code_0(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_step: Any, capsys: Any,
    ask: Callable[[], None], code: int, who: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    begun = in_step(8, ask)
    assert main(flags) == code
    assert begun == list(range(9)), "no step after the one in which it was asked to"
    run = read_offline_run(tmp_path)
    assert run.exit_code == code
    assert run.summary["stopped"] == f"Stopped: stopped by {who}"
    assert len([row for row in run.history if "valid/mcc" in row]) == 1
    assert len(run.table("predictions")[1]) == VALID_ROWS
    assert "model" in run.artifacts
    assert run.summary["cost/seconds"] > 0
    assert capsys.readouterr().err.splitlines()[-1] == f"error: stopped by {who}"


def test_a_stop_in_the_last_step_is_a_stop(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_step: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    in_step(17, lambda: signal.raise_signal(signal.SIGTERM))
    assert main(flags) == 143
    assert read_offline_run(tmp_path).exit_code == 143


def test_a_stop_before_the_first_epoch_ended_has_no_result(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_step: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    in_step(2, lambda: signal.raise_signal(signal.SIGTERM))
    assert main(flags) == 143
    run = read_offline_run(tmp_path)
    assert "valid/mcc" not in run.summary
    assert run.artifacts == {}


def test_divergence_fails_the_trial_with_its_reason(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*flags, "--lr=1e30", "--grad-clip=0", "--warmup=0"]) == 1
    run = read_offline_run(tmp_path)
    assert run.exit_code == 1
    assert "diverged: " in run.summary["failure"]
    assert capsys.readouterr().err.startswith("error: diverged: ")


def test_divergence_seen_in_validation_leaves_the_epochs_before_it(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    real = model_module.AcceptabilityModel.validation_step

    def validation_step(self: Any, batch: Any, position: int) -> Any:
        if self.current_epoch == 1:
            self.classifier.weight.data.fill_(float("nan"))
        return real(self, batch, position)

    monkeypatch.setattr(model_module.AcceptabilityModel, "validation_step", validation_step)
    assert main(flags) == 1
    run = read_offline_run(tmp_path)
    assert "valid/loss is nan at step 12, epoch 2" in run.summary["failure"]
    assert run.summary["best_epoch"] == 1
    assert len(run.table("predictions")[1]) == VALID_ROWS


def test_out_of_memory_fails_the_trial_with_its_sizes(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_step: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore of it")

    in_step(8, fail)
    assert main(flags) == 1
    run = read_offline_run(tmp_path)
    said = "out of memory with batch_size 8, eval_batch_size 7: CUDA out of memory. Tried to allocate 2.00 GiB."
    assert (run.exit_code, run.summary["failure"]) == (1, f"TrialFailed: {said}")
    assert capsys.readouterr().err.splitlines()[-1] == f"error: {said}"
    assert len(run.table("predictions")[1]) == VALID_ROWS, "of the epoch before it"


def test_the_process_ends_with_the_code_of_its_run(flags: list[str], tmp_path: Path) -> None:
    """After Ctrl-C; after SIGTERM, tests/system/test_interrupted_trials.py shows it."""
    command = [sys.executable, "-u", "-m", "cola_sweep.train", *flags, "--epochs=100000"]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(b"epoch 2/"))
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait() == 130
    assert read_offline_run(tmp_path).exit_code == 130


def test_a_bug_ends_run_and_process_with_1(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_step: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    def fail() -> None:
        raise ZeroDivisionError("a bug")

    in_step(2, fail)
    with pytest.raises(ZeroDivisionError):
        main(flags)
    run = read_offline_run(tmp_path)
    assert (run.exit_code, run.summary["failure"]) == (1, "ZeroDivisionError: a bug")


@pytest.mark.parametrize(
    "wrong", [["--lr=fast"], ["--data=nowhere"], ["--checkpoint=./nowhere"], ["--batch-size=0"], ["--epochs=1.5"]]
)
def test_by_hand_nothing_is_written_on_a_user_error(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, wrong: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_main(lambda: main([*flags, *wrong])) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("answers", "fix"), [(True, "wandb login"), (False, "make serve")])
def test_without_a_login_or_a_server_one_line_says_what_to_do(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, refusing_server: str,
    answers: bool, fix: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("WANDB_BASE_URL", refusing_server if answers else "http://127.0.0.1:9")
    assert run_main(lambda: main(flags)) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
    assert fix in line
