"""The batches of a trial, cut from sentences of like length and padded to their own longest sentence.

On CoLA that is a tenth of the tokens of padding to 128, and half of those of batches cut at random.

    >>> data = ColaDataModule(TrialConfig(), load_corpus("synthetic"), tokenizer)

Imports config, corpus and tokens; torch and lightning.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from cola_sweep.config import TrialConfig
from cola_sweep.corpus import Corpus, Split
from cola_sweep.tokens import Table, load_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LIMIT_SEED = 0
BATCHES_PER_POOL = 100
# On a GPU every shape of batch is compiled or captured anew, and a few more tokens cost next to nothing.
GPU_WIDTH_STEP = 8
GPU_MEMORY_SHARE = 1 / 8


class BucketSampler:
    """Batches of row positions, of like length, in an order that follows from seed and epoch alone.

    Each epoch all positions are shuffled and cut into pools of equal size, of up to 100 batches; each pool is sorted
    by length and cut into batches, and the batches of all pools are shuffled. So the order of the batches is random,
    and so is which of the sentences of like length meet. Every position comes once an epoch. Lightning calls
    `set_epoch`, also for a run that is resumed.
    """

    def __init__(self, lengths: Sequence[int] | np.ndarray, batch_size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(len(self.lengths))
        pools = -(-len(self) // BATCHES_PER_POOL)
        size = self.batch_size * -(-len(self) // pools)
        batches = []
        for start in range(0, len(order), size):
            pool = order[start : start + size]
            pool = pool[np.argsort(self.lengths[pool], kind="stable")]
            batches += [pool[i : i + self.batch_size].tolist() for i in range(0, len(pool), self.batch_size)]
        for number in rng.permutation(len(batches)):
            yield batches[number]


class BatchLoader:
    """Rows of a table in the batches that `sampler` gives, each cut to its longest sentence.

    In place of torch's DataLoader: the rows lie in memory, so its workers gain nothing, and Lightning warns of their
    absence. Lightning finds `set_epoch` through the attribute `sampler`, as it would in a DataLoader whose sampler
    gives whole batches, which has no `batch_sampler`.

    Args:
        table: `attention_mask` and others, each (rows, longest), padded on the right, and per row `labels` and `index`;
            all on one device.
        sampler: positions in the table, a batch each.
        lengths: of the rows, in tokens; always on the CPU, so that no device is waited for.
        width_step: batches are as wide as a multiple of it, as far as the table goes.
    """

    batch_sampler = None

    def __init__(
        self, table: Table, sampler: BucketSampler | Sequence[list[int]], lengths: np.ndarray, *, width_step: int = 1
    ) -> None:
        self.table = table
        self.sampler = sampler
        self.lengths = lengths
        self.width_step = width_step

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        batches = list(self.sampler)
        device = self.table["index"].device
        # All at once, as a copy for every batch would be waited for.
        order = torch.tensor([position for batch in batches for position in batch], device=device)
        for batch, rows in zip(batches, order.split([len(batch) for batch in batches]), strict=True):
            yield self._batch(rows, int(self.lengths[batch].max()))

    def _batch(self, rows: Tensor, longest: int) -> dict[str, Tensor]:
        width = -(-longest // self.width_step) * self.width_step
        return {
            name: (values[rows] if values.ndim == 1 else values[:, :width][rows]).long()
            for name, values in self.table.items()
        }


class ColaDataModule(pl.LightningDataModule):
    """Batches the token ids of a corpus.

    A batch holds int64 tensors: `input_ids`, `attention_mask` and, where the tokenizer gives them, `token_type_ids`,
    each (batch, longest sentence of the batch); `labels` and `index`, each (batch,). `index` is the row number in
    `corpus.train` or `corpus.valid`. On a GPU, batches are as wide as a multiple of 8, and lie there already.
    """

    def __init__(self, config: TrialConfig, corpus: Corpus, tokenizer: "PreTrainedTokenizerBase") -> None:
        super().__init__()
        self.config = config
        tokens = load_tokens(corpus, tokenizer, config.max_length)
        self.train_table = _table(tokens["train"], corpus.train, train_order(len(corpus.train))[: config.train_limit])
        self.valid_table = _table(
            tokens["valid"], corpus.valid, valid_order(corpus.valid.domains)[: config.valid_limit]
        )

    def train_dataloader(self) -> BatchLoader:
        lengths = _lengths(self.train_table)
        return self._loader(self.train_table, BucketSampler(lengths, self.config.batch_size, self.config.seed), lengths)

    def val_dataloader(self) -> BatchLoader:
        lengths = _lengths(self.valid_table)
        order = np.argsort(lengths, kind="stable").tolist()
        size = self.config.eval_batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return self._loader(self.valid_table, batches, lengths)

    def _loader(self, table: Table, sampler: BucketSampler | Sequence[list[int]], lengths: np.ndarray) -> BatchLoader:
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type != "cuda":
            return BatchLoader(table, sampler, lengths)
        table = placed(table, device, torch.cuda.mem_get_info(device)[0])
        return BatchLoader(table, sampler, lengths, width_step=GPU_WIDTH_STEP)


def _table(tokens: Table, split: Split, kept: Sequence[int]) -> Table:
    """Tokens, labels and row numbers of the rows that are kept; where all are, the tokens stay mapped from disk."""
    table = {**tokens, "labels": torch.tensor(split.labels), "index": torch.arange(len(split))}
    if len(kept) == len(split):
        return table
    rows = torch.tensor(sorted(kept))
    return {name: values[rows] for name, values in table.items()}


def placed(table: Table, device: torch.device, free: int) -> Table:
    """The table on a device with so many free bytes; as it is, where it would take more than an eighth of them."""
    if sum(values.nbytes for values in table.values()) > free * GPU_MEMORY_SHARE:
        return table
    return {name: values.to(device) for name, values in table.items()}


def train_order(size: int) -> list[int]:
    """The order of which `train_limit` takes the first: shuffled once and for all, since CoLA is sorted by source."""
    return np.random.default_rng(LIMIT_SEED).permutation(size).tolist()


def valid_order(domains: Sequence[str]) -> list[int]:
    """The order of which `valid_limit` takes the first: shuffled once and for all, the domains in even proportion."""
    ranks: dict[str, int] = {}
    key = {}
    for number in train_order(len(domains)):
        domain = domains[number]
        ranks[domain] = ranks.get(domain, 0) + 1
        key[number] = ranks[domain] - 0.5
    return sorted(key, key=lambda number: (key[number] / ranks[domains[number]], number))


def _lengths(table: Table) -> np.ndarray:
    """Tokens of each row."""
    return table["attention_mask"].sum(dim=1).numpy()
