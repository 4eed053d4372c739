"""A Gaussian process over some dozen points of a cube: where the best value so far may be improved most. Pure.

The correlation of two points is Matern's of smoothness 5/2, with a length for each side and noise (Rasmussen and
Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25 f. and 4.17). The lengths and the noise are
the most probable of a few dozen that are drawn, some of them near the best by then; mean and scale follow from these.
What is sought is the logarithm of the expected improvement (Jones, Schonlau and Welch 1998), which does not vanish.

Imports numpy.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cola_sweep.server.search.cube import Points

Array = NDArray[np.float64]

# Draws of lengths and noise: how many, and then near the best so far, at these shares of the prior's width.
DRAWS, NEAR, WIDTHS = 32, 12, (0.5, 0.25)
# The prior of the logarithm of a length, to which half the logarithm of the number of sides is added, and of the noise
# in terms of the scale: mean and standard deviation.
LENGTH, NOISE = (math.log(0.5), 1.0), (math.log(0.01), 1.5)
# So many observations is the prior worth that the scale is 1, and that the mean is 0.
_SCALE_WEIGHT, _MEAN_WEIGHT = 2.0, 0.1
_LEAST_NOISE = 1e-4  # beside which rounding to 32 bits is nothing
_FAR = -5.0  # standard deviations from which on a series takes the place of a difference of two small numbers


class _Fit(NamedTuple):
    logs: Array  # of the lengths and, last, the noise
    probability: float  # its logarithm, but for a constant
    mean: float
    variance: float


@dataclass(frozen=True)
class Process:
    """What is known of a function after n values, some of them only assumed; see `known`.

    Attributes:
        weights: of the squared distances along each side.
        whitening: the inverse of the lower Cholesky factor of the n points' correlations.
        pull: of each of the n values on the mean elsewhere.
    """

    points: Points
    labels: NDArray[np.bool_]
    weights: Array
    whitening: Array
    pull: Array
    mean: float
    scale: float
    best: float

    def log_improvement(self, points: Points) -> Array:
        """The logarithm of how much the best value is expected to be improved, at each of some points."""
        near = _correlation(_squares(points, self.points, self.labels, self.weights))
        left = 1 - np.square(near @ self.whitening.T).sum(1)
        deviation = self.scale * np.sqrt(np.maximum(left, 1e-10))
        return log_gain((self.mean + near @ self.pull - self.best) / deviation) + np.log(deviation)


def known(
    points: Points, values: Array, pending: Points, failed: Points, labels: NDArray[np.bool_], dice: np.random.Generator
) -> Process:
    """What some values teach, the more the better.

    Args:
        values: one at least, all finite, of any size.
        pending: points whose values are yet to come. They are taken for what is expected there, but for no better than
            the best value: what promises more would be sought again and again.
        failed: points that will have none, taken for no better than the mean.
        labels: which sides hold labels.
    """
    values = _standardised(values)
    fit = _most_probable(points, values, labels, dice)
    weights, noise = np.exp(-2 * fit.logs[:-1]), math.exp(fit.logs[-1]) + _LEAST_NOISE

    def correlation(a: Points, b: Points) -> Array:
        return _correlation(_squares(a, b, labels, weights))

    off = values - fit.mean
    own = correlation(points, points) + noise * np.eye(len(points))
    assumed = np.concatenate([pending, failed])
    expected = correlation(assumed, points) @ np.linalg.solve(own, off)
    most = np.repeat([off.max(), -fit.mean], [len(pending), len(failed)])
    points, off = np.concatenate([points, assumed]), np.concatenate([off, np.minimum(expected, most)])
    factor = np.linalg.cholesky(correlation(points, points) + noise * np.eye(len(points)))
    whitening = np.linalg.inv(factor)
    pull = whitening.T @ (whitening @ off)
    return Process(points, labels, weights, whitening, pull, fit.mean, math.sqrt(fit.variance), float(values.max()))


def log_gain(off: Array) -> Array:
    """The logarithm of the expectation of max(0, off + X), X being standard normal."""
    density = np.exp(-0.5 * off * off) / math.sqrt(2 * math.pi)
    share = 0.5 * np.fromiter(map(math.erfc, -off / math.sqrt(2)), float, len(off))
    far = np.minimum(off, _FAR)
    series = -0.5 * far * far - 0.5 * math.log(2 * math.pi) - 2 * np.log(-far) + np.log1p(-3 / far**2 + 15 / far**4)
    return np.where(off > _FAR, np.log(np.maximum(density + off * share, 1e-300)), series)


def _standardised(values: Array) -> Array:
    values = values / (np.abs(values).max() or 1.0)  # the square of 1e200 is no number
    return (values - values.mean()) / (values.std() or 1.0)


def _squares(a: Points, b: Points, labels: NDArray[np.bool_], weights: Array) -> Array:
    """Weighted sums of the squared distances along each side, an array of a x b; of labels these are 0 or 1."""
    x, y = (points[:, ~labels] * np.sqrt(weights[~labels]) for points in (a, b))
    squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T
    for side in np.flatnonzero(labels):
        squares += weights[side] * (a[:, side, None] != b[:, side])
    return np.maximum(squares, 0)  # rounding


def _correlation(squares: Any) -> Any:
    far = np.sqrt(5 * squares)
    return (1 + far + far * far / 3) * np.exp(-far)


def _most_probable(points: Points, values: Array, labels: NDArray[np.bool_], dice: np.random.Generator) -> _Fit:
    sides, (i, j) = len(labels), np.tril_indices(len(values), -1)
    apart = (points[i] - points[j]).T
    # Most of the time goes into these; half the digits are twice as fast.
    pairs = np.where(labels[:, None], apart != 0, apart * apart).astype(np.float32)
    middle = np.array([LENGTH[0] + 0.5 * math.log(sides)] * sides + [NOISE[0]])
    width = np.array([LENGTH[1]] * sides + [NOISE[1]])
    drawn = np.vstack([np.zeros(sides + 1), dice.standard_normal((DRAWS - 1, sides + 1))])
    best = _best(drawn, middle, width, pairs, values)
    for share in WIDTHS:
        drawn = (best.logs - middle) / width + share * dice.standard_normal((NEAR, sides + 1))
        best = max(best, _best(drawn, middle, width, pairs, values), key=lambda fit: fit.probability)
    return best


def _best(drawn: Array, middle: Array, width: Array, pairs: NDArray[np.float32], values: Array) -> _Fit:
    """The most probable of some lengths and noises, drawn in terms of the prior's width from its middle."""
    logs, many = middle + width * drawn, len(values)
    below, diagonal = np.tril_indices(many, -1), np.arange(many)
    lower = np.zeros((len(drawn), many + 2, many + 2))
    lower[:, below[0], below[1]] = _correlation(np.exp(-2 * logs[:, :-1]).astype(np.float32) @ pairs)
    lower[:, diagonal, diagonal] = 1 + np.exp(logs[:, -1:]) + _LEAST_NOISE
    # Two more rows, and the factor's are the values and ones, whitened.
    lower[:, many, :many], lower[:, many + 1, :many] = values, 1
    lower[:, [many, many + 1], [many, many + 1]] = 1e9
    factor = np.linalg.cholesky(lower)
    white, ones = factor[:, many, :many], factor[:, many + 1, :many]
    mean = (white * ones).sum(1) / ((ones * ones).sum(1) + _MEAN_WEIGHT)
    rest = np.square(white - mean[:, None] * ones).sum(1)
    variance = (rest + _SCALE_WEIGHT) / (many + _SCALE_WEIGHT)
    determinant = 2 * np.log(factor[:, diagonal, diagonal]).sum(1)
    probability = -0.5 * ((many + _SCALE_WEIGHT) * np.log(variance) + determinant + np.square(drawn).sum(1))
    first = int(np.argmax(probability))
    return _Fit(logs[first], float(probability[first]), float(mean[first]), float(variance[first]))
