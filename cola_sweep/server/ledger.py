"""A sweep's runs as its search sees them, kept between heartbeats: only those that have changed are read again.

Reading all of them each time would make every answer of a long sweep slower than the one before.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from cola_sweep.server import trials
from cola_sweep.server.search import Trial
from cola_sweep.server.store import Store, runs
from cola_sweep.server.store.runs import Outline
from cola_sweep.server.store.sweeps import Sweep

_MOST_SWEEPS = 32  # kept; that of a sweep that is asked for again is made anew


@dataclass
class Ledger:
    """A sweep's runs in the order they were made, as of a revision.

    Attributes:
        of: what all of it rests on.
        outlines: by row; their texts are left out, since the trials hold what they said.
        trials: by row; none of a sweep whose file cannot be read.
        prior: the trials of before that the sweep learns from.
    """

    of: tuple[str, str, int]
    revision: int = 0
    outlines: dict[int, Outline] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)
    prior_revision: tuple[int, int] = (0, 0)
    prior: list[Trial] = field(default_factory=list)


_kept: WeakKeyDictionary[Store, OrderedDict[int, Ledger]] = WeakKeyDictionary()


def ledger(store: Store, sweep: Sweep) -> Ledger:
    """The sweep's ledger, brought up to date; inside a transaction, so that one thread at a time is here."""
    kept = _kept.setdefault(store, OrderedDict())
    of = (sweep.name, sweep.config, store.undone)
    found = kept.pop(sweep.id, None)
    if found is None or found.of != of:
        found = Ledger(of)
    kept[sweep.id] = found
    while len(kept) > _MOST_SWEEPS:
        kept.popitem(last=False)
    _update(found, store, sweep)
    _update_prior(found, store, sweep)
    return found


def _update(found: Ledger, store: Store, sweep: Sweep) -> None:
    found.revision, changed, deleted = runs.changed(store, sweep.id, found.revision)
    readable = trials.spec_of(sweep.config) is not None
    newest, joined = next(reversed(found.outlines), 0), False
    for run in sorted(changed):
        joined |= run.id < newest and run.id not in found.outlines
        found.outlines[run.id] = run._replace(params_json="", summary_json="")
        if readable:
            found.trials[run.id] = trials.trial(run, sweep.config)
    for run_id in deleted:
        found.outlines.pop(run_id, None)
        found.trials.pop(run_id, None)
    if joined:  # the sweep, a run that was there before
        found.outlines = dict(sorted(found.outlines.items()))
        found.trials = dict(sorted(found.trials.items()))


def _update_prior(found: Ledger, store: Store, sweep: Sweep) -> None:
    revision = runs.prior_revision(store, sweep.id)
    if revision != found.prior_revision and trials.spec_of(sweep.config) is not None:
        found.prior = [trials.trial(run, sweep.config) for run in runs.outlines(store, sweep.id, prior=True)]
        found.prior_revision = revision
