"""What a sweep will come to: how many trials, how long, how much disk. Estimates, said in one line.

Seconds are those of past trials of the same checkpoint and corpus, as the last reports pulled them, or of a probe on
this machine; disk is that of the weights that lie on it.

Imports checkpoints, config, errors, points, records, sources, space, sweep_rules and wording.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

from cola_sweep import wording
from cola_sweep.checkpoints import weight_files
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.points import count
from cola_sweep.records import Record, number
from cola_sweep.sources import local_folder
from cola_sweep.space import SweepSpec
from cola_sweep.sweep_rules import choices, extent

if TYPE_CHECKING:
    from cola_sweep.probe import Probed


def expectation(spec: SweepSpec, past: Sequence[Record], probed: "Probed | None" = None) -> str:
    """Trials, time and disk in words.

    Args:
        past: runs of earlier sweeps.
        probed: what a few steps of this sweep's trials took; it goes before what others took.
    """
    number_of = trials(spec)
    said = "trials without end"
    if number_of is not None:
        at_most = spec.method != "grid" or spec.early_terminate is not None or spec.engine
        said = f"{'at most ' if at_most else ''}{wording.count(number_of, 'trial')}"
    return "; ".join(part for part in (said, _time(spec, number_of, past, probed), _disk(spec, number_of)) if part)


def trials(spec: SweepSpec) -> int | None:
    """How many trials the sweep has at most; None if there is no end of them."""
    cells = count(spec.parameters) if spec.parameters and not spec.engine else None
    ends = [end for end in (cells, spec.run_cap) if end is not None]
    return min(ends, default=None)


def seconds_a_trial(spec: SweepSpec, past: Sequence[Record]) -> tuple[float, str] | None:
    """Mean seconds and the device, by past trials on the device of the newest; None if a checkpoint has none."""
    epochs = [value for _, value in choices(spec, "epochs") if isinstance(value, int)]
    rates, device = [], ""
    for checkpoint in _values(spec, "checkpoint"):
        same = sorted((r for r in past if _is_like(r, spec, checkpoint)), key=lambda r: r.created)
        if not same:
            return None
        device = device or _device(same[-1])
        ours = [_seconds(record) / record.config["epochs"] for record in same if _device(record) == device]
        if not ours:
            return None
        rates.append(median(ours))
    return fmean(rates) * (fmean(epochs) if epochs else extent(spec, "epochs")[1]), device


def _time(spec: SweepSpec, number_of: int | None, past: Sequence[Record], probed: "Probed | None") -> str:
    if probed is not None:
        seconds, device = (probed.cheapest, probed.dearest), probed.device
    elif found := seconds_a_trial(spec, past):
        seconds, device = (found[0], found[0]), found[1]
    else:
        return "time unknown until `make report` has read such trials, or with --probe"
    total = f", {_span([each * number_of for each in seconds])} in all" if number_of else ""
    return f"about {_span(seconds)} each on {device}{total} one at a time"


def _span(seconds: Sequence[float]) -> str:
    return " to ".join(dict.fromkeys(wording.show_duration(each) for each in seconds))


def _disk(spec: SweepSpec, number_of: int | None) -> str:
    sizes = [_weight_bytes(str(name)) for name in _values(spec, "checkpoint")]
    known = [size for size in sizes if size]
    models = min(int(extent(spec, "keep_models")[1]), number_of or 10**9)
    return f"{wording.count(models, 'model')} kept of up to {max(known) / 1e6:.0f} MB" if known else ""


def _weight_bytes(name: str) -> int:
    try:
        folder: Path | None = local_folder(name)
        return sum(path.stat().st_size for path in weight_files(folder)) if folder else 0
    except (UserError, OSError):
        return 0


def _values(spec: SweepSpec, setting: str) -> list[object]:
    return [value for _, value in choices(spec, setting)] or [getattr(TrialConfig, setting)]


def _is_like(record: Record, spec: SweepSpec, checkpoint: object) -> bool:
    """Whether a finished trial did the work that the sweep's will do each epoch, but for the size of its batches."""
    same = all(
        record.config.get(name) in _values(spec, name) for name in ("data", "train_limit", "valid_limit", "max_length")
    )
    is_whole = record.state == "finished" and _seconds(record) > 0 and isinstance(record.config.get("epochs"), int)
    return same and is_whole and record.config.get("checkpoint") == checkpoint


def _seconds(record: Record) -> float:
    return number(record.summary.get("cost/seconds")) or 0.0


def _device(record: Record) -> str:
    return str((record.config.get("provenance") or {}).get("device", "its device"))
