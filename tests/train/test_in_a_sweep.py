"""Trials as an agent starts them: the run's config decides."""

import signal
from pathlib import Path
from typing import Any

import pytest

from cola_sweep.config import TrialConfig
from cola_sweep.errors import run_main
from cola_sweep.train import main
from tests.conftest import read_offline_run
from tests.train.conftest import VALID_ROWS

# wandb leaves the agent's parameter file open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*config-r1.yaml:ResourceWarning")


def test_in_a_sweep_the_runs_config_decides(
    swept: Any, tiny_checkpoint: Path, tiny_corpus: Path, tmp_path: Path
) -> None:
    swept(
        data=str(tiny_corpus), checkpoint=str(tiny_checkpoint), lr="2e-2", epochs=12, patience=1, batch_size=4.0,
        accumulate=2, class_weights="balanced", precision="auto", max_length=16, pooling="mean", dropout=0,
    )  # fmt: skip
    assert main(["--lr=0.02"]) == 0  # as a command with ${args} would repeat it
    run = read_offline_run(tmp_path)
    assert run.exit_code == 0
    config = TrialConfig.from_mapping(run.config)
    assert (config.lr, config.epochs, config.batch_size, config.warmup) == (0.02, 12, 4, 0.1)
    assert run.config["warmup"] == 0.1, "defaults are recorded too"
    assert run.config["lr"] == "2e-2", "W&B's grid search knows a cell that was tried by the very values it gave"
    probe = run.config["provenance"]["precision_probe"]
    assert run.config["provenance"]["precision"] == ("bf16" if probe["fp32_ms"] >= 1.2 * probe["bf16_ms"] else "fp32")
    assert run.config["provenance"]["compiled"] is False

    scores = [row["valid/mcc"] for row in run.history if "valid/mcc" in row]
    assert 1 < len(scores) < 12, "patience"
    assert scores[-1] <= max(scores[:-1])
    steps = [row["trainer/global_step"] for row in run.history if "valid/loss_step" in row]
    assert steps == [6 * epoch - 1 for epoch in range(1, len(scores) + 1)], "12 batches, two to a step"


@pytest.mark.parametrize(("seconds", "kept"), [(60.0, True), (-1.0, False)])
def test_a_stopped_trial_keeps_its_model_while_the_agent_still_waits(
    swept: Any, flags: list[str], tmp_path: Path, in_step: Any, monkeypatch: pytest.MonkeyPatch, seconds: float,
    kept: bool,
) -> None:  # fmt: skip
    words = (flag.removeprefix("--").split("=") for flag in flags)
    swept(**{name.replace("-", "_"): value for name, value in words})
    monkeypatch.setattr("cola_sweep.endings.UNHURRIED_SECONDS", seconds)
    in_step(8, lambda: signal.raise_signal(signal.SIGTERM))
    assert main([]) == 143
    run = read_offline_run(tmp_path)
    assert len(run.table("predictions")[1]) == VALID_ROWS
    assert ("model" in run.artifacts) is kept


@pytest.mark.parametrize(
    ("parameters", "flags", "where"),
    [({"learning_rate": 1e-4}, [], "config.learning_rate"), ({"lr": 1e-4}, ["--epochs=7"], "--epochs")],
)
def test_in_a_sweep_a_bad_config_fails_the_run(
    swept: Any, tmp_path: Path, capsys: Any, parameters: dict[str, Any], flags: list[str], where: str
) -> None:
    swept(**parameters)
    assert run_main(lambda: main(flags)) == 2
    run = read_offline_run(tmp_path)
    assert run.exit_code == 2
    assert where in run.summary["failure"]
    assert capsys.readouterr().err.startswith(f"error: {where}: ")
