"""`cola-sweep dashboard`: a sweep as a study in optuna-dashboard, for those who like that one.

    cola-sweep dashboard entity/project/id --port 8081

What the sweep holds now, read through `wandb.Api`, so of any W&B server. optuna-dashboard is an optional extra
(`pip install 'cola-sweep[dashboard]'`). Imports `connection`, `kept`, `records`, `snapshot` and `space`; optuna and
optuna-dashboard inside functions.
"""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cola_sweep import kept, records, snapshot
from cola_sweep.connection import connect
from cola_sweep.errors import UserError
from cola_sweep.parameters import BOUNDED, EXPONENT, LOG_VALUES, Parameter, bounds
from cola_sweep.records import Record
from cola_sweep.snapshot import Snapshot
from cola_sweep.space import read_mapping

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

HOST = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep dashboard`."""
    parser.add_argument(
        "sweep", metavar="SWEEP", nargs="?", help="entity/project/id, project/id or id (default: newest)"
    )
    parser.add_argument("--port", type=int, default=8081, help="where to serve it (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Serve the dashboard until Ctrl-C.

    Raises:
        UserError: optuna-dashboard is not there, or the server, the sweep or the port cannot be used.
    """
    try:
        import optuna_dashboard
    except ImportError as error:
        fix = "run `pip install 'cola-sweep[dashboard]'`"
        raise UserError("cola-sweep dashboard", rule=f"needs optuna-dashboard ({error})", fix=fix) from error
    study = study_of(snapshot.take(connect(), args.sweep, kept_in=kept.default_folder()))
    print(f"{study.study_name}: {len(study.trials)} trials at http://{HOST}:{args.port}/ until Ctrl-C")
    try:
        optuna_dashboard.run_server(study._storage, host=HOST, port=args.port)
    except (OSError, OverflowError) as error:
        raise UserError("--port", got=args.port, rule=f"cannot be used ({error})", fix="name another") from error
    except KeyboardInterrupt:
        pass
    return 0


def study_of(taken: Snapshot) -> "optuna.Study":
    """The sweep as a study: each run a trial, with its metric by epoch.

    Raises:
        UserError: the sweep's configuration breaks a rule of sweep files.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    varied = [p for p in read_mapping(taken.config).parameters if p.distribution != "constant"]
    columns = {p.name: [_value(record.config, p.path) for record in taken.records] for p in varied}
    axes = {p.name: axis for p in varied if (axis := _axis(p, [v for v in columns[p.name] if v is not None]))}
    study = optuna.create_study(study_name=f"{taken.name} ({taken.id})", direction=taken.goal)
    study.set_user_attr("metric", taken.metric)
    study.set_user_attr("sweep", taken.url)
    for place, record in enumerate(taken.records):
        params = {name: _told(columns[name][place]) for name in axes if columns[name][place] is not None}
        study.add_trial(_trial(record, taken, params, {name: axes[name] for name in params}))
    return study


def _trial(
    record: Record, taken: Snapshot, params: dict[str, Any], axes: "dict[str, BaseDistribution]"
) -> "optuna.trial.FrozenTrial":
    from optuna.trial import TrialState, create_trial

    best = records.score(record, taken.metric, taken.goal).best
    if record.state in snapshot.ENDED:
        # A run that was stopped early is killed by that.
        valued = {"finished": TrialState.COMPLETE, "killed": TrialState.PRUNED}.get(record.state, TrialState.FAIL)
        state = valued if math.isfinite(best) else TrialState.FAIL
    else:
        state = TrialState.RUNNING
    trial = create_trial(
        state=state,
        value=best if state == TrialState.COMPLETE else None,
        params=params,
        distributions=axes,
        intermediate_values={
            int(row["epoch"]): row[taken.metric]
            for row in record.epochs
            if math.isfinite(row.get(taken.metric, math.nan))
        },
        user_attrs={"run": record.name, "page": record.url, "state": record.state},
    )
    trial.datetime_start = datetime.fromisoformat(record.created).astimezone().replace(tzinfo=None)
    if state != TrialState.RUNNING:
        took = records.number(record.summary.get("_runtime")) or 0.0
        trial.datetime_complete = trial.datetime_start + timedelta(seconds=took)
    return trial


def _axis(parameter: Parameter, values: Sequence[Any]) -> "BaseDistribution | None":
    """What the parameter can be, and was; None if no run has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not values:
        return None
    told = [_told(value) for value in values]
    if parameter.values or any(isinstance(value, str) for value in told):
        return CategoricalDistribution(list(dict.fromkeys([*map(_told, parameter.options), *told])))
    declared = bounds(parameter) if parameter.distribution in BOUNDED else ()
    low, high = min(*told, *declared), max(*told, *declared)
    log = parameter.distribution in EXPONENT | LOG_VALUES and low > 0
    if all(isinstance(value, int) for value in told):
        return IntDistribution(math.floor(low), math.ceil(high), log=log)
    return FloatDistribution(low, high, log=log)


def _told(value: Any) -> Any:
    """A value as Optuna takes it: numbers and texts as they are, others as their JSON."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else json.dumps(value)


def _value(config: Mapping[str, Any], path: Sequence[str]) -> Any:
    value: Any = config
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
