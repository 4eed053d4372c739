"""Figures of the search: the metric over the sweep, against each parameter, over two of them, and over seeds.

Imports matplotlib, pandas and scipy, `stats`, and the types of `findings`.
"""

import re
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy import special

from cola_sweep import stats
from cola_sweep.figures.style import BLUE, MUTED, ORANGE, SHADES, Figure, LeftOut, drawing, log_ticks, short, spread
from cola_sweep.findings import Findings, Parameter
from cola_sweep.wording import show_value

LEVELS = 5  # of colour
FEWEST_FOR_QUARTERS = 12  # below, a mean of a quarter of the runs says little
MOST_CONFIGURATIONS = 8


def best_so_far(findings: Findings) -> Figure | LeftOut:
    """The search's progress: every ranked run, the best up to each, and what drawing at random would have reached."""
    metric, progress = findings.results.metric, findings.progress
    if progress is None:
        return LeftOut("progress of the search", findings.absent["progress"])
    table = progress.table

    def draw(axes: Axes) -> None:
        axes.fill_between(table["trial"], table["low"], table["high"], color=ORANGE, alpha=0.16, linewidth=0)
        axes.plot(table["trial"], table["expected"], color=ORANGE, linestyle="--", linewidth=1.5, label="by chance")
        axes.plot(
            table["trial"], table["value"], "o", color=MUTED, markersize=3 if len(table) > 60 else 5, label="runs"
        )
        axes.step(table["trial"], table["best"], where="post", color=BLUE, linewidth=2, label="best so far")
        axes.set(xlabel="run, in the order of their start", ylabel=short(metric, 50))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=3)

    caption = (
        f"Best {metric} so far over the {len(table):,} ranked runs in the order they started; dashed: expected best "
        "of as many runs drawn at random from these, with the band that holds 90% of such draws."
    )
    return drawing("best-so-far", caption, draw)


def against(findings: Findings, parameter: Parameter) -> Figure | LeftOut:
    """The metric against one parameter, with means and their intervals."""
    metric, ranked = findings.results.metric, findings.ranked
    # A null is a choice like any other, but has no place on an axis of numbers.
    has_value = ranked[parameter.column].notna()
    runs = ranked if parameter.scale == "categorical" else ranked[has_value]
    if len(runs) < 2:
        return LeftOut(f"{metric} against {parameter.name}", "fewer than two ranked runs have a value of it")
    if runs[parameter.column].nunique(dropna=False) < 2:
        return LeftOut(f"{metric} against {parameter.name}", "all ranked runs have the same value of it")
    won = runs.index[0] == ranked.index[0]
    means = _means(runs, parameter)
    caption = f"Best {metric} of each of {len(runs):,} runs against {parameter.name}"
    caption += " on a logarithmic axis" if parameter.scale == "log" else ""
    if not means.empty:
        of = "each value" if parameter.scale == "categorical" else "each quarter of the runs"
        caption += f"; bars are the mean of {of} with its 95% interval (Student's t)"
    caption += "; the ringed run won." if won else "."
    name = f"parameter-{re.sub(r'[^A-Za-z0-9_.-]+', '-', parameter.name)}"
    return drawing(
        name,
        caption,
        partial(_against, runs=runs, parameter=parameter, metric=metric, means=means, ringed=int(won)),
    )


def _against(
    axes: Axes, runs: pd.DataFrame, parameter: Parameter, metric: str, means: pd.DataFrame, ringed: int
) -> None:
    """Each run's best value; a ring around the first `ringed` of them. Long names of categories lie on the y axis."""
    size, lying = 14 if len(runs) > 200 else 34, False
    values = runs["best"].to_numpy(dtype=float)
    if parameter.scale == "categorical":
        names, places = categories(runs[parameter.column])
        x, lying = spread(places), len("".join(names)) > 50
        along = axes.yaxis if lying else axes.xaxis
        along.set_ticks(range(len(names)), [short(name) for name in names])
        (axes.set_ylim if lying else axes.set_xlim)(-0.6, len(names) - 0.4)
    else:
        x = runs[parameter.column].astype(float).to_numpy()
        axes.set_xscale(parameter.scale)
        if parameter.scale == "log":
            log_ticks(axes.xaxis)

    def turned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (y, x) if lying else (x, y)

    axes.scatter(*turned(x, values), s=size, color=BLUE, alpha=0.75, linewidths=0)
    axes.errorbar(
        *turned(means["x"], means["mean"]), **{"xerr" if lying else "yerr": means["half"]}, fmt="|" if lying else "_",
        color=ORANGE, markersize=14, markeredgewidth=2,
    )  # fmt: skip
    axes.scatter(*turned(x[:ringed], values[:ringed]), s=4 * size, facecolors="none", edgecolors=ORANGE, linewidths=2)
    # Wide intervals of few runs would squeeze the runs together; they may leave the picture.
    room = 0.2 * (np.ptp(values) or abs(values[0]) or 1)
    (axes.set_xlim if lying else axes.set_ylim)(values.min() - room, values.max() + room)
    (axes.set_ylabel if lying else axes.set_xlabel)(short(parameter.name, 50))
    (axes.set_xlabel if lying else axes.set_ylabel)(short(metric, 50))


def _means(runs: pd.DataFrame, parameter: Parameter) -> pd.DataFrame:
    """Where to draw a mean (`x`), the mean, and half its 95% interval (NaN for one run)."""
    if parameter.scale == "categorical":
        places = categories(runs[parameter.column])[1]
        groups = [(place, part) for place, part in runs["best"].groupby(places)]
    else:
        values = runs[parameter.column].astype(float)
        if len(runs) < FEWEST_FOR_QUARTERS or values.nunique() < 4:
            return pd.DataFrame(columns=["x", "mean", "half"])
        quarter = (values.rank(method="first") - 1) * 4 // len(values)
        groups = [(values[part.index].median(), part) for _, part in runs["best"].groupby(quarter)]
    return pd.DataFrame(
        [(x, part.mean(), half_interval(part)) for x, part in groups], columns=["x", "mean", "half"], dtype=float
    )


def half_interval(values: pd.Series, level: float = 0.95) -> float:
    """Half the width of the mean's Student t interval; NaN below two values."""
    n = len(values)
    if n < 2:
        return float("nan")
    return float(special.stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(n))


def parameter_map(findings: Findings) -> Figure | LeftOut:
    """The metric over two parameters: learning rate and batch size where both are searched, else the first two."""
    metric, ranked = findings.results.metric, findings.ranked
    title = f"{metric} over two parameters"
    searched = [p for p in findings.parameters if not p.is_seed and ranked[p.column].nunique() > 1]
    if len(searched) < 2:
        return LeftOut(title, "fewer than two parameters besides the seed differ between ranked runs")
    usual = [parameter for parameter in searched if parameter.name in ("lr", "batch_size")]
    x, y = sorted(usual if len(usual) == 2 else searched[:2], key=lambda parameter: parameter.scale == "categorical")
    runs = ranked[ranked[x.column].notna() & ranked[y.column].notna()]
    if len(runs) < 2:
        return LeftOut(title, f"fewer than two ranked runs have both {x.name} and {y.name}")
    if x.scale == y.scale == "categorical":
        caption = f"Mean best {metric} of {len(runs):,} runs for each {x.name} and {y.name}; n is the number of runs."
        return drawing("map", caption, partial(_grid, runs=runs, x=x, y=y))
    caption = f"Best {metric} of {len(runs):,} runs over {x.name} and {y.name}: the darker, the better; the ring won."
    return drawing("map", caption, partial(_cloud, runs=runs, x=x, y=y, goal=findings.results.goal))


def _grid(axes: Axes, runs: pd.DataFrame, x: Parameter, y: Parameter) -> None:
    columns, column = categories(runs[x.column])
    rows, row = categories(runs[y.column])
    means = np.full((len(rows), len(columns)), np.nan)
    labels = np.full(means.shape, "", dtype=object)
    for (i, j), part in runs["best"].groupby([row, column]):
        means[i, j], labels[i, j] = part.mean(), f"{part.mean():.3f}\nn = {len(part)}"
    sns.heatmap(
        means, annot=labels, fmt="", cmap=SHADES, cbar=False, ax=axes, linewidths=2, linecolor="none",
        xticklabels=[short(name) for name in columns], yticklabels=[short(name) for name in rows],
        annot_kws={"color": axes.xaxis.label.get_color()},
    )  # fmt: skip
    axes.set(xlabel=short(x.name, 50), ylabel=short(y.name, 50))
    axes.tick_params(length=0, axis="y", rotation=0)
    axes.grid(False)


def _cloud(axes: Axes, runs: pd.DataFrame, x: Parameter, y: Parameter, goal: stats.Goal) -> None:
    values = runs["best"].astype(float) if goal == "maximize" else -runs["best"].astype(float)
    low, high = values.min(), values.max()
    level = ((values - low) / (high - low) * LEVELS).clip(0, LEVELS - 1).astype(int) if high > low else values * 0
    ys = spread(categories(runs[y.column])[1]) if y.scale == "categorical" else runs[y.column].astype(float)
    xs = runs[x.column].astype(float).to_numpy()
    steps = np.linspace(low, high, LEVELS + 1) * (1 if goal == "maximize" else -1)
    for step in range(LEVELS):
        part = (level == step).to_numpy()
        if part.any():
            axes.scatter(
                xs[part], np.asarray(ys)[part], s=26 + 8 * step, facecolors=[(*_rgb(BLUE), 0.06 + 0.22 * step)],
                edgecolors=BLUE, linewidths=0.8, label=f"{steps[step]:.3g} to {steps[step + 1]:.3g}",
            )  # fmt: skip
    axes.scatter(xs[:1], np.asarray(ys)[:1], s=190, facecolors="none", edgecolors=ORANGE, linewidths=2)
    axes.set_xscale(x.scale)
    if x.scale == "log":
        log_ticks(axes.xaxis)
    if y.scale == "categorical":
        names = categories(runs[y.column])[0]
        axes.set_yticks(range(len(names)), [short(name) for name in names])
    else:
        axes.set_yscale(y.scale)
        if y.scale == "log":
            log_ticks(axes.yaxis)
    axes.set(xlabel=short(x.name, 50), ylabel=short(y.name, 50))
    axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=3)


def _rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))


def seeds(findings: Findings) -> Figure | LeftOut:
    """Configurations that were run more than once: each run, and the mean with its interval."""
    metric, repeats = findings.results.metric, findings.repeats
    title = "configurations over seeds"
    if repeats is None:
        return LeftOut(title, findings.absent["repeats"])
    if not repeats.keys:
        return LeftOut(title, "nothing but the seed was searched")
    repeated = repeats.table[repeats.table["n"] > 1]
    best = repeated.head(MOST_CONFIGURATIONS)
    values = findings.ranked.set_index("id")["best"]
    names = [", ".join(show_value(value) for value in row) for row in best[repeats.keys].itertuples(index=False)]

    def draw(axes: Axes) -> None:
        for place, runs in enumerate(best["runs"]):
            axes.scatter(values[runs], np.full(len(runs), place), s=30, color=BLUE, alpha=0.75, linewidths=0)
        axes.errorbar(
            best["mean"], np.arange(len(best)) + 0.22, xerr=best["high"] - best["mean"], fmt="D", color=ORANGE,
            markersize=5,
        )  # fmt: skip
        axes.set_yticks(range(len(names)), [short(name, 30) for name in names])
        axes.set_ylim(len(best) - 0.4, -0.5)
        axes.set(xlabel=short(metric, 50))

    cut = f"the best {len(best)} of {len(repeated)} configurations"
    if len(best) == len(repeated):
        cut = f"all {len(best)} configurations" if len(best) > 1 else "the one configuration"
    labels = ", ".join(key.removeprefix("config.") for key in repeats.keys)
    caption = (
        f"Best {metric} of each run (dots) of {cut} run more than once ({labels}); "
        "diamonds are means with their 95% interval over runs (Student's t)."
    )
    return drawing("seeds", caption, draw)


def categories(values: pd.Series) -> tuple[list[str], np.ndarray]:
    """The distinct values as text, numbers in numeric order and null last, and the place of each value among them."""
    distinct = list(values.dropna().unique())
    numeric = all(isinstance(value, int | float | np.number) for value in distinct)
    distinct.sort(key=float if numeric else str)
    names = [show_value(value) for value in distinct]
    places = values.map({value: place for place, value in enumerate(distinct)})
    if values.isna().any():
        names.append("–")
    return names, places.fillna(len(distinct)).to_numpy(dtype=int)
