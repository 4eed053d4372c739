"""Which search finds good trials soonest: `python -m bench.replay [--problem NAME ...] [--search NAME ...]`.

Each search is asked for trial after trial of a problem whose outcomes are known, by one agent and by four that work
at once and take as long as the real trials took. What counts is the simple regret: how far the best trial that has
ended is behind the best there is, after 10, 20 and 40 trials. Intervals are 95 % bootstrap ones over the seeds; those
of differences are over the same seeds' pairs.

With `--out FILE` what was replayed is kept there and not replayed again: delete it when a search has changed.
"""

import csv
import heapq
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bench.problems import Outcome, Problem, hartmann, interpolated, listed, read_table, tuning
from bench.searches import SEARCHES, Start, spec
from cola_sweep.errors import ArgumentParser, UserError, run_main
from cola_sweep.points import count
from cola_sweep.server.search import Trial, placed
from cola_sweep.server.search.hyperband import Climb, climbed, judge
from cola_sweep.server.search.trials import TrialState
from cola_sweep.space import Hyperband, Metric

COUNTS = (10, 20, 40)
RESAMPLES = 10_000
PROBLEMS: dict[str, Callable[[], Problem]] = {
    "table": lambda: listed(read_table()),
    "table-lr": lambda: interpolated(read_table()),
    "tuning": tuning,
    "hartmann": hartmann,
}
# By name: the search, and whether trials that are behind are stopped after an epoch.
ENTRIES: dict[str, tuple[Start, Hyperband | None]] = {
    **{name: (start, None) for name, start in SEARCHES.items()},
    **{f"{name}, hyperband": (SEARCHES[name], Hyperband(min_iter=1, eta=2)) for name in ("random", "tpe", "bayes")},
}
BASE = "tpe"
METRIC = Metric("score", "maximize")

Regrets = tuple[float, ...]
Key = tuple[str, str, int, int]  # problem, search, agents, seed


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m bench.replay", description="Replay searches on what is known.")
    parser.add_argument("--problem", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--search", nargs="+", choices=ENTRIES, default=list(ENTRIES))
    parser.add_argument("--agents", nargs="+", type=positive, default=[1, 4])
    parser.add_argument("--seeds", type=positive, default=50)
    parser.add_argument("--out", type=Path, help="a CSV file that keeps what was replayed")
    args = parser.parse_args(argv)
    kept = Kept(args.out)
    for problem_name in args.problem:
        problem = PROBLEMS[problem_name]()
        for agents in args.agents:
            found: dict[str, list[Regrets]] = {}
            for name in args.search:
                if reason := unsuited(name, problem, agents):
                    print(f"{problem_name}, {name}: {reason}", file=sys.stderr)
                    continue
                start, early = ENTRIES[name]
                try:
                    found[name] = [
                        kept((problem_name, name, agents, seed), partial(replay, problem, start, seed, agents, early))
                        for seed in range(args.seeds)
                    ]
                except UserError as error:
                    print(f"left out: {error}", file=sys.stderr)
            print(f"\n{problem_name}, {agents} agent{'s' * (agents > 1)}, {args.seeds} seeds\n")
            print("\n".join(table(found)), flush=True)
    return 0


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def unsuited(name: str, problem: Problem, agents: int) -> str:
    """Why a search is not replayed on a problem; empty if it is."""
    space = spec(problem).parameters
    if name == "grid" and count(space) is None:
        return "the space has no end"
    if name == "optuna cmaes" and any(p.values for p in space):
        return "searches no lists of values"
    if ENTRIES[name][1] and (agents > 1 or not problem.name.startswith("table")):
        return "is replayed on the table's epochs, by one agent"
    return ""


def replay(problem: Problem, start: Start, seed: int, agents: int, early: Hyperband | None = None) -> Regrets:
    """The simple regret after each of `COUNTS` whole trials' worth of epochs.

    Trials stopped early count for the epochs that they ran, and are judged by what had ended when they began.
    """
    ask, space = start(problem, seed), spec(problem)
    trials: list[Trial] = []
    running: list[tuple[float, int, Outcome]] = []  # when it ends, its number, what it will have done by then
    climbs: list[Climb] = []
    bests: list[tuple[float, float]] = []  # whole trials' worth of epochs, and the best score by then
    now, spent, best, exhausted = 0.0, 0.0, -math.inf, False
    while spent < COUNTS[-1] - 1e-9:
        while len(running) < agents and not exhausted:
            params = ask(trials)
            exhausted = params is None
            if params is not None:
                outcome = problem.outcome(params)
                kept = until_stopped(outcome, climbs, early) if early else outcome
                heapq.heappush(running, (now + kept.seconds, len(trials), kept))
                trials.append(placed(space, params, "running"))
        if not running:
            break
        now, number, kept = heapq.heappop(running)
        epochs = len(problem.outcome(trials[number].params).curve)
        state: TrialState = "complete" if len(kept.curve) == epochs else "pruned"
        trials[number] = placed(space, trials[number].params, state, kept.score)
        if early:
            climbs.append(climbed(early, METRIC, Climb(), kept.curve))
        spent, best = spent + len(kept.curve) / epochs, max(best, kept.score)
        bests.append((spent, best))
    return tuple(problem.best - max(b for s, b in bests if s <= many + 1e-9) for many in COUNTS)


def until_stopped(outcome: Outcome, others: Sequence[Climb], early: Hyperband) -> Outcome:
    """What a trial will have done when the server's early stopping is through with it."""
    climb = Climb()
    for epoch, score in enumerate(outcome.curve, 1):
        climb = climbed(early, METRIC, climb, [score])
        if judge(early, METRIC, climb, others):
            return Outcome(outcome.curve[:epoch], outcome.seconds * epoch / len(outcome.curve))
    return outcome


class Kept:
    """Regrets by what was replayed, kept in a file where there is one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[Key, Regrets] = {}
        if path and path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                for problem, search, agents, seed, *regrets in csv.reader(file):
                    self._found[problem, search, int(agents), int(seed)] = tuple(map(float, regrets))

    def __call__(self, key: Key, make: Callable[[], Regrets]) -> Regrets:
        if key not in self._found:
            self._found[key] = make()
            if self._path:
                with self._path.open("a", encoding="utf-8", newline="") as file:
                    csv.writer(file).writerow([*key, *self._found[key]])
        return self._found[key]


def table(found: Mapping[str, Sequence[Regrets]]) -> list[str]:
    """Markdown: a row per search, with the mean regrets and, where the base is there too, how much less than its."""
    heads = ["search", "seeds", *(f"after {many}" for many in COUNTS)]
    if BASE in found:
        heads += [f"{many}, minus {BASE}" for many in COUNTS]
    lines = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name, regrets in found.items():
        cells = [interval([r[i] for r in regrets]) for i in range(len(COUNTS))]
        if BASE in found:
            pairs = list(zip(regrets, found[BASE], strict=False))
            cells += ["" if name == BASE else interval([r[i] - b[i] for r, b in pairs]) for i in range(len(COUNTS))]
        lines.append(f"| {' | '.join([name, str(len(regrets)), *cells])} |")
    return lines


def interval(values: Sequence[float]) -> str:
    """The mean, and the 2.5th and 97.5th percentile of the means of resamples."""
    data = np.asarray(values)
    means = np.random.default_rng(0).choice(data, (RESAMPLES, len(data))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{data.mean():.3f} ({low:.3f}, {high:.3f})"


if __name__ == "__main__":
    sys.exit(run_main(main))
