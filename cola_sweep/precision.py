"""The precision of a trial. `auto` is bfloat16 autocast where a short probe shows that this device gains by it.

The probe times one layer of the trial's encoder, forward and backward. Its result is kept in the
user's cache, so that the trials of a sweep on one machine agree, and only the first pays for it.

    >>> choose("fp32", encoder.config, batch_size=32)
    Choice(name='fp32', probe=None)

Imports cache and config; torch, and transformers to build the layer.
"""

import copy
import dataclasses
import hashlib
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from cola_sweep.cache import cache_folder
from cola_sweep.config import Precision

# A smaller gain is not worth other rounding, and is within the noise of a machine that does other work too.
GAIN = 1.2
SECONDS = 0.4
LENGTH = 16  # word pieces: a usual batch of CoLA's sentences, by length
MOST_CPU_ROWS = 16  # more would take longer and show no less gain


@dataclass(frozen=True)
class Probe:
    """Milliseconds for the same work; of the processor on a CPU, which other processes disturb less."""

    fp32_ms: float
    bf16_ms: float

    @property
    def faster(self) -> Precision:
        return "bf16" if self.fp32_ms >= GAIN * self.bf16_ms else "fp32"


@dataclass(frozen=True)
class Choice:
    name: Precision
    probe: Probe | None = None  # what it rests on, if it was chosen here

    def __str__(self) -> str:
        shown = f" (fp32 {self.probe.fp32_ms:.2f} ms, bf16 {self.probe.bf16_ms:.2f} ms)" if self.probe else ""
        return f"{self.name}{shown}"

    def facts(self) -> dict[str, Any]:
        """For the run's provenance."""
        return {"precision": self.name, "precision_probe": dataclasses.asdict(self.probe) if self.probe else None}


def choose(wanted: Literal["auto"] | Precision, encoder: Any, batch_size: int) -> Choice:
    """The precision to train in, for an encoder of the configuration `encoder` (transformers') on this device."""
    if wanted != "auto":
        return Choice(wanted)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    rows = min(batch_size, MOST_CPU_ROWS) if device.type == "cpu" else batch_size
    path = cache_folder("precision", f"{_key(encoder, rows, device)}.json")
    probe = _read(path) or _keep(path, measure(encoder, rows, device))
    return Choice(probe.faster, probe)


def measure(encoder: Any, rows: int, device: torch.device) -> Probe:
    """Time one layer of the encoder; or a product of matrices alone, where that is hopeless already."""
    matrix = torch.ones(encoder.hidden_size, encoder.hidden_size, device=device)
    product = _compare(lambda: matrix[:64] @ matrix, device, seconds=0)
    if product.bf16_ms > 2 * product.fp32_ms:  # without the instructions, 50 times as long
        return product
    with torch.random.fork_rng([device] if device.type == "cuda" else []):  # the trial's seed is not touched
        layer = _one_layer(encoder).to(device)
        ids = torch.full((rows, LENGTH), 5, device=device)

        def step() -> None:
            layer(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state.sum().backward()

        return _compare(step, device, SECONDS)


def _one_layer(encoder: Any) -> torch.nn.Module:
    """An encoder of the same architecture and sizes, with one layer and hardly a vocabulary."""
    from transformers import AutoModel

    config = copy.deepcopy(encoder)
    config.num_hidden_layers = 1
    config.vocab_size, config.pad_token_id = 8, 0
    return AutoModel.from_config(config, dtype=torch.float32).train()


def _compare(work: Callable[[], object], device: torch.device, seconds: float) -> Probe:
    """The quickest of several turns of each, in alternation, after one that only warms up."""

    def turn(bf16: bool) -> float:
        start = _now(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            work()
        return 1000 * (_now(device) - start)

    turn(False), turn(True)
    end = time.monotonic() + seconds
    turns = [(turn(False), turn(True))]
    while time.monotonic() < end:
        turns.append((turn(False), turn(True)))
    fp32, bf16 = map(min, zip(*turns, strict=True))
    return Probe(fp32, bf16)


def _now(device: torch.device) -> float:
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


def _key(encoder: Any, rows: int, device: torch.device) -> str:
    """A name for all that the measurement depends on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    sizes = [getattr(encoder, size, None) for size in ("hidden_size", "intermediate_size", "num_attention_heads")]
    facts = [platform.node(), name, torch.get_num_threads(), torch.__version__, encoder.model_type, *sizes, rows]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _read(path: Path) -> Probe | None:
    """What `_keep` wrote; None where there is nothing, or something else, which is removed."""
    with suppress(OSError):
        try:
            return Probe(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError):
            path.unlink()
    return None


def _keep(path: Path, probe: Probe) -> Probe:
    """Write it, unless another trial was quicker: the one that is kept is the answer. No cache is no harm."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:
            json.dump(dataclasses.asdict(probe), file)
            file.flush()
            os.link(file.name, path)
    except FileExistsError:
        return _read(path) or probe
    except OSError:
        pass
    return probe
