"""How a search went: its best value after each run, how far that is from the end, and what chance would have reached.

Imports numpy, pandas, scipy and `stats`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cola_sweep import stats

BAND = (0.05, 0.95)


@dataclass(frozen=True)
class Progress:
    """The search, run by run.

    Attributes:
        table: one row a ranked run in the order of starting: `trial` (from 1), `id`, `value`, `best` so far, `regret`
            (how far `best` is from the best of all), and for as many runs drawn at random from these values
            `expected`, the mean of their best, with `low` and `high`, its 5% and 95% quantiles.
        caveat: why the values are not those of a random search, or "".
    """

    table: pd.DataFrame
    caveat: str


def progress(ranked: pd.DataFrame, goal: stats.Goal, method: str) -> Progress | str:
    """Progress of the ranked runs, or why there is none.

    Args:
        ranked: with `id`, `created` and `best`, in any order.
        method: of the sweep; only with "random" are its values a sample of what random search finds.
    """
    if len(ranked) < 2:
        return "fewer than two runs can be ranked"
    runs = ranked.sort_values(["created", "id"], kind="stable")
    values = runs["best"].to_numpy(dtype=float)
    best = stats.best_so_far(values.tolist(), goal)
    expected, low, high = best_of_draws(values, goal)
    table = pd.DataFrame(
        {
            "trial": np.arange(1, len(values) + 1), "id": runs["id"].to_numpy(), "value": values, "best": best,
            "regret": np.abs(best - best[-1]), "expected": expected, "low": low, "high": high,
        }
    )  # fmt: skip
    return Progress(table, "" if method == "random" else _caveat(method))


def _caveat(method: str) -> str:
    if method == "grid":
        return (
            "The values are those of the grid: the band is this grid in random order, not a random search of the space."
        )
    return (
        f"The {method} search chose its runs, better ones more often than chance would: the band is these same runs in "
        "random order, and a random search of the space would most likely stay below it."
    )


def best_of_draws(values: npt.ArrayLike, goal: stats.Goal) -> tuple[npt.NDArray[np.float64], ...]:
    """Mean, low and high quantile of the best of k of the values, drawn without replacement, for k = 1 to n.

    The i-th smallest value is the largest of k with probability C(i - 1, k - 1) / C(n, k). The mean is the unbiased
    estimate of the expected best of k: Tang et al. (2020), Showing Your Work Doesn't Always Work, ACL, against Dodge
    et al. (2019), Show Your Work, EMNLP, who draw with replacement. For k = n it is the best value itself.
    """
    sign = 1.0 if goal == "maximize" else -1.0
    ordered = np.sort(sign * np.asarray(values, dtype=float))
    n = len(ordered)
    i, k = np.arange(1, n + 1)[None, :], np.arange(1, n + 1)[:, None]
    chances = np.exp(_log_binomial(i - 1, k - 1) - _log_binomial(np.array(n), k))
    ends = [ordered[np.minimum((np.cumsum(chances, axis=1) < end - 1e-9).sum(axis=1), n - 1)] for end in BAND]
    low, high = ends if goal == "maximize" else ends[::-1]
    return sign * (chances @ ordered), sign * low, sign * high


def _log_binomial(n: npt.NDArray[np.int64], k: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Logarithm of C(n, k); minus infinity where k is above n."""
    inside = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(np.maximum(n - k, 0) + 1)
    return np.where(k <= n, inside, -np.inf)
