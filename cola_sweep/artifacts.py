"""The model artifacts of a sweep: those of the best trials so far stay, the others are not uploaded, or deleted.

Trials are ranked by their artifacts' own metadata, which the server has together with the artifact or not at all. A
model that has fallen behind k others never comes back among the best k, and of two trials that end at the same
moment the one that looks last sees both artifacts: so whoever deletes, deletes none of the best.

Imports metric_names, records and tracking; wandb inside functions.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.records import summary_values
from cola_sweep.tracking import only_warned

if TYPE_CHECKING:
    import wandb

    from cola_sweep.callbacks import Best

TYPE = "model"
PREFIX = "model-"
OWN_ALIASES = ("best", "latest")  # any other was given by somebody who wants to find the model there
PAGE = 500


def keep_model(run: "wandb.Run", best: "Best", folder: Path, keep: int) -> None:
    """Log the best epoch's weights as an artifact, and see to it that the sweep has no more than `keep` of them.

    The artifact is a collection of its own per run, `model-<run id>`; `model.load_model` reads it back. In a sweep
    that has `keep` better ones already nothing is uploaded. A comparison or a deletion that the server refuses is said
    in a warning; its refusal of the model is the trial's failure, after which the folder is still there.

    Args:
        folder: what `model.save_model` wrote; it may go once this returns.
    """
    score = {"epoch": best.epoch + 1, **best.metrics}
    in_sweep = run.sweep_id and not run.offline
    if in_sweep:
        score = swept_score(run) | score
    if in_sweep and is_outranked(run, score, keep):
        print(f"model: not kept, the sweep has {keep} better ones")
        return
    log_model(run, score, folder)
    if in_sweep:
        remove_surplus(run, keep)


def swept_score(run: "wandb.Run") -> dict[str, float]:
    """What the sweep is after, as the run's summary has it: not every such metric is one of a validation's."""
    import wandb

    with only_warned("the model's metadata does not have the sweep's metric"):
        name, goal = sweep_metric(wandb.Api(), run)
        finite = [value for value in summary_values(run.summary.get(name), goal) if math.isfinite(value)]
        return {name: finite[0]} if finite else {}
    return {}


def log_model(run: "wandb.Run", score: Mapping[str, Any], folder: Path) -> None:
    import wandb

    artifact = wandb.Artifact(f"{PREFIX}{run.id}", type=TYPE, metadata=dict(score))
    # What is uploaded at once needs no copy beside it or in wandb's cache; what will be synced later does.
    artifact.add_dir(str(folder), policy="mutable" if run.offline else "immutable", skip_cache=not run.offline)
    run.log_artifact(artifact, aliases=list(OWN_ALIASES))
    if not run.offline:
        artifact.wait()


def is_outranked(run: "wandb.Run", score: Mapping[str, Any], keep: int) -> bool:
    """Whether the sweep has `keep` models that are as good or better; False if the server does not say."""
    import wandb

    with only_warned("this model was not compared with the sweep's others"):
        api = wandb.Api()
        others = [model for model in sweep_models(api, run) if model.name.split(":")[0] != f"{PREFIX}{run.id}"]
        return len(others) in behind([*(other.metadata for other in others), score], keep, *sweep_metric(api, run))
    return False


def remove_surplus(run: "wandb.Run", keep: int) -> None:
    """Delete the sweep's models but for the best `keep` and those that somebody gave an alias or linked."""
    import wandb

    with only_warned("models that are no longer among the best were not deleted"):
        api = wandb.Api()
        models = sweep_models(api, run)
        for place in behind([model.metadata for model in models], keep, *sweep_metric(api, run)):
            with only_warned(f"{models[place].name} is no longer among the best, and was not deleted"):
                collection = models[place].collection
                if not any(is_protected(version) for version in collection.artifacts()):
                    collection.delete()


def is_protected(model: "wandb.Artifact") -> bool:
    """Whether somebody has reached for it: an alias beside ours, or a link from another collection."""
    return bool(set(model.aliases) - set(OWN_ALIASES)) or bool(model.linked_artifacts)


def sweep_models(api: "wandb.Api", run: "wandb.Run") -> "list[wandb.Artifact]":
    """The newest model of each run of the run's sweep that has one, oldest first."""
    project = f"{run.entity}/{run.project}"
    if TYPE not in {kind.name for kind in api.artifact_types(project)}:
        return []  # the first trial of a project; the client cannot list collections of a type that is not there
    names = [c.name.removeprefix(PREFIX) for c in api.artifact_collections(project, TYPE, per_page=PAGE)]
    filters = {"$and": [{"sweep": run.sweep_id}, {"name": {"$in": names}}]}
    runs = [other.id for other in api.runs(project, filters=filters, per_page=PAGE)] if names else []
    models = [api.artifact(f"{project}/{PREFIX}{run_id}:latest", type=TYPE) for run_id in runs]
    return sorted(models, key=lambda model: (model.created_at, model.name))


def sweep_metric(api: "wandb.Api", run: "wandb.Run") -> tuple[str, str]:
    """Name and goal of what the sweep is after."""
    metric = api.sweep(f"{run.entity}/{run.project}/{run.sweep_id}").config.get("metric") or {}
    return metric.get("name", OBJECTIVE), metric.get("goal", "maximize" if "name" not in metric else "minimize")


def behind(scores: Sequence[Mapping[str, Any]], keep: int, name: str, goal: str) -> list[int]:
    """The places of those that are not among the best `keep`; of equals the earlier stay, and NaN or none is worst.

    >>> behind([{"valid/mcc": 0.1}, {"valid/mcc": 0.3}, {"valid/mcc": 0.3}], 1, "valid/mcc", "maximize")
    [0, 2]
    """

    def rank(place: int) -> tuple[float, int]:
        value = scores[place].get(name)
        if not isinstance(value, int | float) or math.isnan(value):
            return math.inf, place
        return (-value if goal == "maximize" else value), place

    return sorted(sorted(range(len(scores)), key=rank)[keep:])
