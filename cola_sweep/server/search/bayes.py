"""Bayesian search: a few points spread evenly, then a Gaussian process, in turn with TPE from the tenth value on.

The process finds good points sooner, of few values more than TPE does; but what it is sure of may be wrong, and TPE
looks elsewhere (docs/searches.md has the figures). After some dozen values TPE, whose cost is bounded, goes on alone.
The points spread evenly honour every distribution.

Trials under way are told as such, so agents asking at the same time get different points. TPE is not told of those that
failed or have no finite value; the process takes them for middling at best, or it would seek again and again what
promises most where every trial fails.

Imports numpy and, through `tpe` and `cube`, Optuna.
"""

import random
from collections.abc import Iterable, Iterator

import numpy as np

from cola_sweep.parameters import canonical
from cola_sweep.points import Point, count, nested
from cola_sweep.server.search import gaussian, tpe
from cola_sweep.server.search.cube import Cube, cube
from cola_sweep.server.search.random_draws import next_draw
from cola_sweep.server.search.trials import UNDER_WAY, Suggestion, Trial, placed, taken
from cola_sweep.space import SweepSpec, read_mapping

# Trials with a value before the first estimate: at most so many, and a third of a capped sweep, but three at least.
STARTUP, LEAST_STARTUP = 5, 3
# Values from which on TPE has every second turn, and every one.
SHARED, ALONE = 10, 40
# Points whose expected improvement is compared: anywhere; near each of the best values; in each step of the climb.
ANYWHERE, NEAR, CLIMB = 256, 32, 64
_BEST = 4  # values near which is looked, so far away:
_NEAR_SPREAD, _CLIMB_SPREADS = 0.15, (0.1, 0.03)
_BLANK = 64  # of the trials without a value the latest, for the cost of the process is cubic


def next_estimate(spec: SweepSpec, trials: list[Trial], done: set[str], seed: int, number: int) -> Suggestion | None:
    """The next point, or None if a finite space has no more; see `suggest`."""
    dice = random.Random(f"{seed}:{number}")
    total = count(spec.parameters)
    if total is not None and len(done) >= total:
        return None
    valued = [trial for trial in trials if trial.known is not None and trial.point is not None]
    startup, space = startup_trials(spec), cube(spec.parameters)
    by_tpe = len(valued) >= ALONE or (len(valued) >= SHARED and number % 2 == 0)
    if not space.sides:
        return next_draw(spec, done, dice)
    points: Iterable[Point]
    if len(valued) < startup:
        start = random.Random(f"{seed}:spread")
        points = [space.spread(number, [start.random() for _ in space.sides])]
        why = f"spread evenly: {len(valued)} of the first {startup} trials have a value"
    elif by_tpe:
        points, why = tpe.estimates(spec, trials, dice), f"TPE over {_told(len(valued))} trials"
    else:
        points = _estimates(spec, trials, valued, space, dice)
        why = f"Gaussian process over {len(valued)} trials"
    for point in points:
        if total is None or canonical(point) not in done:
            return Suggestion(nested(spec.parameters, point), why)
    return next_draw(spec, done, dice)  # the best cells are taken


def warm_up() -> None:
    """Ask for two points of a toy space: part of Optuna is imported by its first answer only."""
    spec = read_mapping({"method": "bayes", "metric": {"name": "m"}, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    trials = [placed(spec, {"a": i / SHARED}, "complete", float(i)) for i in range(SHARED)]
    for number in (0, 1):
        next_estimate(spec, trials, taken(trials), 0, number)


def startup_trials(spec: SweepSpec) -> int:
    """How many trials with a value there must be before an estimate."""
    return min(STARTUP, max(LEAST_STARTUP, spec.run_cap // 3)) if spec.run_cap else STARTUP


def _told(valued: int) -> str:
    most = tpe.BEST + tpe.LATEST
    return f"{most} of {valued}" if valued > most else str(valued)


def _estimates(
    spec: SweepSpec, trials: list[Trial], valued: list[Trial], space: Cube, dice: random.Random
) -> Iterator[Point]:
    """Points of the space, that which is expected to improve the best value most first; some may be taken."""
    draws = np.random.default_rng(dice.getrandbits(64))
    assert spec.metric is not None
    sign = 1.0 if spec.metric.goal == "maximize" else -1.0
    tried = (trial for trial in trials if trial.point is not None and trial.state != "unstarted")
    latest = [trial for trial in tried if trial.known is None][-_BLANK:]
    pending = [trial for trial in latest if trial.state in UNDER_WAY]
    failed = [trial for trial in latest if trial.state not in UNDER_WAY]
    told, values = space.of(valued), np.array([sign * (trial.known or 0.0) for trial in valued])
    process = gaussian.known(told, values, space.of(pending), space.of(failed), space.labels, draws)
    best = told[np.argsort(-values, kind="stable")[:_BEST]]
    points = np.concatenate(
        [space.anywhere(ANYWHERE, draws), *(space.near(point, _NEAR_SPREAD, NEAR, draws) for point in best)]
    )
    gains = process.log_improvement(points)
    for spread in _CLIMB_SPREADS:
        nearer = space.near(points[np.argmax(gains)], spread, CLIMB, draws)
        points = np.concatenate([points, nearer])
        gains = np.concatenate([gains, process.log_improvement(nearer)])
    for i in np.argsort(-gains, kind="stable"):
        yield space.point(points[i])
