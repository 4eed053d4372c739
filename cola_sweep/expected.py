"""What a sweep will come to: how many trials, how long, how much disk. Estimates, said in one line.

Seconds are those of past trials of the same checkpoint and corpus, or of a probe on this machine; disk is that of their
models and logs, or of the weights that lie on it.

Imports checkpoints, config, errors, past, points, sources, space, sweep_rules and wording.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

from cola_sweep import wording
from cola_sweep.checkpoints import weight_files
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.past import Past
from cola_sweep.points import count
from cola_sweep.sources import local_folder
from cola_sweep.space import SweepSpec
from cola_sweep.sweep_rules import choices, extent

if TYPE_CHECKING:
    from cola_sweep.probe import Probed

# What decides how long an epoch takes, beside the checkpoint and the size of its batches.
SAME = ("data", "train_limit", "valid_limit", "max_length")


def expectation(spec: SweepSpec, past: Sequence[Past], probed: "Probed | None" = None) -> str:
    """Trials, time and disk in words.

    Args:
        past: trials of earlier sweeps.
        probed: what a few steps of this sweep's trials took; it goes before what others took.
    """
    number_of = trials(spec)
    said = "as many trials as its search asks for" if spec.engine or spec.controller else "trials without end"
    if number_of is not None:
        at_most = spec.method != "grid" or spec.early_terminate is not None or spec.engine
        said = f"{'at most ' if at_most else ''}{wording.count(number_of, 'trial')}"
    like = alike(spec, past)
    return "; ".join(
        part for part in (said, _time(spec, number_of, like, probed), _disk(spec, number_of, like)) if part
    )


def trials(spec: SweepSpec) -> int | None:
    """How many trials the sweep has at most; None if there is no end of them."""
    elsewhere = bool(spec.controller or spec.engine) and not spec.is_ours
    cells = [None] if elsewhere or not spec.parameters else [count(branch.space) for branch in spec.branches]
    space = None if None in cells else sum(cell for cell in cells if cell)
    return min((end for end in (space, spec.run_cap) if end is not None), default=None)


def alike(spec: SweepSpec, past: Sequence[Past]) -> list[Past]:
    """The past trials that did each epoch what the sweep's will do, on the device, in the precision and of the corpus
    of the newest of them; none unless each of the sweep's checkpoints is among them."""
    wanted = {name: _values(spec, name) for name in (*SAME, "checkpoint")}
    same = [trial for trial in past if all(trial.config.get(name) in values for name, values in wanted.items())]
    if not same:
        return []
    newest = max(same, key=lambda trial: trial.ended)
    kind = (newest.device, newest.precision, newest.data)
    like = [trial for trial in same if (trial.device, trial.precision, trial.data) == kind]
    return like if all(_of(like, checkpoint) for checkpoint in wanted["checkpoint"]) else []


def seconds_a_trial(spec: SweepSpec, like: Sequence[Past]) -> float:
    """Mean seconds of the sweep's trials, by like ones; batches of another size than theirs count as the nearest."""
    listed = [value for _, value in choices(spec, "batch_size") if isinstance(value, int)]
    epochs = [value for _, value in choices(spec, "epochs") if isinstance(value, int)]
    an_epoch = fmean(
        _seconds_an_epoch(_of(like, checkpoint), size)
        for checkpoint in _values(spec, "checkpoint")
        for size in listed or sorted(set(extent(spec, "batch_size")))
    )
    around = median(trial.around for trial in like)
    return around + an_epoch * (fmean(epochs) if epochs else fmean(extent(spec, "epochs")))


def _seconds_an_epoch(like: Sequence[Past], batch_size: int) -> float:
    def distance(trial: Past) -> float:
        return abs(math.log(trial.config["batch_size"] / batch_size))

    nearest = min(map(distance, like))
    return median(trial.seconds / trial.epochs for trial in like if distance(trial) == nearest)


def _of(like: Sequence[Past], checkpoint: object) -> list[Past]:
    return [trial for trial in like if trial.config["checkpoint"] == checkpoint]


def _time(spec: SweepSpec, number_of: int | None, like: Sequence[Past], probed: "Probed | None") -> str:
    if probed is not None:
        seconds, device, by = [probed.cheapest, probed.dearest], probed.device, ""
    elif like:
        last = max(trial.ended for trial in like)[:10]
        seconds, device = [seconds_a_trial(spec, like)], like[0].device
        by = f", by {wording.count(len(like), 'past trial')}, the last on {last}"
    else:
        return ""
    total = f", {_span([each * number_of for each in seconds])} in all one at a time" if number_of else ""
    return f"about {_span(seconds)} each on {device}{total}{by}"


def _span(seconds: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys(wording.show_duration(each) for each in seconds))


def _disk(spec: SweepSpec, number_of: int | None, like: Sequence[Past]) -> str:
    known = [trial.model_bytes for trial in like if trial.model_bytes]
    known = known or [size for name in _values(spec, "checkpoint") if (size := _weight_bytes(str(name)))]
    logs = [trial.log_bytes for trial in like if trial.log_bytes]
    models = min(int(extent(spec, "keep_models")[1]), number_of or 10**9)
    said = [f"{wording.count(models, 'model')} kept of up to {_megabytes(max(known))}"] if known else []
    if logs:
        said.append(f"{_megabytes(median(logs) * (number_of or 1))} of logs{'' if number_of else ' a trial'}")
    return " and ".join(said)


def _megabytes(size: float) -> str:
    return wording.show_amount(size / 1e6, "MB")


def _weight_bytes(name: str) -> int:
    try:
        folder: Path | None = local_folder(name)
        return sum(path.stat().st_size for path in weight_files(folder)) if folder else 0
    except (UserError, OSError):
        return 0


def _values(spec: SweepSpec, setting: str) -> list[object]:
    return [value for _, value in choices(spec, setting)] or [getattr(TrialConfig, setting)]
