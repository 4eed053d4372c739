"""Fits under Lightning: what logging adds to a step, what is compiled, and a GPU's epochs beside the tutorial's way.

Parts of `tests.benchmarks.training`. Reads /proc: Linux alone.
"""

import dataclasses
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional

from cola_sweep.config import Compile
from cola_sweep.cost import Cost, EnergyMeter
from cola_sweep.data import GPU_WIDTH_STEP, BatchLoader, ColaDataModule
from cola_sweep.model import AcceptabilityModel, compile_encoder
from cola_sweep.replay import TrialLogger
from cola_sweep.tracking import define_metrics
from cola_sweep.trainer import LOG_EVERY
from tests.benchmarks.client import serving
from tests.benchmarks.server import Row
from tests.benchmarks.setting import Batch, Padded, Setting, Trainee, environment, judged, ratio
from tests.system.conftest import client_env


class Bare(AcceptabilityModel):
    """The model, with nothing logged and no metric."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        return functional.cross_entropy(self(batch), batch["labels"])


class Clock(pl.Callback):
    """CPU milliseconds a step after the first `skip`, of this process and of all that it started."""

    def __init__(self, skip: int) -> None:
        self._skip = skip
        self._steps = 0
        self._start = 0.0
        self.cost = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        self._steps += 1
        if self._steps == self._skip:
            self._start = tree_cpu()

    def on_train_end(self, *_: Any) -> None:
        self.cost = 1e3 * (tree_cpu() - self._start) / (self._steps - self._skip)


def logging(setting: Setting, *, turns: int = 3, steps: int = 300, idle: float = 20.0) -> list[Row]:
    """What is logged costs the same whatever is trained, so a model of no size shows it, beside a step of the real one.

    wandb's own process also works by the clock, so what it uses in `idle` seconds is counted to a step by its length.
    """
    import wandb

    tokenizer = setting.tokenizer()
    data = ColaDataModule(setting.config, setting.corpus, tokenizer)
    trainee = Trainee.usual(setting)
    batches = list(data.train_dataloader())[:8]
    whole: list[float] = []
    ways: dict[str, list[float]] = {"bare": [], "off": [], "offline": [], "online": []}
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder) / "server") as address:
        kept = {name: value for name, value in client_env(address, Path(folder)).items() if name.startswith("WANDB_")}
        with environment(**kept):
            wandb.teardown()  # it may have read another environment
            for _ in range(turns):
                start = time.process_time()
                for batch in batches:
                    trainee.step(batch)
                whole.append(1e3 * (time.process_time() - start) / len(batches))
                for way, costs in ways.items():
                    costs.append(_log_steps(setting, data, len(tokenizer), way, steps))
            with wandb.init(project="benchmark"):
                start = tree_cpu()
                time.sleep(idle)
                busy = (tree_cpu() - start) / idle
            by_clock = [busy * step for step in whole]
            wandb.teardown()

    def over(way: str, base: str) -> list[float]:
        return [a - b for a, b in zip(ways[way], ways[base], strict=True)]

    def row(what: str, costs: Sequence[float], most: float | None = None) -> Row:
        shares = [100 * cost / step for cost, step in zip(costs, whole, strict=True)]
        got = f"{median(costs):.2f} ms, {median(shares):.1f} ({min(shares):.1f} - {max(shares):.1f}) % of a step"
        return Row(what, got, judged(f"<= {most:g} %", median(shares) <= most) if most else "")

    return [
        Row("CPU of a step that logs nothing", f"{median(whole):.0f} ms ({min(whole):.0f} - {max(whole):.0f})"),
        row("  metrics, cost and Lightning's `log`", over("off", "bare")),
        row("  wandb offline", over("offline", "off")),
        row("  wandb online", over("online", "off")),
        row("  wandb online, by the clock", by_clock),
        row("  all of it, online", [sum(pair) for pair in zip(over("online", "bare"), by_clock, strict=True)], 3.0),
    ]


def _log_steps(setting: Setting, data: ColaDataModule, vocabulary: int, way: str, steps: int) -> float:
    """Milliseconds a step of a model of no size."""
    import wandb
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    encoder = BertModel(BertConfig(vocab_size=vocabulary, **sizes), add_pooling_layer=False)
    model = (Bare if way == "bare" else AcceptabilityModel)(encoder, setting.config, setting.corpus.valid.domains)
    run = wandb.init(project="benchmark", mode=way) if way in ("offline", "online") else None  # type: ignore[arg-type]
    if run:
        define_metrics(run)
    clock = Clock(skip=steps // 10)
    trainer = _trainer(
        accelerator="cpu", max_steps=steps, callbacks=[clock, *([] if way == "bare" else [Cost(EnergyMeter())])],
        log_every_n_steps=min(LOG_EVERY, len(data.train_dataloader())), logger=TrialLogger(run) if run else False,
    )  # fmt: skip
    trainer.fit(model, data)
    if run:
        run.finish()
    return clock.cost


class Tutorial(AcceptabilityModel):
    """The model with the optimizer as it is usually written."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.config.lr)


class Epochs(pl.Callback):
    """Seconds of each epoch's training."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self._start = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._start = _now()

    def on_train_epoch_end(self, *_: Any) -> None:
        self.seconds.append(_now() - self._start)


def compiling(setting: Setting, *, turns: int = 1) -> list[Row]:
    """What `compile: on` does with batches as wide as a GPU's, on whatever device this is.

    Each of the shapes is trained on and validated once; `turns` changes nothing.
    """
    from torch._dynamo.utils import counters

    data, model = ColaDataModule(setting.config, setting.corpus, setting.tokenizer()), setting.model()
    train, valid = (one_of_each_shape(loader) for loader in (data.train_dataloader(), data.val_dataloader()))
    with torch.inference_mode():
        plain = [model.eval()(batch) for batch in valid]
    counters.clear()
    start = time.process_time()
    compile_encoder(model.encoder, dataclasses.replace(setting.config, compile="on"), "cpu", 1)
    for batch in train:
        model.train()(batch).sum().backward()
    graphs = [counters["stats"]["unique_graphs"]]
    with torch.inference_mode():
        answers = [model.eval()(batch) for batch in valid]
    graphs.append(counters["stats"]["unique_graphs"] - graphs[0])
    taken = time.process_time() - start
    furthest = max(float((ours - was).abs().max()) for ours, was in zip(answers, plain, strict=True))
    return [
        Row("shapes of batches in training / in validation", f"{len(train)} / {len(valid)}"),
        Row("  compilations of the encoder for them", " / ".join(map(str, graphs)), "1 / 1"),
        Row("  breaks in what was compiled", str(sum(counters["graph_break"].values())), "0"),
        Row("  CPU of compiling and of a batch of each", f"{taken:.0f} s"),
        Row("  furthest that a logit moved", f"{furthest:.1e}"),
    ]


def one_of_each_shape(loader: BatchLoader) -> list[Batch]:
    """A batch of each shape that an epoch has on a GPU."""
    stepped = BatchLoader(loader.table, loader.sampler, loader.lengths, width_step=GPU_WIDTH_STEP)
    return list({batch["input_ids"].shape: batch for batch in stepped}.values())


def gpu(
    setting: Setting, *, turns: int = 3, epochs: int = 3, compiled: Sequence[Compile] = ("off", "on", "graphs")
) -> list[Row]:
    """Fits under Lightning, without a logger; the tutorial's way has padding to 128, a DataLoader and plain AdamW."""
    tokenizer = setting.tokenizer()
    padded = Padded(setting, tokenizer, whole=True)
    loader = torch.utils.data.DataLoader(
        padded.rows, batch_size=setting.config.batch_size, shuffle=True, collate_fn=padded.collate,  # type: ignore[arg-type]
        num_workers=2, persistent_workers=True,
    )  # fmt: skip

    def fit(how: Compile | Literal["tutorial"]) -> list[float]:
        clock = Epochs()
        trainer = _trainer(max_epochs=epochs, callbacks=[clock], logger=False)
        if how == "tutorial":
            trainer.fit(setting.model(Tutorial), loader)
        else:
            model, config = setting.model(), dataclasses.replace(setting.config, compile=how)
            compile_encoder(model.encoder, config, trainer.strategy.root_device.type, len(loader) * epochs)
            trainer.fit(model, ColaDataModule(setting.config, setting.corpus, tokenizer))
        return clock.seconds

    ways: list[Compile | Literal["tutorial"]] = ["tutorial", *compiled]
    fits: dict[str, list[list[float]]] = {how: [] for how in ways}
    for _ in range(turns):
        for how in ways:
            fits[how].append(fit(how))
    rows = []
    for how, taken in fits.items():
        name = "the tutorial's way" if how == "tutorial" else f"ours, compile {how}"
        firsts, lasts = ([seconds[epoch] for seconds in taken] for epoch in (0, -1))
        rows.append(Row(f"first / last epoch, {name}", f"{median(firsts):.2f} / {median(lasts):.2f} s"))
        if how != "tutorial":
            rows.append(Row("  the tutorial's over it, last epoch", ratio([s[-1] for s in fits["tutorial"]], lasts)))
    return rows


def tree_cpu() -> float:
    """CPU seconds of this process and of all that it started, those that ended included."""
    used: dict[int, tuple[int, float]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            used[int(entry.name)] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    tree, found = {os.getpid()}, True
    while found:
        found = {pid for pid, (parent, _) in used.items() if parent in tree} - tree
        tree |= found
    return sum(used[pid][1] for pid in tree)


def _trainer(**settings: Any) -> pl.Trainer:
    return pl.Trainer(
        devices=1, gradient_clip_val=1.0, limit_val_batches=0, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False, **settings,
    )  # fmt: skip


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
