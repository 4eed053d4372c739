"""The champion: the model of a project that has the alias `champion`, and what a challenger must show against it.

Imports `connection`, `metric_names`, `records`, `snapshot` and `wording`; pandas and the statistics inside functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import records, snapshot
from cola_sweep.connection import ask, within
from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.snapshot import SLOW_SECONDS, Snapshot
from cola_sweep.wording import count, show_lead

if TYPE_CHECKING:
    from cola_sweep.analysis.seeds import SeedComparison
    from cola_sweep.findings import Findings
    from cola_sweep.stats import Interval

ALIAS = "champion"
TYPE = "model"
RULE = (
    "rule: passed where the 95% interval of the difference, over seeds and sentences, is above 0 after what the choice "
    "of the best flatters the sweep by is taken off; nothing is taken off the champion, which was chosen too"
)


@dataclass(frozen=True)
class Challenge:
    """The best configuration of a sweep against the champion.

    Attributes:
        compared: over seeds and sentences, as measured.
        tried: how many configurations the best was chosen of.
        flattery, complete: see `flattery`.
    """

    compared: "SeedComparison"
    tried: int
    flattery: float | None
    complete: bool

    @property
    def difference(self) -> "Interval":
        """MCC of the contender less that of the champion, less what the choice flatters the contender by."""
        gap, less = self.compared.difference, self.flattery or 0.0
        return replace(gap, value=gap.value - less, low=gap.low - less, high=gap.high - less)

    @property
    def won(self) -> bool:
        return self.difference.low > 0


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


def candidates(found: "Findings") -> list[list[str]]:
    """The runs of each configuration of a sweep, best first, the one that won first; [] if none can be ranked.

    Where configurations were repeated on purpose, as in a sweep of `cola-sweep winner`, the best mean wins, and one of
    which a single run is left, for the others failed, cannot; else the best run wins.
    """
    if found.repeats is None:
        return [[run] for run in found.ranked["id"]]
    if _by_mean(found):
        return list(found.repeats.table.loc[found.repeats.table["n"] > 1, "runs"])
    places = {run: place for place, run in enumerate(found.ranked["id"])}
    return sorted(found.repeats.table["runs"], key=lambda runs: places[runs[0]])


def _by_mean(found: "Findings") -> bool:
    if found.repeats is None:
        return False
    return any(parameter.is_seed for parameter in found.parameters) or bool((found.repeats.table["n"] > 1).all())


def compare(api: Any, found: "Findings", champion: Any, kept_in: Path | None) -> Challenge | str:
    """The best configuration of a sweep against the champion and its repeats, or why they cannot be compared."""
    from cola_sweep.analysis.align import align
    from cola_sweep.analysis.seeds import compare_configurations
    from cola_sweep.results import of

    run = ask(champion.logged_by, f"run of {champion.name}")
    if run is None or not run.sweep_name:
        return "the champion's run is not of a sweep"
    theirs = snapshot.take(api, f"{run.entity}/{run.project}/{run.sweep_name}", kept_in=kept_in, beside=run.id)
    ours, *_ = tried = candidates(found)
    same = [record.id for record in records.repeats_of(theirs.records, run.id) if record.id not in ours]
    aligned = align(found.results.predictions | of(theirs).predictions, [*ours, *same])
    places = [place for place, run_id in enumerate(aligned.runs) if run_id in ours] if aligned else []
    if aligned is None or not 0 < len(places) < len(aligned.runs):
        return "no predictions of both on the same sentences are at hand"
    rest = [place for place in range(len(aligned.runs)) if place not in places]
    compared = compare_configurations(aligned.labels, aligned.predicted[places], aligned.predicted[rest])
    return Challenge(compared, len(tried), *flattery(found))


def flattery(found: "Findings") -> tuple[float | None, bool]:
    """By how much the choice of its best configuration flatters a sweep, and whether that is all of it.

    None where it cannot be told.
    """
    from cola_sweep.analysis.align import align
    from cola_sweep.analysis.selection import choose_again

    tried = candidates(found)
    if len(tried) == 1:
        return 0.0, True
    aligned = align(found.results.predictions, [run for runs in tried for run in runs])
    if aligned is None or found.results.metric != OBJECTIVE:
        return None, False
    choice = choose_again(aligned, tried, by_best=not _by_mean(found))
    return (max(0.0, choice.optimism), choice.complete) if choice else (None, False)


def gate(api: Any, taken: Snapshot, found: "Findings", kept_in: Path | None) -> tuple[int, str]:
    """Exit code and words: 0 if the sweep's best configuration beats the champion, is it, or there is none yet."""
    tried, held = candidates(found), holders(api, taken.path)
    if not tried:
        return 1, "gate: failed: no run of this sweep can be ranked"
    if not held:
        return 0, f"gate: passed: no model of this project has the alias {ALIAS} yet; `cola-sweep winner` gives it"
    (name, artifact), *_ = held.items()
    if model_of(taken, tried[0]) == name:
        return 0, f"gate: passed: the winner is the champion, {name}"
    compared = compare(api, found, artifact, kept_in)
    if isinstance(compared, str):
        return 1, f"gate: failed: not comparable with the champion, {name}: {compared}"
    return int(not compared.won), f"gate: {'passed' if compared.won else 'failed'}: {against(compared, name)}\n{RULE}"


def against(found: Challenge, name: str) -> str:
    """The comparison with the champion in one line."""
    gap, (ours, theirs) = found.difference, found.compared.seeds
    interval = gap.reason or f"95% interval of the difference {gap.low:+.3f} to {gap.high:+.3f}"
    chosen = f"the choice of the best of {found.tried:,}"
    if found.flattery is None:
        luck = f"{chosen} flatters it by an amount that is not known"
    else:
        least = "" if found.complete else "at least "
        luck = f"{least}{found.flattery:.3f} taken off for {chosen}" if found.tried > 1 else "nothing was chosen"
    runs = f"{count(ours, 'run')} against {theirs}"
    return f"MCC {show_lead(gap.value)} that of the champion, {name} ({interval}; {runs}; {luck})"
