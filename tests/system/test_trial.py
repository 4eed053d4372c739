"""Real trials against the embedded server, read back through `wandb.Api`: each row of what a trial logs.

The model's numbers are compared with scikit-learn's on the predictions that were logged beside them: those of a trial
that learns, and of one that has seen one class alone, says it of every sentence, and is always wrong.
"""

import csv
import hashlib
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from safetensors.numpy import load_file
from sklearn import metrics
from sklearn.calibration import calibration_curve

from cola_sweep.config import TrialConfig
from cola_sweep.corpus import CLASS_NAMES, load_corpus
from cola_sweep.metric_names import METRIC_NAMES, summary_rule
from cola_sweep.plots import heatmap
from cola_sweep.samples import EXAMPLE_COLUMNS, PREDICTION_COLUMNS
from tests.system.conftest import LiveServer
from tests.test_metrics import by_scikit_learn, mcc_by_scikit_learn

EPOCHS, TRAIN_ROWS, VALID_ROWS, BATCH, EVAL_BATCH = 3, 48, 25, 8, 7
STEPS = TRAIN_ROWS // BATCH  # of each epoch
X_AXIS = "trainer/global_step"

TRAIN_AND_READ_BACK = """
    import json, os, sys, wandb
    from cola_sweep.train import main

    trials = json.loads(sys.argv[1])
    for run_id, flags in trials.items():
        os.environ["WANDB_RUN_ID"] = run_id
        assert main(flags) == 0
        wandb.teardown()
    for run_id in trials:
        run = wandb.Api().run(f"trial/{run_id}")
        tables, models = {}, {}
        for artifact in run.logged_artifacts():
            if artifact.type == "model":
                models[artifact.name] = {
                    "aliases": artifact.aliases, "metadata": artifact.metadata,
                    "folder": artifact.download(f"model-{run_id}"),
                }
            for path in artifact.manifest.entries:
                if path.endswith(".table.json"):
                    table = artifact.get(path.removesuffix(".table.json"))
                    tables[path.removesuffix(".table.json")] = {"columns": table.columns, "rows": table.data}
        picture = run.file(run.summary["conf/heatmap"]["path"]).download(run_id)
        print(json.dumps({
            "id": run.id,
            "state": run.state,
            "config": run.config,
            "summary": dict(run.summary._json_dict),
            "history": list(run.scan_history()),
            "tables": tables,
            "models": models,
            "picture": picture.name,
        }))
"""


@dataclass(frozen=True)
class Trial:
    """What the API says of the run."""

    folder: Path
    id: str
    state: str
    config: dict[str, Any]
    summary: dict[str, Any]
    history: list[dict[str, Any]]
    tables: dict[str, dict[str, list[Any]]]
    models: dict[str, dict[str, Any]]
    picture: str

    def rows(self, key: str) -> list[dict[str, Any]]:
        """The rows of the history that hold this key."""
        return [row for row in self.history if row.get(key) is not None]

    def values(self, key: str) -> list[float]:
        return [row[key] for row in self.rows(key)]

    def table(self, key: str) -> list[dict[str, Any]]:
        """The rows of a logged table, by its columns."""
        table = self.tables[key]
        return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]

    @property
    def best(self) -> dict[str, float]:
        """What was logged in the epoch with the best `valid/mcc`."""
        best = max(self.rows("valid/mcc"), key=lambda row: row["valid/mcc"])
        merged: dict[str, float] = {}
        for row in self.history:
            if row.get("epoch") == best["epoch"]:
                merged |= {key: value for key, value in row.items() if value is not None}
        return merged


@pytest.fixture(scope="module")
def corpus(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny corpus, and one sentence twice with both labels: no model is right about all."""
    folder = tmp_path_factory.mktemp("corpus-with-a-contradiction")
    train, dev = ((tiny_corpus / name).read_text(encoding="utf-8") for name in ("train.tsv", "dev.tsv"))
    (folder / "train.tsv").write_text(train, encoding="utf-8")
    (folder / "dev.tsv").write_text(f"{dev}\ns1\t0\t*\tthe cat sees .", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def one_class(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sentences, in training all unacceptable, in validation all acceptable."""
    folder = tmp_path_factory.mktemp("corpus-of-one-class")
    for name, label in (("train.tsv", "0\t*"), ("dev.tsv", "1\t")):
        text = (corpus / name).read_text(encoding="utf-8")
        (folder / name).write_text(re.sub(r"\t[01]\t\*?", f"\t{label}", text), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trials(
    live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, corpus: Path,
    one_class: Path,
) -> dict[str, Trial]:  # fmt: skip
    """By their runs' ids, in one process: most of what they take is imports."""
    folder = tmp_path_factory.mktemp("trial")
    flags = [
        f"--checkpoint={tiny_checkpoint}", f"--epochs={EPOCHS}", f"--batch-size={BATCH}",
        f"--eval-batch-size={EVAL_BATCH}", "--lr=0.01", "--pooling=mean", "--max-length=16", "--seed=5",
    ]  # fmt: skip
    told = {"one": [*flags, f"--data={corpus}"], "collapsed": [*flags, f"--data={one_class}", "--lr=0.05"]}
    script = folder / "trials.py"
    script.write_text(dedent(TRAIN_AND_READ_BACK))
    said = live_server.python(script, json.dumps(told), cwd=folder, WANDB_PROJECT="trial")
    found = [Trial(folder, **json.loads(line)) for line in said.splitlines()[-len(told) :]]
    return {trial.id: trial for trial in found}


@pytest.fixture
def trial(trials: dict[str, Trial], request: pytest.FixtureRequest) -> Trial:
    """The one that learns, or the one that a test names."""
    return trials[getattr(request, "param", "one")]


@pytest.fixture
def predictions(trial: Trial) -> list[dict[str, Any]]:
    return trial.table("predictions")


of_both = pytest.mark.parametrize("trial", ["one", "collapsed"], indirect=True)


def classes(rows: list[dict[str, Any]], column: str) -> list[int]:
    return [CLASS_NAMES.index(row[column]) for row in rows]


def test_the_training_loss_and_accuracy_are_logged_by_step_and_by_epoch(trial: Trial) -> None:
    for name in ("train/loss_step", "train/acc_step"):
        assert [row[X_AXIS] + 1 for row in trial.rows(name)] == [STEPS, 2 * STEPS, 3 * STEPS]
    losses, accuracies = trial.values("train/loss_epoch"), trial.values("train/acc_epoch")
    assert len(losses) == len(accuracies) == EPOCHS
    assert losses[-1] < losses[0]
    assert all(math.isclose(share * TRAIN_ROWS, round(share * TRAIN_ROWS), abs_tol=1e-4) for share in accuracies)


def test_the_validation_loss_is_logged_by_batch_and_by_epoch_at_the_optimizers_step(trial: Trial) -> None:
    batches = trial.rows("valid/loss_step")
    sizes = [EVAL_BATCH, EVAL_BATCH, EVAL_BATCH, VALID_ROWS % EVAL_BATCH]
    epochs = trial.rows("valid/loss_epoch")
    assert [row[X_AXIS] for row in batches] == [row[X_AXIS] for row in epochs for _ in sizes]
    assert [row[X_AXIS] + 1 for row in epochs] == [STEPS, 2 * STEPS, 3 * STEPS]
    by_epoch = np.array([row["valid/loss_step"] for row in batches]).reshape(EPOCHS, len(sizes))
    assert trial.values("valid/loss_epoch") == pytest.approx(by_epoch @ sizes / VALID_ROWS, abs=1e-6)


@of_both
def test_the_validation_metrics_are_scikit_learns(trial: Trial, predictions: list[dict[str, Any]]) -> None:
    labels, predicted = classes(predictions, "label"), classes(predictions, "predicted")
    probabilities = [row["probability"] for row in predictions]
    halves = {
        f"valid/mcc_{domain}": mcc_by_scikit_learn(classes(half, "label"), classes(half, "predicted"))
        for domain in ("in", "out")
        if (half := [row for row in predictions if row["domain"] == domain])
    }
    assert len(halves) == 2
    plain = by_scikit_learn(labels, predicted)
    loss = metrics.log_loss(labels, probabilities, labels=[0, 1])
    wanted = plain | halves | {"valid/loss_epoch": loss, "valid/mcc_best": plain["valid/mcc"]}
    assert set(wanted) == {name for name in METRIC_NAMES if name.startswith("valid/")} - {"valid/loss_step"}
    assert {name: trial.best[name] for name in wanted} == pytest.approx(wanted, abs=1e-6)


def test_best_and_last_of_every_epoch_metric_are_in_the_summary(trial: Trial) -> None:
    every = {"max": max, "min": min, "last": lambda values: values[-1]}
    for name in METRIC_NAMES:
        if rule := summary_rule(name):
            values = trial.values(name)
            assert len(values) == EPOCHS
            assert trial.summary[name] == {word: every[word](values) for word in rule.split(",")}
    assert trial.summary["best_epoch"] == trial.best["epoch"] + 1
    assert trial.summary["collapsed"] is False


@of_both
def test_the_three_confusion_matrices_are_those_of_the_predictions(
    trial: Trial, predictions: list[dict[str, Any]]
) -> None:
    counts = metrics.confusion_matrix(classes(predictions, "label"), classes(predictions, "predicted"), labels=[0, 1])
    wanted = {(CLASS_NAMES[i], CLASS_NAMES[j]): counts[i, j] for i in (0, 1) for j in (0, 1)}
    for key in ("conf/wandb_table", "conf/sklearn"):
        rows = trial.table(key)
        (count,) = set(rows[0]) - {"Actual", "Predicted"}
        assert {(row["Actual"], row["Predicted"]): row[count] for row in rows} == wanted
    # That these pixels show the counts by the right names is proven in test_plots.
    shown = imread(trial.folder / trial.picture)
    drawn = np.asarray(heatmap(counts, "Validation confusion matrix").image)
    assert np.array_equal((shown[..., :3] * 255).round().astype(np.uint8), drawn[..., :3])


def test_the_curves_are_of_the_predictions(trial: Trial, predictions: list[dict[str, Any]]) -> None:
    labels, probabilities = classes(predictions, "label"), [row["probability"] for row in predictions]
    roc, pr = trial.table("roc_table"), trial.table("pr_table")
    area = metrics.auc([row["fpr"] for row in roc], [row["tpr"] for row in roc])
    assert area == pytest.approx(metrics.roc_auc_score(labels, probabilities), abs=5e-3)
    precision, recall, _ = metrics.precision_recall_curve(labels, probabilities)
    points = list(zip(recall.round(3), precision.round(3), strict=True))
    assert all(min(abs(row["precision"] - value) for _, value in points) < 5e-3 for row in pr)
    assert {row["class"] for row in roc + pr} == {"acceptable"}
    observed, mean = calibration_curve(labels, probabilities, n_bins=10)
    rows = trial.table("calibration_table")
    assert [row["probability"] for row in rows] == pytest.approx(mean, abs=1e-6)
    assert [row["acceptable"] for row in rows] == pytest.approx(observed, abs=1e-6)
    assert sum(row["sentences"] for row in rows) == VALID_ROWS


@pytest.mark.parametrize("trial", ["collapsed"], indirect=True)
def test_a_trial_that_says_one_class_of_all_is_flagged_and_has_no_curves(trial: Trial) -> None:
    assert trial.summary["collapsed"] is True
    assert trial.values("valid/positive_rate") == trial.values("valid/mcc") == [0.0] * EPOCHS
    assert len(trial.table("examples")) == VALID_ROWS
    assert set(trial.tables) == {"conf/wandb_table", "conf/sklearn", "calibration_table", "examples", "predictions"}


def test_every_validation_sentence_is_predicted_at_the_best_epoch(
    predictions: list[dict[str, Any]], trial: Trial, corpus: Path
) -> None:
    assert trial.tables["predictions"]["columns"] == PREDICTION_COLUMNS
    with (corpus / "dev.tsv").open(newline="") as file:
        dev = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    got = [(row["index"], row["source"], row["label"], row["sentence"], row["domain"]) for row in predictions]
    assert got == [
        (index, source, CLASS_NAMES[int(label)], sentence, "in" if source == "s1" else "out")
        for index, (source, label, _, sentence) in enumerate(dev)
    ]
    for row in predictions:
        assert row["predicted"] == CLASS_NAMES[row["probability"] > 0.5]
        likelihood = row["probability"] if row["label"] == "acceptable" else 1 - row["probability"]
        assert row["loss"] == pytest.approx(-math.log(likelihood), abs=1e-6)


@of_both
def test_the_examples_are_exactly_the_wrong_predictions_worst_first(
    trial: Trial, predictions: list[dict[str, Any]]
) -> None:
    assert trial.tables["examples"]["columns"] == EXAMPLE_COLUMNS
    wrong = [row for row in predictions if row["label"] != row["predicted"]]
    assert wrong
    wanted = [{key: row[key] for key in EXAMPLE_COLUMNS} for row in sorted(wrong, key=lambda row: -row["loss"])]
    assert trial.table("examples") == wanted


def test_the_cost_is_logged_once(trial: Trial, tiny_checkpoint: Path) -> None:
    (row,) = trial.rows("cost/seconds")
    assert row["cost/seconds"] > 0
    assert row["cost/peak_memory_mb"] > 50
    assert row["cost/seconds_per_1000"] > 0
    encoder = load_file(tiny_checkpoint / "model.safetensors")
    assert row["cost/parameters"] == sum(each.size for each in encoder.values()) + 2 * 16 + 2
    trained_in = EPOCHS * TRAIN_ROWS / row["cost/samples_per_second"]
    assert 0 < trained_in <= row["cost/seconds"]
    assert trial.summary["cost/seconds"] == row["cost/seconds"]


def test_the_config_says_what_was_computed_and_from_what(trial: Trial, corpus: Path, tiny_checkpoint: Path) -> None:
    source = trial.config["provenance"]
    config = TrialConfig.from_mapping(trial.config)
    assert (config.epochs, config.batch_size, config.lr, config.seed) == (EPOCHS, BATCH, 0.01, 5)
    assert source["checkpoint"] == f"folder:{tiny_checkpoint}"
    weights = (tiny_checkpoint / "model.safetensors").read_bytes()
    assert source["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    loaded = load_corpus(str(corpus))
    assert (source["data"], source["data_fingerprint"]) == (loaded.name, loaded.fingerprint)
    assert source["data_kind"] == "folder"
    assert {"git_commit", "device"} <= set(source)
    assert (source["precision"], source["seed"]) == ("fp32", 5)
    assert all(source["versions"][name] for name in ("python", "torch", "pytorch-lightning", "transformers", "wandb"))


def test_the_model_of_the_best_epoch_is_kept_and_predicts_what_was_logged(
    trial: Trial, predictions: list[dict[str, Any]]
) -> None:
    import torch

    from cola_sweep.checkpoints import load_tokenizer, resolve
    from cola_sweep.model import load_model

    ((name, model),) = trial.models.items()
    assert name == f"model-{trial.id}:v0"
    assert set(model["aliases"]) == {"best", "latest"}
    assert model["metadata"]["epoch"] == trial.summary["best_epoch"]
    assert model["metadata"]["valid/mcc"] == pytest.approx(trial.best["valid/mcc"])
    folder = trial.folder / model["folder"]
    tokens = load_tokenizer(resolve(str(folder)))([row["sentence"] for row in predictions], padding=True)
    with torch.inference_mode():
        logits = load_model(folder)({key: torch.tensor(value) for key, value in tokens.items()})
    probabilities = logits.double().softmax(dim=1)[:, 1].tolist()
    assert probabilities == pytest.approx([row["probability"] for row in predictions], abs=1e-5)


def test_the_run_ended_well(trial: Trial) -> None:
    assert trial.state == "finished"
    assert not {"stopped", "failure"} & set(trial.summary)
