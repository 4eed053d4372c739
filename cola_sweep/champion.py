"""The champion: the model of a project that has the alias `champion`, and what a challenger must show against it.

Imports `connection`, `records`, `snapshot` and `wording`; pandas and the statistics inside functions.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import records, snapshot
from cola_sweep.connection import ask, within
from cola_sweep.snapshot import SLOW_SECONDS, Snapshot
from cola_sweep.wording import count

if TYPE_CHECKING:
    from cola_sweep.analysis.seeds import SeedComparison
    from cola_sweep.findings import Findings

ALIAS = "champion"
TYPE = "model"


def holders(api: Any, path: str) -> dict[str, Any]:
    """The models with the alias, by name and version: one, or none yet; two if the alias' move was cut short.

    Args:
        path: of a sweep; its project is looked through.
    """
    project = path.rpartition("/")[0]

    def find() -> dict[str, Any]:
        collections = list(api.artifact_collections(project, TYPE))
        aliases = snapshot.at_once(lambda collection: collection.aliases, collections)
        names = [each.name for each, held in zip(collections, aliases, strict=True) if ALIAS in held]
        found = {name: api.artifact(f"{project}/{name}:{ALIAS}", type=TYPE) for name in names}
        return {f"{name}:{artifact.version}": artifact for name, artifact in found.items()}

    return ask(find, f"models of {project}")


def crown(api: Any, path: str, name: str) -> None:
    """Give the alias to the model `name`, and take it from any other: in this order, so that there is always one."""
    project = path.rpartition("/")[0]
    others = [artifact for held, artifact in holders(api, path).items() if held != name]

    def move() -> None:
        new = api.artifact(f"{project}/{name}", type=TYPE)
        if ALIAS not in new.aliases:
            new.aliases.append(ALIAS)
            new.save()
        for old in others:
            old.aliases.remove(ALIAS)
            old.save()

    ask(lambda: within(SLOW_SECONDS, move), f"model {project}/{name}")


def download_model(api: Any, path: str, folder: Path) -> Path:
    """Download a model artifact, `entity/project/name:version`, into `folder`.

    Raises:
        UserError: it is not there, or the server does not answer.
    """

    def fetch() -> Path:
        return Path(api.artifact(path, type=TYPE).download(root=str(folder)))

    return ask(lambda: within(SLOW_SECONDS, fetch), f"model {path}")


def model_of(taken: Snapshot, runs: Sequence[str]) -> str | None:
    """Name and version of the model of the first of `runs` that has one."""
    models = {each["run"]: str(each["name"]) for each in taken.artifacts if each["type"] == TYPE}
    return next((models[run] for run in runs if run in models), None)


def contender(found: "Findings") -> list[str]:
    """The runs of the configuration that a sweep says is best, best first; [] if none can be ranked.

    Where every configuration was repeated, as in a sweep of `cola-sweep winner`, it is that of the best mean.
    """
    if found.winner is None:
        return []
    best = str(found.winner["id"])
    if found.repeats is None:
        return [best]
    table = found.repeats.table
    if (table["n"] > 1).all():
        return list(table["runs"].iloc[0])
    return next((list(runs) for runs in table["runs"] if best in runs), [best])


def compare(
    api: Any, taken: Snapshot, runs: Sequence[str], champion: Any, kept_in: Path | None
) -> "SeedComparison | str":
    """`runs` of a sweep against the champion and its repeats, or why they cannot be compared."""
    from cola_sweep.analysis.align import align
    from cola_sweep.analysis.seeds import compare_configurations
    from cola_sweep.results import of

    run = ask(champion.logged_by, f"run of {champion.name}")
    if run is None or not run.sweep_name:
        return "the champion's run is not of a sweep"
    theirs = snapshot.take(api, f"{run.entity}/{run.project}/{run.sweep_name}", kept_in=kept_in)
    settings = {record.id: records.configuration(record.config) for record in theirs.records}
    same = [run_id for run_id in theirs.tables if run_id not in runs and settings[run_id] == settings.get(run.id)]
    aligned = align(of(taken).predictions | of(theirs).predictions, [*runs, *same])
    ours = [place for place, run_id in enumerate(aligned.runs) if run_id in runs] if aligned else []
    if aligned is None or not 0 < len(ours) < len(aligned.runs):
        return "no predictions of both on the same sentences are at hand"
    rest = [place for place in range(len(aligned.runs)) if place not in ours]
    return compare_configurations(aligned.labels, aligned.predicted[ours], aligned.predicted[rest])


def gate(api: Any, taken: Snapshot, found: "Findings", kept_in: Path | None) -> tuple[int, str]:
    """Exit code and words: 0 if the sweep's best configuration beats the champion, is it, or there is none yet."""
    runs, held = contender(found), holders(api, taken.path)
    if not runs:
        return 1, "gate: failed: no run of this sweep can be ranked"
    if not held:
        return 0, f"gate: passed: no model of this project has the alias {ALIAS} yet; `cola-sweep winner` gives it"
    (name, artifact), *_ = held.items()
    if model_of(taken, runs) == name:
        return 0, f"gate: passed: the winner is the champion, {name}"
    compared = compare(api, taken, runs, artifact, kept_in)
    if isinstance(compared, str):
        return 1, f"gate: failed: not comparable with the champion, {name}: {compared}"
    passed = compared.verdict == "first"
    return int(not passed), f"gate: {'passed' if passed else 'failed'}: {against(compared, name)}"


def against(compared: "SeedComparison", name: str) -> str:
    """The comparison with the champion in one line."""
    gap, (ours, theirs) = compared.difference, compared.seeds
    interval = f"95% interval {gap.low:+.3f} to {gap.high:+.3f}" if not gap.reason else gap.reason
    return f"MCC {gap.value:+.3f} against the champion, {name} ({interval}; {count(ours, 'run')} against {theirs})"
