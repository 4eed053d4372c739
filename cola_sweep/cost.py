"""What a trial costs: seconds, sentences a second, memory and, where the machine tells, energy.

Imports torch and lightning; nothing of ours.
"""

import functools
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

POWERCAP = Path("/sys/class/powercap")
JOULES_PER_KWH = 3.6e6


class EnergyMeter:
    """Joules used since it was made, by the processor packages (RAPL) and the first GPU (NVML).

    Both count the whole package or device, whatever else runs there. RAPL's counters wrap around within the hour on a
    busy machine, so `update` must be called more often than that. `joules` is None where nothing can be read, which is
    so for RAPL unless an administrator made it readable.
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self._counters: list[tuple[Callable[[], float], float]] = [*_packages(powercap), *_gpu()]
        self._last = [read() for read, _ in self._counters]
        self.joules = 0.0 if self._counters else None

    def update(self) -> None:
        for i, (read, wrap) in enumerate(self._counters):
            now = read()
            self.joules += (now - self._last[i]) % wrap  # type: ignore[operator]
            self._last[i] = now


def _packages(powercap: Path) -> list[tuple[Callable[[], float], float]]:
    """A reader in joules and the value at which it wraps, per package; its parts have a second colon in the name."""
    found: list[tuple[Callable[[], float], float]] = []
    for zone in sorted(powercap.glob("intel-rapl:*")):
        if zone.name.count(":") > 1:
            continue
        counter = zone / "energy_uj"
        try:
            _read_joules(counter)
            wrap = int((zone / "max_energy_range_uj").read_text()) / 1e6
        except (OSError, ValueError):
            continue
        found.append((functools.partial(_read_joules, counter), wrap))
    return found


def _read_joules(counter: Path) -> float:
    return int(counter.read_text()) / 1e6


def _gpu() -> list[tuple[Callable[[], float], float]]:
    if not torch.cuda.is_available():
        return []
    try:
        import pynvml  # type: ignore[import-not-found]
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        # By UUID: NVML does not know of CUDA_VISIBLE_DEVICES.
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}")
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except pynvml.NVMLError:
        return []
    return [(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3, float("inf"))]


def peak_memory_mb() -> float:
    """Most memory held at once, in MB of 10^6 bytes: the GPU's where there is one, else the process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


class Cost(pl.Callback):
    """Measures a fit; `totals` may be asked at any time, so that a stopped trial has a cost too.

    A fit that is taken up again counts what came before it was cut off, up to the checkpoint.
    """

    def __init__(self, meter: EnergyMeter, clock: Callable[[], float] = time.monotonic) -> None:
        self._meter = meter
        self._clock = clock
        self._started = clock()
        self._validating_since: float | None = None
        self._validation_seconds = 0.0
        self._sentences = 0
        self._answering_since = clock()
        self._answering = 0.0
        self._answered = 0
        self._parameters = 0
        self._before = {"seconds": 0.0, "training": 0.0, "peak": 0.0, "joules": 0.0}

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = self._clock()
        self._parameters = sum(parameter.numel() for parameter in pl_module.parameters())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._sentences += len(batch["labels"])
        self._meter.update()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._validating_since = self._clock()

    def on_validation_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self._answering_since = self._clock()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._answering += self._clock() - self._answering_since
        self._answered += len(batch["labels"])

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close_validation()
        self._meter.update()

    def totals(self) -> dict[str, float]:
        """`cost/seconds` from the start of the fit, validation included; sentences are trained ones per second of
        training alone; `cost/seconds_per_1000` sentences of validation, from batch to answers (of this process: it is
        a speed); `cost/kwh` only where measurable."""
        so_far = self.state_dict()
        costs = {
            "cost/seconds": so_far["seconds"],
            "cost/samples_per_second": so_far["sentences"] / so_far["training"] if so_far["training"] > 0 else 0.0,
            "cost/peak_memory_mb": so_far["peak"],
            "cost/parameters": self._parameters,
        }
        if self._answered:
            costs["cost/seconds_per_1000"] = 1000 * self._answering / self._answered
        if self._meter.joules is not None:
            costs["cost/kwh"] = so_far["joules"] / JOULES_PER_KWH
        return costs

    def state_dict(self) -> dict[str, float]:
        self._close_validation()
        self._meter.update()
        seconds = self._clock() - self._started
        return {
            "seconds": self._before["seconds"] + seconds,
            "training": self._before["training"] + seconds - self._validation_seconds,
            "sentences": self._sentences,
            "peak": max(self._before["peak"], peak_memory_mb()),
            "joules": self._before["joules"] + (self._meter.joules or 0.0),
        }

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        self._before = state_dict
        self._sentences = int(state_dict["sentences"])

    def _close_validation(self) -> None:
        if self._validating_since is not None:
            self._validation_seconds += self._clock() - self._validating_since
            self._validating_since = None
