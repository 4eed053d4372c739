"""What trials took: a line that each finished one leaves in the user's cache, for `cola-sweep check` to reckon with.

What reports pulled says the same of trials that ran elsewhere, but for their bytes on disk. Imports cache, kept and
records.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import kept
from cola_sweep.cache import cache_folder
from cola_sweep.records import Record, number

if TYPE_CHECKING:
    import wandb

# Some 1,500 trials; beyond it the older half goes.
MOST_BYTES = 2**20


@dataclass(frozen=True)
class Past:
    """A trial that finished.

    Attributes:
        run: its run's id.
        ended: when, or when it was created where that is not known, as ISO 8601 in UTC.
        config: its settings.
        device, precision, data: what it computed on and in, and the fingerprint of its corpus.
        epochs: that it trained, which may be fewer than it was told to.
        seconds: of its fit, validation included.
        around: seconds of its run before and after that.
        model_bytes, log_bytes: of its model, and of all that its run left in wandb's folder; None: not known.
    """

    run: str
    ended: str
    config: Mapping[str, Any]
    device: str
    precision: str
    data: str
    epochs: int
    seconds: float
    around: float
    model_bytes: int | None = None
    log_bytes: int | None = None


def default_file() -> Path:
    """In the user's cache, which `COLA_SWEEP_CACHE` moves."""
    return cache_folder("trials.jsonl")


def leave(
    run: "wandb.Run", config: Mapping[str, Any], source: Mapping[str, Any], epochs: int, model: Path | None
) -> None:
    """Leave the line of a trial that finished.

    A cache that cannot be written is no harm, nor is a file of the run that goes while it is measured.

    Args:
        run: before it is closed; its summary has the cost.
        source: its provenance.
        model: the folder of its model.
    """
    seconds = number(run.summary.get("cost/seconds"))
    if not seconds or epochs < 1:
        return
    with contextlib.suppress(OSError):
        past = Past(
            run=run.id,
            ended=datetime.now(UTC).isoformat(timespec="seconds"),
            config=config,
            device=source["device"],
            precision=source["precision"],
            data=source["data_fingerprint"],
            epochs=epochs,
            seconds=seconds,
            around=max(0.0, time.time() - run.start_time - seconds),
            model_bytes=_bytes(model) if model else None,
            log_bytes=None if run.disabled else _bytes(Path(run.dir).parent),
        )
        file = default_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        _shorten(file)
        # One write of a whole line: trials that end at once do not mix theirs.
        with file.open("ab", buffering=0) as stream:
            stream.write(json.dumps(asdict(past)).encode() + b"\n")


def trials(file: Path, reports: Path | None = None) -> list[Past]:
    """The trials that left a line, and those that reports pulled; what cannot be read is left out."""
    own = {past.run: past for past in _lines(file)}
    pulled = {past.run: past for record in kept.every_run(reports) if (past := _pulled(record))}
    return list((pulled | own).values())


def _lines(file: Path) -> Iterator[Past]:
    lines = []
    with contextlib.suppress(OSError):
        lines = file.read_bytes().splitlines()
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            yield Past(**json.loads(line))


def _pulled(record: Record) -> Past | None:
    seconds = number(record.summary.get("cost/seconds"))
    epochs = len(record.epochs)
    if record.state != "finished" or not seconds or not epochs or not isinstance(record.config.get("batch_size"), int):
        return None
    source = record.config.get("provenance") or {}
    return Past(
        run=record.id,
        ended=record.created,
        config=record.config,
        device=str(source.get("device")),
        precision=str(source.get("precision")),
        data=str(source.get("data_fingerprint")),
        epochs=epochs,
        seconds=seconds,
        around=max(0.0, (number(record.summary.get("_runtime")) or 0.0) - seconds),
    )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _shorten(file: Path) -> None:
    """Keep the newer half of a long file. A line that comes meanwhile is lost, which costs an estimate little."""
    if not file.exists() or file.stat().st_size < MOST_BYTES:
        return
    lines = file.read_bytes().splitlines(keepends=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".new-", delete=False) as fresh:
        fresh.writelines(lines[len(lines) // 2 :])
    os.replace(fresh.name, file)
