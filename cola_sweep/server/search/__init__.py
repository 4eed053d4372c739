"""Search: from a sweep's space and the trials issued so far to the next trial, or none.

Pure functions over frozen values; the same trials and seed give the same answer, so a search goes on
after a restart of the server as if nothing had happened. Trials carry the arguments the server issued:
the client posts 5.0 back as 5, and a grid that compared those would never end.

Imports `cola_sweep.space` and, for `bayes` alone and only when asked, Optuna.
"""

import gc
import random
from functools import cache

from cola_sweep.server.search.grid import next_cell
from cola_sweep.server.search.random_draws import next_draw
from cola_sweep.server.search.trials import Suggestion, Taken, Trial, placed, taken
from cola_sweep.space import SweepSpec

__all__ = ["Suggestion", "Taken", "Trial", "placed", "prepare", "suggest", "taken"]


def suggest(
    spec: SweepSpec, trials: list[Trial], seed: int, issued: int | None = None, done: set[str] | None = None
) -> Suggestion | None:
    """The next trial of a sweep, or None when every point of a finite space is taken.

    Args:
        trials: what became of each trial issued.
        seed: of the sweep.
        issued: how many trials were ever issued, deleted ones too; they all move the random stream on.
        done: the keys of the points that the trials take, if they are known already.
    """
    number = len(trials) if issued is None else issued
    done = taken(trials) if done is None else done
    if spec.method == "grid":
        return next_cell(spec, done)
    if spec.method == "random":
        return next_draw(spec, done, random.Random(f"{seed}:{number}"))
    # Imported late: nothing but bayes needs Optuna, and it takes most of a second.
    from cola_sweep.server.search.bayes import next_estimate

    return next_estimate(spec, trials, done, seed, number)


@cache
def prepare(method: str) -> None:
    """Import what a method needs, so that its first suggestion need not wait for that."""
    if method == "bayes":
        from cola_sweep.server.search import bayes

        bayes.warm_up()
    # What was imported stays: each full collection would look at all of it again, for longer than an answer may take.
    gc.freeze()
