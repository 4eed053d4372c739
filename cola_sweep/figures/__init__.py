"""The figures of a report: which are drawn, in reading order. Each kind has its module.

for figure in draw(findings).figures: ...
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cola_sweep.figures import importance, parallel, pareto, runs, search, sentences
from cola_sweep.figures.style import Figure, LeftOut, dark_rules, inline, standalone
from cola_sweep.findings import Findings

__all__ = ["Figure", "Gallery", "LeftOut", "dark_rules", "draw", "inline", "standalone"]


@dataclass(frozen=True)
class Gallery:
    """The figures by the part of the report they belong to, and those that the data do not carry."""

    search: tuple[Figure, ...] = ()
    cost: tuple[Figure, ...] = ()
    sentences: tuple[Figure, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        return self.search + self.sentences + self.cost


def draw(findings: Findings) -> Gallery:
    """Every figure for which the findings have data; why not, for the others."""
    if findings.ranked.empty:
        return Gallery(left_out=(LeftOut("all figures", "no run can be ranked"),))
    drawn = {
        "search": list(_search(findings)),
        "sentences": list(_sentences(findings)),
        "cost": list(pareto.pareto(findings)),
    }
    return Gallery(
        **{part: tuple(item for item in items if isinstance(item, Figure)) for part, items in drawn.items()},
        left_out=tuple(item for items in drawn.values() for item in items if isinstance(item, LeftOut)),
    )


def _search(findings: Findings) -> Iterator[Figure | LeftOut]:
    yield search.best_so_far(findings)
    yield search.seeds(findings)
    for parameter in findings.parameters:
        if not parameter.is_seed:
            yield search.against(findings, parameter)
    yield importance.importance(findings)
    yield search.parameter_map(findings)
    yield runs.learning_curves(findings)
    yield runs.losses(findings)
    yield parallel.parallel(findings)


def _sentences(findings: Findings) -> Iterator[Figure | LeftOut]:
    yield sentences.confusion(findings)
    yield sentences.confusion(findings, place=1)
    yield sentences.calibration(findings)
