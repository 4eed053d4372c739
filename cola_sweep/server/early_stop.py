"""Early stopping of a sweep's runs as they log: reads what is new of each, and asks hyperband.

One transaction; a run's history is read once, from where the last call ended.
"""

import json

from cola_sweep.server.search import hyperband
from cola_sweep.server.search.hyperband import Climb
from cola_sweep.server.store import Store, climbs, runs, streams
from cola_sweep.server.store.climbs import Kept
from cola_sweep.server.store.runs import Run
from cola_sweep.space import Hyperband, Metric, SweepSpec


def judge(store: Store, run: Run, spec: SweepSpec) -> None:
    """Ask a run to stop if the sweep's `early_terminate` says so; the reason stays with the run."""
    rule, metric = spec.early_terminate, spec.metric
    if rule is None or metric is None or run.sweep_id is None:
        return
    name = f"{metric.name} {metric.goal} {rule}"
    with store.write():
        mine = climbs.of_run(store, run.id, name)
        own = _climb(store, mine, name, rule, metric) if mine else Climb()
        if not own.rungs:
            return
        kept = climbs.of_sweep(store, run.sweep_id, name)
        others = [_climb(store, other, name, rule, metric) for other in kept if other.run_id != run.id]
        if stop := hyperband.judge(rule, metric, own, others):
            runs.request_stop(store, run.id, str(stop))


def _climb(store: Store, kept: Kept, name: str, rule: Hyperband, metric: Metric) -> Climb:
    """How far a run has come by now; kept, if it has logged since."""
    climb = _read(kept.climb_json) if kept.climb_json else Climb()
    if kept.lines == kept.history_lines:
        return climb
    values = [value for _, value in streams.history_values(store, kept.run_id, metric.name, from_line=kept.lines)]
    climb = hyperband.climbed(rule, metric, climb, values)
    climbs.keep(store, kept.run_id, name, kept.history_lines, _text(climb))
    return climb


def _text(climb: Climb) -> str:
    return json.dumps([climb.logged, climb.best, *climb.rungs.items()])


def _read(text: str) -> Climb:
    logged, best, *rungs = json.loads(text)
    return Climb(logged, best, dict(rungs))
