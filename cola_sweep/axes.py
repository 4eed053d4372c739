"""Parameters as Optuna searches them.

Bounded parameters are searched as they are, on a log scale where they say so; normals and betas by their
quantile, whose prior is uniform; values by their place in the list, since Optuna takes 1, 1.0 and True for one.

Imports Optuna.
"""

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from cola_sweep import domains
from cola_sweep.parameters import BOUNDED, Parameter, bounds


def axis(parameter: Parameter) -> BaseDistribution | None:
    """How Optuna searches the parameter, in the numbers of `domains.place`; None if it has one value."""
    kind, size = parameter.distribution, domains.size(parameter)
    if size == 1:
        return None
    if parameter.values:
        return CategoricalDistribution(range(size or 0))
    if kind == "int_uniform":
        return IntDistribution(int(parameter.min), int(parameter.max))
    if kind == "q_uniform":
        assert parameter.steps
        return IntDistribution(parameter.steps[0], parameter.steps[-1])
    if kind not in BOUNDED:
        return FloatDistribution(0.0, 1.0)
    low, high = bounds(parameter)
    return FloatDistribution(low, high, log=kind != "uniform") if low < high else None
