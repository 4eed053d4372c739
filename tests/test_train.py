import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from cola_sweep import model as model_module
from cola_sweep import past
from cola_sweep.config import TrialConfig
from cola_sweep.errors import run_main
from cola_sweep.metric_names import METRIC_NAMES
from cola_sweep.samples import EXAMPLE_COLUMNS, PREDICTION_COLUMNS
from cola_sweep.train import main
from tests.conftest import OfflineRun, read_offline_run

CLOSED = ["WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_ENTITY"]
VALID_ROWS = 24

# wandb leaves the agent's parameter file open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file .*config-r1.yaml:ResourceWarning")


@pytest.fixture(scope="module")
def folder_of_trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(autouse=True, scope="module")
def offline(folder_of_trials: Path) -> Iterator[None]:
    """wandb writes into this folder only, and has neither key nor server."""
    patch = pytest.MonkeyPatch()
    for name in CLOSED:
        patch.delenv(name, raising=False)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "HOME"):
        patch.setenv(name, str(folder_of_trials / name.lower()))
    for name, value in (("MODE", "offline"), ("SILENT", "true"), ("CONSOLE", "off")):
        patch.setenv(f"WANDB_{name}", value)
    patch.setenv("COLA_SWEEP_HUB", "0")
    yield
    wandb.teardown()
    patch.undo()


@pytest.fixture(autouse=True)
def fresh_client() -> None:
    """wandb remembers the folder and the variables of the first run of a process."""
    wandb.teardown()


@pytest.fixture
def flags(tiny_checkpoint: Path, tiny_corpus: Path) -> list[str]:
    return tiny_flags(tiny_checkpoint, tiny_corpus)


def tiny_flags(checkpoint: Path, corpus: Path) -> list[str]:
    return [
        f"--data={corpus}", f"--checkpoint={checkpoint}", "--epochs=3", "--batch-size=8", "--eval-batch-size=7",
        "--lr=0.02", "--pooling=mean", "--max-length=16", "--dropout=0",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trial(folder_of_trials: Path, tiny_checkpoint: Path, tiny_corpus: Path) -> OfflineRun:
    """One whole trial by hand, which several tests look at."""
    folder = folder_of_trials / "whole"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(tiny_flags(tiny_checkpoint, tiny_corpus)) == 0
    return read_offline_run(folder)


def test_every_metric_is_logged(trial: OfflineRun) -> None:
    logged = {key for row in trial.history for key in row}
    assert set(METRIC_NAMES) - {"cost/kwh"} <= logged
    assert "trainer/global_step" in logged


def test_every_chart_and_table_is_logged_once(trial: OfflineRun) -> None:
    keys = [key for row in trial.history for key, value in row.items() if isinstance(value, dict)]
    charts = {"conf/wandb_table", "conf/heatmap", "conf/sklearn", "roc_table", "pr_table", "calibration_table"}
    assert sorted(keys) == sorted(charts | {"examples", "predictions"})
    places = trial.config["_wandb"]
    assert {"conf/wandb", "roc", "pr", "calibration"} <= set(places["visualize"])
    assert "conf/sklearn" in places["viz"]


def test_the_best_epoch_is_the_one_of_the_summary_and_of_the_tables(trial: OfflineRun) -> None:
    scores = [row["valid/mcc"] for row in trial.history if "valid/mcc" in row]
    assert len(scores) == 3
    assert max(scores) > 0.5, "the corpus is made to be learnt"
    assert trial.summary["valid/mcc"] == {"max": max(scores), "last": scores[-1]}
    best = [row["valid/mcc_best"] for row in trial.history if "valid/mcc" in row]
    assert best == list(itertools.accumulate(scores, max))
    # Plain numbers: W&B's schedulers can make nothing of anything else.
    assert trial.summary["valid/mcc_best"] == max(scores)
    assert trial.summary["cost/seconds_per_1000"] > 0
    assert trial.summary["cost/parameters"] > 1000
    assert trial.summary["best_epoch"] == 1 + scores.index(max(scores))
    assert trial.summary["collapsed"] is False
    losses = [row["valid/loss_epoch"] for row in trial.history if "valid/loss_epoch" in row]
    assert trial.summary["valid/loss_epoch"] == {"min": min(losses), "last": losses[-1]}

    columns, rows = trial.table("predictions")
    assert columns == PREDICTION_COLUMNS
    assert [row[0] for row in rows] == list(range(VALID_ROWS))
    wrong = [row for row in rows if row[2] != row[3]]
    (accuracy,) = (row["valid/acc"] for row in trial.history if row.get("valid/mcc") == max(scores))
    assert 1 - len(wrong) / VALID_ROWS == pytest.approx(accuracy, abs=1e-6)
    columns, examples = trial.table("examples")
    assert columns == EXAMPLE_COLUMNS
    assert sorted(row[0] for row in examples) == sorted(row[1] for row in wrong)


def test_config_holds_the_trial_and_where_it_came_from(trial: OfflineRun) -> None:
    config = TrialConfig.from_mapping(trial.config)
    assert (config.epochs, config.pooling, config.lr) == (3, "mean", 0.02)
    source = trial.config["provenance"]
    assert source["data_kind"] == "folder"
    assert len(source["weights_sha256"]) == len(source["data_fingerprint"]) == 64
    assert source["versions"]["wandb"] == wandb.__version__
    assert (source["precision"], source["seed"]) == ("fp32", 1)


def test_the_model_is_an_artifact_that_can_be_loaded(trial: OfflineRun, tmp_path: Path) -> None:
    artifact = trial.artifacts["model"]
    assert artifact.name == f"model-{trial.folder.name.rsplit('-', 1)[1]}"
    assert set(artifact.aliases) == {"best", "latest"}
    assert json.loads(artifact.metadata)["valid/mcc"] == pytest.approx(trial.summary["valid/mcc"]["max"])
    for entry in artifact.manifest.contents:
        (tmp_path / entry.path).write_bytes(Path(entry.local_path).read_bytes())
    assert model_module.load_model(tmp_path).config == TrialConfig.from_mapping(trial.config)


def test_exit_code_0_and_nothing_but_wandb_is_left(trial: OfflineRun, folder_of_trials: Path) -> None:
    assert trial.exit_code == 0
    assert [path.name for path in (folder_of_trials / "whole").iterdir()] == ["wandb"]


def test_it_leaves_what_it_took_for_the_next_check(trial: OfflineRun) -> None:
    (took,) = [each for each in past.trials(past.default_file()) if trial.folder.name.endswith(f"-{each.run}")]
    assert (took.epochs, took.config["batch_size"], took.device, took.precision) == (3, 8, "cpu", "fp32")
    assert took.seconds == pytest.approx(trial.summary["cost/seconds"])
    assert took.data == trial.config["provenance"]["data_fingerprint"]
    assert took.model_bytes
    assert took.log_bytes


def test_the_same_seed_gives_the_same_trial_bit_by_bit(
    trial: OfflineRun, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(flags) == 0
    again = read_offline_run(tmp_path)
    assert logged_metrics(again) == logged_metrics(trial)
    assert again.table("predictions") == trial.table("predictions")
    assert weights(again) == weights(trial)


def logged_metrics(run: OfflineRun) -> list[dict[str, float]]:
    """The rows of the history in their order, less what is measured in seconds and the charts."""
    rows = [{key: value for key, value in row.items() if key.startswith(("train", "valid"))} for row in run.history]
    metrics = [row for row in rows if row]
    assert {key for row in metrics for key in row} >= {name for name in METRIC_NAMES if not name.startswith("cost/")}
    return metrics


def weights(run: OfflineRun) -> dict[str, str]:
    """The digests of the model artifact's weights."""
    digests = {e.path: e.digest for e in run.artifacts["model"].manifest.contents if e.path.endswith(".safetensors")}
    assert set(digests) == {"model.safetensors", "head.safetensors"}
    return digests


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Do something in the n-th training step of the trial (from 0); an epoch has 6."""

    def arrange(number: int, action: Callable[[], None]) -> None:
        real = model_module.AcceptabilityModel.training_step

        def training_step(self: Any, batch: Any, position: int) -> Any:
            if self.trainer.global_step == number:
                action()
            return real(self, batch, position)

        monkeypatch.setattr(model_module.AcceptabilityModel, "training_step", training_step)

    return arrange


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
    in_step(8, ask)
    assert main(flags) == code
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


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_the_code_of_its_run(flags: list[str], tmp_path: Path, signum: signal.Signals) -> None:
    command = [sys.executable, "-u", "-m", "cola_sweep.train", *flags, "--epochs=100000"]
    root = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(b"epoch 2/"))
        process.send_signal(signum)
        process.stdout.read()
        assert process.wait() == 128 + signum
    assert read_offline_run(tmp_path).exit_code == 128 + signum


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


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Be a trial that an agent started with these parameters."""

    def arrange(**parameters: Any) -> None:
        path = tmp_path / "wandb" / "sweep-abc" / "config-r1.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({key: {"value": value} for key, value in parameters.items()}))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
        monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))

    return arrange


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
