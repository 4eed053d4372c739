"""What a sweep searched: its parameters as columns of the runs, and configurations apart from their seed.

Imports pandas.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd


@dataclass(frozen=True)
class Parameter:
    """A swept parameter: its column in `runs`, its name, how its axis is drawn, what the sweep file says of it."""

    column: str
    name: str
    scale: Literal["log", "linear", "categorical"]
    spec: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def is_seed(self) -> bool:
        """Whether it only repeats a configuration: `seed`, also nested, or `..._seed`."""
        return self.name.rpartition(".")[2].rpartition("_")[2] == "seed"


def swept_parameters(config: Mapping[str, Any], runs: pd.DataFrame) -> list[Parameter]:
    """The parameters the sweep searches, as it declares them; those that differ between runs if it declares none.

    Of a parameter whose values are mappings, which a run unfolds, each key that differs between runs is one.
    """
    declared = [(name, spec) for name, spec in _leaves(config.get("parameters") or {}) if not _constant(spec)]
    columns = [found for name, spec in declared for found in _columns(name, spec, runs)]
    if not columns:
        columns = [(name, {}) for name in _varying(runs, "config.")]
    return [Parameter(name, name.removeprefix("config."), _scale(spec, runs[name]), spec) for name, spec in columns]


def _columns(name: str, spec: Mapping[str, Any], runs: pd.DataFrame) -> list[tuple[str, Mapping[str, Any]]]:
    if f"config.{name}" in runs:
        return [(f"config.{name}", spec)]
    return [(column, {}) for column in _varying(runs, f"config.{name}.")]


def _varying(runs: pd.DataFrame, prefix: str) -> list[str]:
    return [name for name in runs if name.startswith(prefix) and runs[name].nunique(dropna=False) > 1]


def _leaves(parameters: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, spec in parameters.items():
        if isinstance(spec, Mapping) and isinstance(spec.get("parameters"), Mapping):
            yield from _leaves(spec["parameters"], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", spec if isinstance(spec, Mapping) else {}


def _constant(spec: Mapping[str, Any]) -> bool:
    return "value" in spec or spec.get("distribution") == "constant" or len(spec.get("values", (0, 0))) == 1


def _scale(spec: Mapping[str, Any], values: pd.Series) -> Literal["log", "linear", "categorical"]:
    numbers = pd.to_numeric(values, errors="coerce")
    if "values" in spec or values.dtype == bool or numbers.isna().sum() > values.isna().sum():
        return "categorical"
    wide = bool((numbers.dropna() > 0).all()) and numbers.max() > 30 * numbers.min()
    return "log" if wide or "log" in str(spec.get("distribution", "")) else "linear"


def setting_columns(parameters: Sequence[Parameter]) -> list[str]:
    """The columns that make a configuration: every parameter but the seeds."""
    return [parameter.column for parameter in parameters if not parameter.is_seed]


def configurations(runs: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """The number of each run's configuration, counted in the order in which they first occur."""
    if not columns:
        return pd.Series(0, index=runs.index)
    return runs.groupby(list(columns), dropna=False, sort=False).ngroup()
