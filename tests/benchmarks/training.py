"""How fast a trial trains: `python -m tests.benchmarks.training [PART ...]`; a few minutes on one core, one table.

batching  CPU seconds of an epoch: our batches and optimizer, beside batches padded to their longest and to 128
tokens    a corpus tokenised, and read from the cache
scoring   CPU seconds of the validation split: sorted and in large batches, beside batches of 32 in the file's order
logging   what metrics and wandb add to a training step, in the whole tree of processes
gpu       seconds of an epoch on a GPU, beside the tutorial's way; only by name, as most machines have none

MiniLM-L6 in fp32 on real CoLA where `COLA_SWEEP_DATA` or ../shared/data/cola has it, else on the generated corpus. The
ways take turns in one process, so that other work on the machine hits all alike; ratios are medians over the turns,
with the least and the most. Reads /proc: Linux alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
import torch

from cola_sweep.callbacks import quiet_lightning
from cola_sweep.data import BatchLoader, ColaDataModule
from cola_sweep.errors import ArgumentParser
from cola_sweep.tokens import load_tokens
from tests.benchmarks.fits import compiling, gpu, logging
from tests.benchmarks.server import Row, table
from tests.benchmarks.setting import (
    TUTORIAL_LENGTH,
    Batch,
    Padded,
    Setting,
    Trainee,
    environment,
    judged,
    ratio,
    ratios,
)

TUTORIAL_BATCH = 32


@dataclass
class Way:
    """One way to train: an epoch's batches as row numbers, how a batch is made, and who trains on it.

    Of the epoch only `sample` is trained on in a turn; `turns` are CPU seconds of the epoch, as each turn has it.
    """

    name: str
    epoch: Sequence[list[int]]
    sample: Sequence[list[int]]
    make: Callable[[list[int]], Batch]
    trainee: Trainee
    turns: list[float] = field(default_factory=list)

    def turn(self) -> None:
        start = time.process_time()
        for rows in self.sample:
            self.trainee.step(self.make(rows))
        self.turns.append((time.process_time() - start) / len(self.sample) * len(self.epoch))

    def row(self) -> Row:
        masks = [self.make(rows)["attention_mask"] for rows in self.epoch]
        real = sum(int(mask.sum()) for mask in masks) / sum(mask.numel() for mask in masks)
        step = 1e3 * median(self.turns) / len(self.epoch)
        return Row(
            f"CPU of an epoch, {self.name}", f"{median(self.turns):.0f} s, {step:.0f} ms a step, {real:.1%} real"
        )


def batching(setting: Setting, *, turns: int = 3, steps: int = 6) -> list[Row]:
    """An epoch by each way, from a sample of its batches; what it costs to make them is in it."""
    tokenizer, config = setting.tokenizer(), setting.config
    loader = ColaDataModule(config, setting.corpus, tokenizer).train_dataloader()
    shuffled = np.random.default_rng(0).permutation(len(loader.lengths)).tolist()
    random = [shuffled[start : start + config.batch_size] for start in range(0, len(shuffled), config.batch_size)]

    def sample(epoch: Sequence[list[int]], count: int) -> list[list[int]]:
        """So many batches that stand for all: by size, the middle one of each part of the epoch."""
        sized = sorted(epoch, key=lambda rows: len(rows) * loader.lengths[rows].max())
        return [sized[int(len(sized) * (i + 0.5) / count)] for i in range(count)]

    def bucketed(rows: list[int]) -> Batch:
        return next(iter(BatchLoader(loader.table, [rows], loader.lengths)))

    dynamic, padded = (Padded(setting, tokenizer, whole=whole) for whole in (False, True))
    ours = Trainee.usual(setting)
    model = setting.model()
    plain = Trainee(model, torch.optim.AdamW(model.parameters(), lr=config.lr))
    epoch, few, one = list(loader.sampler), sample(random, steps), sample(random, 1)  # padded, all are alike
    first = Way("ours", epoch, sample(epoch, steps), bucketed, ours)
    others = [
        (Way("padded to the longest of a random batch", random, few, dynamic, plain), 1.6),
        (Way(f"padded to {TUTORIAL_LENGTH}", random, one, padded, plain), 6.0),
        (Way("padded to the longest, our optimizer", random, few, dynamic, ours), None),
        (Way(f"padded to {TUTORIAL_LENGTH}, our optimizer", random, one, padded, ours), None),
    ]
    for trainee in (ours, plain):
        trainee.step(bucketed(epoch[0]))  # allocates
    for _ in range(turns):
        for way in (first, *(way for way, _ in others)):
            way.turn()
    rows = [first.row()]
    for way, least in others:
        target = judged(f">= {least:g}", median(ratios(way.turns, first.turns)) >= least) if least else ""
        rows += [way.row(), Row("  over ours", ratio(way.turns, first.turns), target)]
    return rows


def tokens(setting: Setting, *, turns: int = 3) -> list[Row]:
    """What the first trial of a corpus pays, and what every later one does."""
    tokenizer = setting.tokenizer()
    first, later = [], []
    for _ in range(turns):
        with tempfile.TemporaryDirectory() as folder, environment(COLA_SWEEP_CACHE=folder):
            for taken in (first, later):
                start = time.process_time()
                load_tokens(setting.corpus, tokenizer, setting.config.max_length)
                taken.append(time.process_time() - start)
    return [
        Row("CPU to tokenise the corpus / to read it from the cache", f"{median(first):.2f} / {median(later):.3f} s"),
        Row("  ratio", ratio(first, later)),
    ]


def scoring(setting: Setting, *, turns: int = 3) -> list[Row]:
    """The forward passes over the whole validation split."""
    tokenizer, model = setting.tokenizer(), setting.model().eval()
    loader = ColaDataModule(setting.config, setting.corpus, tokenizer).val_dataloader()
    sentences = list(setting.corpus.valid.sentences)

    def in_order() -> Iterator[Batch]:
        for start in range(0, len(sentences), TUTORIAL_BATCH):
            part = sentences[start : start + TUTORIAL_BATCH]
            yield dict(tokenizer(part, truncation=True, max_length=TUTORIAL_LENGTH, padding=True, return_tensors="pt"))

    taken: dict[str, list[float]] = {"ours": [], "theirs": []}
    with torch.inference_mode():
        for _ in range(turns):
            for name, batches in (("ours", iter(loader)), ("theirs", in_order())):
                start = time.process_time()
                for batch in batches:
                    model(batch)
                taken[name].append(time.process_time() - start)
    ours, theirs = taken["ours"], taken["theirs"]
    seconds = f"{median(ours):.1f} / {median(theirs):.1f} s"
    return [
        Row("CPU to score the validation split, ours / in the file's order", seconds),
        Row("  ratio", ratio(theirs, ours)),
    ]


PARTS: dict[str, Callable[..., list[Row]]] = {
    "batching": batching, "tokens": tokens, "scoring": scoring, "logging": logging, "compiling": compiling, "gpu": gpu,
}  # fmt: skip
BY_NAME = {"compiling", "gpu"}


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.benchmarks.training", description="Measure the training.")
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all but the last two)"
    )
    parser.add_argument("--turns", type=int, default=3, help="how often every way is taken (default: 3)")
    arguments = parser.parse_args()
    parts = arguments.parts or [part for part in PARTS if part not in BY_NAME]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if "gpu" in parts and not torch.cuda.is_available():
        parser.error("gpu: torch finds none on this machine; leave the part out, or run it where there is one")
    torch.set_num_threads(1)
    quiet_lightning()
    setting = Setting.usual()
    print(setting.corpus.name, file=sys.stderr)
    rows: list[Row] = []
    for part in parts:
        print(f"{part} ...", file=sys.stderr)
        rows += PARTS[part](setting, turns=arguments.turns)
    print(table(rows))


if __name__ == "__main__":
    main()
