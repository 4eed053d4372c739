"""A trial that says when it did what: `python -m tests.benchmarks.timed_trial`, in place of `cola_sweep.train`.

Writes to the file in `TRIAL_TIMES` one JSON object: when what ended, in seconds since the epoch and in CPU seconds of
this process; how long loading the model took, the same two; and which modules the trial had to import itself.
"""

if __name__ == "__main__":
    from cola_sweep import warm

    warm.hand_over()

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Moment = tuple[float, float]
before = set(sys.modules)


def now() -> Moment:
    return time.time(), time.process_time()


moments: dict[str, Moment] = {"program": now()}
load = [0.0, 0.0]


def marked(owner: Any, name: str, moment: str) -> None:
    """Note when the first call of `owner.name` returns."""
    real: Callable[..., Any] = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        moments.setdefault(moment, now())
        return result

    setattr(owner, name, wrapper)


def summed(owner: Any, name: str) -> None:
    """Count the time in `owner.name` as loading the model."""
    real: Callable[..., Any] = getattr(owner, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        begin = now()
        result = real(*args, **kwargs)
        load[:] = [total + end - start for total, start, end in zip(load, begin, now(), strict=True)]
        return result

    setattr(owner, name, wrapper)


def main() -> int:
    import pytorch_lightning as pl
    import wandb

    from cola_sweep import callbacks, checkpoints, data, train

    assert callbacks, data
    moments["imports"] = now()
    marked(wandb, "init", "run")
    for name in ("resolve", "load_tokenizer", "load_encoder"):
        summed(checkpoints, name)
    marked(pl.LightningModule, "on_train_batch_start", "batch")
    marked(pl.LightningModule, "optimizer_step", "step")
    marked(pl.Trainer, "fit", "fit")
    try:
        return train.entry()
    finally:
        moments["end"] = now()
        own = sorted(name for name in set(sys.modules) - before)
        result = {"moments": moments, "load": load, "imports": own}
        Path(os.environ["TRIAL_TIMES"]).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
