"""A sweep's runs as its search sees them, kept between heartbeats: only those that have changed are read again.

Reading all of them each time would make every answer of a long sweep slower than the one before.
"""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from sys import intern
from weakref import WeakKeyDictionary

from cola_sweep.server import trials
from cola_sweep.server.search import Taken, Trial
from cola_sweep.server.store import Store, runs
from cola_sweep.server.store.runs import Outline
from cola_sweep.server.store.sweeps import Sweep

_MOST_SWEEPS = 32  # kept; that of a sweep that is asked for again is made anew


@dataclass
class Ledger:
    """A sweep's runs in the order they were made, as of a revision.

    Attributes:
        of: what all of it rests on.
        outlines: by row; their texts and times are left out, since the trials hold what they said.
        trials: by row; none of a sweep whose file cannot be read.
        given: rows of the runs that count as given out; one that never started does not.
        prior: the trials of before that the sweep learns from.
        taken: the points of all these trials.
    """

    of: tuple[str, str, int]
    revision: int = 0
    outlines: dict[int, Outline] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)
    given: set[int] = field(default_factory=set)
    prior_revision: tuple[int, int] = (0, 0)
    prior: list[Trial] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def put(self, run: Outline, trial: Trial | None) -> None:
        """A run that is new, or has changed, and its trial if there is one."""
        heard = run.heartbeat_at and ""  # whether it was; each of thousands would have a text of its own
        self.outlines[run.id] = run._replace(
            state=intern(run.state), params_json="", summary_json="", heartbeat_at=heard
        )
        (self.given.add if trials.given_out(run) else self.given.discard)(run.id)
        if trial is not None:
            self._forget_point(run.id)
            self.trials[run.id] = trial
            self.taken.add(trial)

    def drop(self, row: int) -> None:
        """A run that is no more."""
        self._forget_point(row)
        self.outlines.pop(row, None)
        self.trials.pop(row, None)
        self.given.discard(row)

    def put_prior(self, prior: list[Trial]) -> None:
        """Other trials of before."""
        for trial in self.prior:
            self.taken.drop(trial)
        for trial in prior:
            self.taken.add(trial)
        self.prior = prior

    def without(self, rows: Collection[int]) -> "Ledger":
        """A copy that leaves these runs out."""
        copy = Ledger(self.of)
        for row, run in self.outlines.items():
            if row not in rows:
                copy.put(run, self.trials.get(row))
        copy.put_prior(self.prior)
        return copy

    def _forget_point(self, row: int) -> None:
        if row in self.trials:
            self.taken.drop(self.trials[row])


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
        trial = trials.trial(run, sweep.config) if readable else None
        found.put(run, trial)
    for row in deleted:
        found.drop(row)
    if joined:  # the sweep, a run that was there before
        found.outlines = dict(sorted(found.outlines.items()))
        found.trials = dict(sorted(found.trials.items()))


def _update_prior(found: Ledger, store: Store, sweep: Sweep) -> None:
    revision = runs.prior_revision(store, sweep.id)
    if revision != found.prior_revision and trials.spec_of(sweep.config) is not None:
        prior = runs.outlines(store, sweep.id, prior=True)
        found.put_prior([trials.trial(run, sweep.config) for run in prior])
        found.prior_revision = revision
