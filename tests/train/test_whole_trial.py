"""A trial that comes to its end: what it logs, leaves and repeats."""

import itertools
import json
from pathlib import Path

import pytest
import wandb
from pytorch_lightning.utilities import rank_zero_only

from cola_sweep import model as model_module
from cola_sweep import past
from cola_sweep.config import TrialConfig
from cola_sweep.metric_names import METRIC_NAMES
from cola_sweep.samples import EXAMPLE_COLUMNS, PREDICTION_COLUMNS
from cola_sweep.train import main
from tests.conftest import OfflineRun, read_offline_run
from tests.train.conftest import VALID_ROWS, tiny_flags


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


@pytest.mark.parametrize(
    "launcher",
    [
        {"SLURM_JOB_NAME": "a", "SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"},
        {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "0"},
    ],
    ids=["srun", "torchrun"],
)
def test_a_task_of_a_launcher_is_a_trial_of_its_own_and_no_rank_of_another(
    launcher: dict[str, str], flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning reads it from these when it is imported
    assert main([*flags, "--epochs=1"]) == 0
    logged_metrics(read_offline_run(tmp_path))


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
