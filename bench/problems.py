"""What the searches are replayed on: the table of real trials, and two functions to guard against learning it by heart.

A problem has the parameters of a sweep file, and the outcome of every point of them. Pure but for reading the table.
"""

import bisect
import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "tables" / "levin.csv"

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Of a trial: the score after each epoch, and the seconds it took."""

    curve: tuple[float, ...]
    seconds: float = 1.0

    @property
    def score(self) -> float:
        """Of the best epoch, as sweeps here have it."""
        return max(self.curve)


@dataclass(frozen=True)
class Problem:
    """A space whose every point's outcome is known.

    Attributes:
        parameters: as in a sweep file.
        best: the highest score there is.
    """

    name: str
    parameters: Mapping[str, Any]
    outcome: Callable[[Params], Outcome]
    best: float


@dataclass(frozen=True)
class Table:
    """Outcomes of a full grid.

    Attributes:
        axes: the values of each parameter, ascending.
        cells: by the values in the order of the axes.
    """

    axes: Mapping[str, tuple[Any, ...]]
    cells: Mapping[tuple[Any, ...], Outcome]

    @property
    def best(self) -> float:
        return max(cell.score for cell in self.cells.values())


def read_table(path: Path = TABLE, seed: str = "1") -> Table:
    """The trials of one training seed.

    Raises:
        ValueError: a cell of the grid is missing.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["seed"] == seed]
    kinds: dict[str, Callable[[str], Any]] = {"checkpoint": str, "lr": float, "batch_size": int, "pooling": str}
    cells = {
        tuple(kind(row[name]) for name, kind in kinds.items()): Outcome(
            tuple(float(value) for name, value in row.items() if name.startswith("mcc_")), float(row["cpu_seconds"])
        )
        for row in rows
    }
    axes = {name: tuple(sorted({key[i] for key in cells})) for i, name in enumerate(kinds)}
    if len(cells) != math.prod(map(len, axes.values())):
        raise ValueError(f"{path}: {len(cells)} cells of {math.prod(map(len, axes.values()))}")
    return Table(axes, cells)


def listed(table: Table) -> Problem:
    """All parameters as lists of values: a finite space, which a grid can search too."""
    parameters = {name: {"values": list(values)} for name, values in table.axes.items()}
    return Problem("table", parameters, lambda params: table.cells[tuple(params[n] for n in table.axes)], table.best)


def interpolated(table: Table) -> Problem:
    """The learning rate on a log scale, as most sweeps have it; between two of the table's, a line in log lr."""
    rates = table.axes["lr"]
    parameters: dict[str, Any] = {name: {"values": list(values)} for name, values in table.axes.items()}
    parameters["lr"] = {"distribution": "log_uniform_values", "min": rates[0], "max": rates[-1]}

    def outcome(params: Params) -> Outcome:
        above = min(max(bisect.bisect_left(rates, params["lr"]), 1), len(rates) - 1)
        low, high = rates[above - 1], rates[above]
        share = math.log(params["lr"] / low) / math.log(high / low)
        a, b = (table.cells[tuple({**params, "lr": rate}[name] for name in table.axes)] for rate in (low, high))
        curve = tuple((1 - share) * x + share * y for x, y in zip(a.curve, b.curve, strict=True))
        return Outcome(curve, (1 - share) * a.seconds + share * b.seconds)

    return Problem("table, lr continuous", parameters, outcome, table.best)


def tuning() -> Problem:
    """What tuning an encoder looks like: each checkpoint has its own best learning rate, which grows with the batch.

    Too high a rate, and the model predicts one class; dropout and weight decay matter little. The best is 0.6.
    """
    levels = {"tiny": (0.3, -2.5), "small": (0.5, -3.5), "base": (0.6, -4.25), "large": (0.58, -4.75)}
    parameters = {
        "checkpoint": {"values": list(levels)},
        "lr": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-2},
        "batch_size": {"values": [8, 16, 32, 64]},
        "dropout": {"min": 0.0, "max": 0.5},
        "weight_decay": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1.0},
    }

    def outcome(params: Params) -> Outcome:
        level, middle = levels[params["checkpoint"]]
        batch = math.log2(params["batch_size"] / 16)
        off = math.log10(params["lr"]) - middle - 0.15 * batch
        if off > 0.8:
            return Outcome((0.0,))
        loss = 0.3 * off**2 + 0.01 * batch**2 + 0.2 * (params["dropout"] - 0.1) ** 2
        return Outcome((max(0.0, level - loss - 0.005 * (math.log10(params["weight_decay"]) + 2) ** 2),))

    return Problem("tuning", parameters, outcome, 0.6)


def hartmann() -> Problem:
    """Hartmann's function of six variables (Dixon and Szegő 1978), two of them on a log scale."""
    alpha = (1.0, 1.2, 3.0, 3.2)
    a = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
    p = (
        (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886), (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
        (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650), (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
    )  # fmt: skip
    parameters: dict[str, Any] = {f"x{i}": {"min": 0.0, "max": 1.0} for i in range(1, 7)}
    for name in ("x1", "x2"):
        parameters[name] = {"distribution": "log_uniform_values", "min": 1e-6, "max": 1.0}

    def outcome(params: Params) -> Outcome:
        x = [params[f"x{i}"] for i in range(1, 7)]
        x[:2] = [1 + math.log10(value) / 6 for value in x[:2]]
        inner = (sum(w * (v - m) ** 2 for w, v, m in zip(*row, x, strict=True)) for row in zip(a, p, strict=True))
        return Outcome((sum(weight * math.exp(-far) for weight, far in zip(alpha, inner, strict=True)),))

    return Problem("hartmann", parameters, outcome, 3.32237)
