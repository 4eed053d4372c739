"""Which parameters mattered: fANOVA's share of the metric's variance, with its spread and what chance would give.

Imports numpy, pandas, `parameters`, `swept`, `wording`; scikit-learn inside the function.

The same quantity as `optuna.importance.FanovaImportanceEvaluator`, to rounding (a test holds this); that one walks
its trees in Python, 5 minutes for 1,000 runs, where this one takes a second and so can be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cola_sweep.analysis.swept import Parameter
from cola_sweep.errors import UserError
from cola_sweep.parameters import BOUNDED, bounds, read_parameter
from cola_sweep.wording import count

Array = npt.NDArray[np.float64]

FEWEST = 10  # runs; and no fewer than FEWEST_EACH for each parameter
FEWEST_EACH = 4
TREES = 64
SHUFFLES, SHUFFLE_TREES, SHUFFLE_RUNS = 20, 8, 200
METHOD = "fANOVA (Hutter et al. 2014): the share of the variance over the search space that a parameter explains alone"


@dataclass(frozen=True)
class Importance:
    """Shares of the variance of the metric over the search space.

    Attributes:
        table: largest share first: `name`, `share`, `low` and `high` (5% and 95% of the trees, each of which saw its
            own resample of the runs) and `chance`, which a parameter without any influence exceeds once in 20 times:
            a share below it says nothing.
        n: runs it rests on.
        unexplained: what no parameter explains alone: their interplay and noise.
        skipped: parameters that could not be judged, and why.
        method: in words, with its source.
    """

    table: pd.DataFrame
    n: int
    unexplained: float
    skipped: dict[str, str]
    method: str = METHOD


@dataclass(frozen=True)
class Axis:
    """A parameter as columns of numbers, on which equal lengths of `ends` are equally large parts of the space."""

    name: str
    columns: Array  # (n, width); width above 1 for unordered choices, one column each
    ends: Array  # (width, 2)


def importance(ranked: pd.DataFrame, parameters: Sequence[Parameter], *, seed: int = 0) -> Importance | str:
    """Importance of the parameters that are no seeds, or why it cannot be told.

    Args:
        ranked: runs with the parameters' columns and `best`.
    """
    axes, skipped = [], {}
    for parameter in parameters:
        if not parameter.is_seed:
            axis = _axis(parameter, ranked[parameter.column])
            if isinstance(axis, Axis):
                axes.append(axis)
            else:
                skipped[parameter.name] = axis
    fewest = max(FEWEST, FEWEST_EACH * len(axes))
    if not axes:
        return "no parameter differs between the ranked runs"
    if len(ranked) < fewest:
        return f"{len(ranked)} ranked runs are too few for {count(len(axes), 'parameter')}: it takes {fewest}"
    values = ranked["best"].to_numpy(dtype=float)
    if np.ptp(values) == 0:
        return "all ranked runs have the same value"
    shares = _shares(axes, values, TREES, seed)
    table = pd.DataFrame(
        {
            "name": [axis.name for axis in axes], "share": shares.mean(axis=0),
            "low": np.quantile(shares, 0.05, axis=0), "high": np.quantile(shares, 0.95, axis=0),
            "chance": _chance(axes, values, seed),
        }
    )  # fmt: skip
    unexplained = max(0.0, 1 - float(table["share"].sum()))
    return Importance(table.sort_values("share", ascending=False, kind="stable"), len(values), unexplained, skipped)


def _axis(parameter: Parameter, values: pd.Series) -> Axis | str:
    """The parameter's axis, as the sweep file gives it where it does; or why it has none."""
    if absent := int(values.isna().sum()):
        return f"{absent} of {len(values)} runs have no value of it"
    if values.nunique() < 2:
        return "it has the same value in all ranked runs"
    numbers = pd.to_numeric(values, errors="coerce")
    if parameter.scale != "categorical":
        low, high = _declared_bounds(parameter) or (float(numbers.min()), float(numbers.max()))
        low, high = min(low, float(numbers.min())), max(high, float(numbers.max()))
        # On a logarithmic axis equal ratios are equally large parts of the space.
        convert = np.log if parameter.scale == "log" and low > 0 else np.asarray
        return Axis(parameter.name, convert(numbers.to_numpy(dtype=float))[:, None], convert(np.array([[low, high]])))
    ordered = values.dtype != bool and not numbers.isna().any()
    choices = sorted(values.unique()) if ordered else list(dict.fromkeys(values))
    places = values.map({choice: place for place, choice in enumerate(choices)}).to_numpy(dtype=int)
    if ordered or len(choices) == 2:
        return Axis(parameter.name, places[:, None].astype(float), np.array([[-0.5, len(choices) - 0.5]]))
    return Axis(parameter.name, np.eye(len(choices))[places], np.tile([-0.5, 1.5], (len(choices), 1)))


def _declared_bounds(parameter: Parameter) -> tuple[float, float] | None:
    try:
        declared = read_parameter(parameter.spec, (parameter.name,), [])
    except UserError:
        return None
    return bounds(declared) if declared.distribution in BOUNDED else None


def _shares(axes: Sequence[Axis], values: Array, trees: int, seed: int) -> Array:
    """Each tree's share of variance by axis, shape (trees, axes); trees that never split are left out.

    Source: Hutter, Hoos and Leyton-Brown (2014), An Efficient Approach for Assessing Hyperparameter Importance, ICML,
    algorithm 2, for single parameters.
    """
    from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped]

    columns, ends = np.hstack([axis.columns for axis in axes]), np.vstack([axis.ends for axis in axes])
    forest = RandomForestRegressor(trees, max_depth=64, random_state=seed).fit(columns, values)
    starts = np.cumsum([0, *(len(axis.ends) for axis in axes)])
    parts = [np.arange(*pair) for pair in pairwise(starts)]
    rows = [_tree_shares(tree.tree_, ends, parts) for tree in forest.estimators_ if tree.tree_.node_count > 1]
    return np.array(rows) if rows else np.zeros((1, len(axes)))


def _tree_shares(tree: Any, ends: Array, parts: Sequence[npt.NDArray[np.int64]]) -> list[float]:
    """Of one tree: the variance of its prediction over the space, as a function of each part's columns alone."""
    leaves, boxes = _boxes(tree, ends)
    values = tree.value[leaves].reshape(-1)
    # Shares of the whole space along each column, so that their product is the weight of the leaf.
    sizes = (boxes[:, :, 1] - boxes[:, :, 0]) / (ends[:, 1] - ends[:, 0])
    weights = sizes.prod(axis=1)
    mean = weights @ values
    variance = weights @ (values - mean) ** 2
    if variance == 0:
        return [0.0] * len(parts)
    return [_marginal_variance(values - mean, sizes, boxes, ends, part) / variance for part in parts]


def _boxes(tree: Any, ends: Array) -> tuple[npt.NDArray[np.int64], Array]:
    """The tree's leaves and the box of the space that each covers, shape (leaves, columns, 2)."""
    boxes = np.empty((tree.node_count, *ends.shape))
    boxes[0] = ends
    for node in np.flatnonzero(tree.feature >= 0):  # a parent comes before its children
        column = tree.feature[node]
        for child, side in ((tree.children_left[node], 1), (tree.children_right[node], 0)):
            boxes[child] = boxes[node]
            boxes[child, column, side] = tree.threshold[node]
    leaves = np.flatnonzero(tree.feature < 0)
    return leaves, boxes[leaves]


def _marginal_variance(centred: Array, sizes: Array, boxes: Array, ends: Array, part: npt.NDArray[np.int64]) -> float:
    """Variance over the columns of `part` of the prediction averaged over all others; `centred` values have mean 0."""
    split = [column for column in part if (sizes[:, column] < 1).any()]
    if not split:
        return 0.0
    others = np.delete(sizes, split, axis=1).prod(axis=1)
    cuts = [np.unique(boxes[:, column]) for column in split]
    # The averaged prediction is constant between cuts: leaves are added up where they begin, taken off where they end.
    steps = np.zeros([len(cut) for cut in cuts])
    places = [np.searchsorted(cut, boxes[:, column]) for cut, column in zip(cuts, split, strict=True)]
    for corner in np.ndindex(*[2] * len(split)):
        at = tuple(place[:, side] for place, side in zip(places, corner, strict=True))
        np.add.at(steps, at, (-1) ** sum(corner) * centred * others)
    lengths = np.ones(1)
    for dimension, (cut, column) in enumerate(zip(cuts, split, strict=True)):
        steps = np.cumsum(steps, axis=dimension)
        lengths = np.multiply.outer(lengths, np.append(np.diff(cut), 0) / (ends[column, 1] - ends[column, 0]))
    return float((lengths[0] * steps**2).sum())


def _chance(axes: Sequence[Axis], values: Array, seed: int) -> Array:
    """The share that each axis has by chance in 5 % of the cases: its 95 % quantile over shuffled values.

    Source: Altmann et al. (2010), Permutation importance: a corrected feature importance measure, Bioinformatics 26,
    1340-1347. Many runs are thinned out to SHUFFLE_RUNS: chance explains more of fewer, so this errs to the safe side.
    """
    rng = np.random.default_rng(seed)
    null = []
    for number in range(SHUFFLES):
        picked = rng.permutation(len(values))[:SHUFFLE_RUNS]
        thinned = [Axis(axis.name, axis.columns[picked], axis.ends) for axis in axes]
        null.append(_shares(thinned, rng.permutation(values[picked]), SHUFFLE_TREES, seed + number).mean(axis=0))
    return np.quantile(null, 0.95, axis=0)
