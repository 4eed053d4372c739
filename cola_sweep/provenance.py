"""Where a trial's data, weights and code come from: a mapping in the run's config, and no two sources in one sweep.

Imports checkpoints, config, corpus, errors and tracking; torch and lightning, and wandb only to ask about earlier runs.
"""

import dataclasses
import importlib.metadata
import itertools
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from cola_sweep.checkpoints import Checkpoint
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import Corpus
from cola_sweep.errors import UserError
from cola_sweep.tracking import only_warned

KEY = "provenance"
PACKAGES = ("torch", "pytorch-lightning", "transformers", "wandb", "cola-sweep")
# One page of the API: a sweep's first runs are enough to know its source.
RUNS_ASKED = 50


def describe(config: TrialConfig, checkpoint: Checkpoint, corpus: Corpus, device: torch.device) -> dict[str, Any]:
    """What goes under `provenance` in the run's config, beside how the trial computes: JSON values; unknown is null."""
    return {
        "checkpoint": checkpoint.source if checkpoint.layers is None else f"{checkpoint.source}[:{checkpoint.layers}]",
        "weights_sha256": checkpoint.weights_sha256,
        "data": corpus.name,
        "data_kind": corpus.kind,
        "data_fingerprint": corpus.fingerprint,
        "git_commit": git_commit(Path(__file__).parent),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "seed": config.seed,
    }


def identity(config: TrialConfig, checkpoint: Checkpoint, corpus: Corpus) -> dict[str, Any]:
    """What decides a trial's result, by the name a user knows it by; a trial is resumed only where all are the same."""
    settings = {f"config.{name}": value for name, value in dataclasses.asdict(config).items() if name != "keep_models"}
    return settings | {"data": corpus.fingerprint, "weights": checkpoint.weights_sha256}


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def git_commit(folder: Path) -> str | None:
    """The commit checked out where the code lies, with "-dirty" if tracked files differ; None outside a checkout."""
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=folder, capture_output=True, check=False)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.stdout.strip() + ("-dirty" if changes.returncode else "")


def record(run: Any, config: TrialConfig, own: Mapping[str, Any]) -> None:
    """Put a trial's provenance into its run's config, unless it does not belong into the run's sweep.

    Raises:
        UserError: as `refuse_mixture` has it.
    """
    refuse_mixture(config, own, earlier_configs(run))
    run.config.update({KEY: dict(own)}, allow_val_change=True)


class LookAgain(pl.Callback):
    """Compares once more, before the first validation: two trials that begin at once do not see each other's source.

    The younger of them then gives way, before it has a result, and takes its source back: it hinders no later trial.

    Raises:
        UserError: as `refuse_mixture` has it.
    """

    def __init__(self, run: Any, config: TrialConfig) -> None:
        self._run = run
        self._config = config

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch == 0:
            try:
                refuse_mixture(self._config, self._run.config[KEY], earlier_configs(self._run, older=True))
            except UserError:
                self._run.config.update({KEY: {}}, allow_val_change=True)
                raise


def refuse_mixture(config: TrialConfig, own: Mapping[str, Any], others: Iterable[Mapping[str, Any]]) -> None:
    """Compare with the other runs of the sweep: same data in all, same weights under the same checkpoint name.

    Args:
        config: this trial's.
        own: its provenance.
        others: the configs of the sweep's other runs; those without provenance say nothing.

    Raises:
        UserError: an other run used another source.
    """
    for other in others:
        theirs = other.get(KEY) or {}
        if theirs.get("data_fingerprint", own["data_fingerprint"]) != own["data_fingerprint"]:
            raise UserError(
                "config.data", got=own["data"], rule=f"an earlier run of this sweep used {theirs['data']!r}",
                fix="give both the same data, or start another sweep",
            )  # fmt: skip
        same_name = other.get("checkpoint") == config.checkpoint
        if same_name and theirs.get("weights_sha256", own["weights_sha256"]) != own["weights_sha256"]:
            raise UserError(
                "config.checkpoint", got=config.checkpoint,
                rule=f"an earlier run of this sweep found other weights there ({theirs['checkpoint']})",
                fix="name the checkpoint itself in place of auto, or start another sweep",
            )  # fmt: skip


def earlier_configs(run: Any, *, older: bool = False) -> list[Mapping[str, Any]]:
    """The configs of the sweep's first runs, or of those made before this one, and, if this one is resumed, its own;
    what the API hides is said in a line of warning."""
    import wandb

    found: list[Mapping[str, Any]] = [dict(run.config)]
    if run.sweep_id and not run.offline:
        with only_warned("the sweep's earlier runs were not compared with this one's data"):
            runs = wandb.Api().runs(
                f"{run.entity}/{run.project}", filters={"sweep": run.sweep_id}, order="+created_at",
                per_page=RUNS_ASKED, lazy=False,
            )  # fmt: skip
            first = list(itertools.islice(runs, RUNS_ASKED))
            if older:
                first = list(itertools.takewhile(lambda other: other.id != run.id, first))
            found += [other.config for other in first if other.id != run.id]
    return found
