"""The figures of a report, as SVG text that is the same whenever the findings are.

Imports matplotlib (Agg), seaborn, `stats` and the types of `findings`. Colours are seaborn's
"colorblind" ones; what colour tells, a marker or a line style tells too, so the figures survive
grey print. Text and lines are drawn in INK and LINE, which a page may replace to follow its theme.
"""

import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from cola_sweep import stats
from cola_sweep.findings import Findings, Parameter

INK, LINE = "#1d232b", "#c9ced6"
MUTED = "#8a929d"
BLUE, ORANGE, GREEN, PINK, BROWN = (sns.color_palette("colorblind").as_hex()[place] for place in (0, 1, 2, 4, 5))
CURVES = list(
    zip((BLUE, ORANGE, GREEN, PINK, BROWN), ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1))), "osD^v", strict=True)
)
FAINT_CURVES = 200
STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE, "axes.labelcolor": INK, "axes.facecolor": "none", "axes.grid": True, "axes.axisbelow": True,
    "axes.spines.top": False, "axes.spines.right": False, "figure.facecolor": "none", "savefig.facecolor": "none",
    "font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"], "font.size": 9.5, "grid.color": LINE,
    "grid.linewidth": 0.6, "legend.frameon": False, "svg.fonttype": "none", "text.color": INK, "xtick.color": LINE,
    "xtick.labelcolor": INK, "ytick.color": LINE, "ytick.labelcolor": INK,
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A drawing: its file name without ending, what it shows in one line, and the SVG text."""

    name: str
    caption: str
    svg: str


def draw(findings: Findings) -> list[Figure]:
    """Every figure for which the findings have data, in reading order."""
    return list(_draw(findings))


def _draw(findings: Findings) -> Iterator[Figure]:
    metric, ranked = findings.results.metric, findings.ranked
    if ranked.empty:
        return
    yield _figure(
        "best-so-far",
        f"Best {metric} so far, over the {len(ranked)} ranked runs in the order they started; dots are single runs.",
        partial(_best_so_far, findings=findings),
    )
    for parameter in findings.parameters:
        # A null is a choice like any other, but has no place on an axis of numbers.
        has_value = ranked[parameter.column].notna()
        values = ranked if parameter.scale == "categorical" else ranked[has_value]
        if has_value.any():
            won = values.index[0] == ranked.index[0]
            shown = {"log": " on a logarithmic axis", "linear": "", "categorical": "; dashes are means"}[
                parameter.scale
            ]
            yield _figure(
                f"parameter-{re.sub(r'[^A-Za-z0-9_.-]+', '-', parameter.name)}",
                f"Best {metric} of each run against {parameter.name}{shown}{'; the ringed run won' if won else ''}.",
                partial(_against, runs=values, parameter=parameter, metric=metric, ringed=int(won)),
            )
    curves = _curves_of(findings)
    if any(len(curve) > 1 for curve in curves.values()):
        yield _figure(
            "learning-curves",
            f"{metric} after each epoch{': the best 5 runs in colour, the others in grey' if len(curves) > 5 else ''}.",
            partial(_curves, findings=findings, curves=curves),
        )
    if findings.predicted:
        counts = findings.predicted.counts
        yield _figure(
            "confusion-matrix",
            f"The winner on {int(counts.sum()):,} validation sentences: counts, and shares of each true class.",
            partial(_confusion, counts=counts),
            size=(4.6, 3.4),
        )


def _figure(name: str, caption: str, draw: Callable[[Axes], None], size: tuple[float, float] = (5.4, 3.3)) -> Figure:
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        canvas = Canvas(figsize=size, layout="constrained")
        draw(canvas.subplots())
        buffer = io.StringIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Figure(name, caption, buffer.getvalue())


def _best_so_far(axes: Axes, findings: Findings) -> None:
    runs = findings.ranked.sort_values(["created", "id"], kind="stable")
    trials = np.arange(1, len(runs) + 1)
    axes.plot(trials, runs["best"], "o", color=MUTED, markersize=3.5 if len(runs) > 60 else 5)
    axes.step(
        trials, stats.best_so_far(runs["best"].tolist(), findings.results.goal), where="post", color=BLUE, linewidth=2
    )
    axes.set(xlabel="run", ylabel=_short(findings.results.metric, 50))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _against(axes: Axes, runs: pd.DataFrame, parameter: Parameter, metric: str, ringed: int) -> None:
    """Each run's best value; a ring around the first `ringed` of them."""
    size = 14 if len(runs) > 200 else 34
    if parameter.scale == "categorical":
        names, places = _categories(runs[parameter.column])
        # Runs of one category are spread a little, in a fixed order, so that equal ones do not hide each other.
        order = runs.groupby(places, sort=False).cumcount().to_numpy()
        x = places + 0.24 * ((0.5 + order * 0.618) % 1 - 0.5)
        means = runs["best"].groupby(places).mean()
        axes.scatter(means.index, means, marker="_", s=900, color=ORANGE, linewidths=2, zorder=1)
        axes.set_xticks(
            range(len(names)), [_short(name) for name in names], rotation=20 if len("".join(names)) > 56 else 0
        )
        axes.set_xlim(-0.6, len(names) - 0.4)
    else:
        x = runs[parameter.column].astype(float).to_numpy()
        axes.set_xscale(parameter.scale)
    axes.scatter(x, runs["best"], s=size, color=BLUE, alpha=0.75, linewidths=0)
    axes.scatter(x[:ringed], runs["best"].iloc[:ringed], s=4 * size, facecolors="none", edgecolors=ORANGE, linewidths=2)
    axes.set(xlabel=_short(parameter.name, 50), ylabel=_short(metric, 50))


def _categories(values: pd.Series) -> tuple[list[str], np.ndarray]:
    """The distinct values as text, numbers in numeric order and null last, and the place of each value among them."""
    distinct = list(values.dropna().unique())
    numeric = all(isinstance(value, int | float | np.number) for value in distinct)
    distinct.sort(key=float if numeric else str)
    names = [f"{value:.6g}" if isinstance(value, float | np.floating) else str(value) for value in distinct]
    places = values.map({value: place for place, value in enumerate(distinct)})
    if values.isna().any():
        names.append("–")
    return names, places.fillna(len(distinct)).to_numpy(dtype=int)


def _short(text: str, most: int = 24) -> str:
    """At most so many characters of a name, as matplotlib draws it: dollars are no mathematics."""
    text = text if len(text) <= most else f"{text[: most // 2 - 1]}…{text[-most // 2 :]}"
    return text.replace("$", r"\$")


def _curves_of(findings: Findings) -> dict[str, pd.DataFrame]:
    """The history of each ranked run that has one, best run first."""
    metric, histories = findings.results.metric, findings.results.histories
    if metric not in histories:
        return {}
    by_run = dict(list(histories.dropna(subset=[metric]).groupby("run")))
    return {run_id: by_run[run_id] for run_id in findings.ranked["id"] if run_id in by_run}


def _curves(axes: Axes, findings: Findings, curves: dict[str, pd.DataFrame]) -> None:
    metric, names = findings.results.metric, findings.ranked.set_index("id")["name"]
    for curve in list(curves.values())[len(CURVES) : len(CURVES) + FAINT_CURVES]:
        axes.plot(curve["epoch"], curve[metric], color=MUTED, linewidth=0.8, alpha=0.5)
    for (run_id, curve), (color, style, marker) in zip(curves.items(), CURVES, strict=False):
        label = "\u200b" + _short(str(names[run_id]))  # matplotlib would hide a label that begins with _
        axes.plot(
            curve["epoch"], curve[metric],
            color=color, linestyle=style, marker=marker, markersize=4.5, linewidth=1.8, label=label,
        )  # fmt: skip
    axes.set(xlabel="epoch", ylabel=_short(metric, 50))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=3)


def _confusion(axes: Axes, counts: stats.Counts) -> None:
    matrix = counts.reshape(2, 2)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    labels = np.array([f"{count:,}\n{share:.0%}" for count, share in zip(matrix.flat, shares.flat, strict=True)])
    sns.heatmap(
        shares, annot=labels.reshape(2, 2), fmt="", cmap="Blues", vmin=0, vmax=1, ax=axes, linewidths=2,
        linecolor="none", cbar=False, xticklabels=stats.CLASSES, yticklabels=stats.CLASSES,
        annot_kws={"size": 13},
    )  # fmt: skip
    axes.set(xlabel="predicted", ylabel="true")
    axes.grid(False)
    axes.tick_params(length=0)


def inline(figure: Figure) -> str:
    """The SVG as an element of a page: no prolog, themed colours, and ids no other figure of the page has."""
    svg = figure.svg[figure.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{figure.name}-", svg)
    return svg.replace(INK, "var(--ink)").replace(LINE, "var(--line)").replace(BLUE, "var(--accent)")


def standalone(figure: Figure) -> str:
    """The SVG as a file of its own, on white, since nothing can theme it there."""
    return re.sub(r"(<svg\b[^>]*>)", r'\1<rect width="100%" height="100%" fill="#ffffff"/>', figure.svg, count=1)
