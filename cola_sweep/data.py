"""The batches of a trial, cut from sentences of like length and padded to their own longest sentence.

On CoLA that is a fifth of the work of padding to 128.

    >>> data = ColaDataModule(TrialConfig(), load_corpus("synthetic"), tokenizer)

Imports config and corpus; torch, lightning and transformers.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
import torch

from cola_sweep.config import TrialConfig
from cola_sweep.corpus import Corpus, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LIMIT_SEED = 0
BATCHES_PER_BUCKET = 50


class BucketSampler:
    """Batches of row positions, of like length, in an order that follows from seed and epoch alone.

    All positions are shuffled and cut into buckets of 50 batches; each bucket is sorted by length and cut into
    batches, and the batches of all buckets are shuffled. Every position comes once an epoch. Lightning calls
    `set_epoch`, also for a run that is resumed.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
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
        size = self.batch_size * BATCHES_PER_BUCKET
        batches = []
        for start in range(0, len(order), size):
            bucket = order[start : start + size]
            bucket = bucket[np.argsort(self.lengths[bucket], kind="stable")]
            batches += [bucket[i : i + self.batch_size].tolist() for i in range(0, len(bucket), self.batch_size)]
        for number in rng.permutation(len(batches)):
            yield batches[number]


class BatchLoader:
    """Tokenised rows in the batches that `sampler` gives; padded by the tokenizer, which knows its own pad id.

    In place of torch's DataLoader: the rows lie in memory, so its workers gain nothing, and Lightning warns of their
    absence. Lightning finds `set_epoch` through the attribute `sampler`, as it would in a DataLoader whose sampler
    gives whole batches, which has no `batch_sampler`.
    """

    batch_sampler = None

    def __init__(
        self,
        rows: Sequence[dict[str, list[int] | int]],
        sampler: BucketSampler | Sequence[list[int]],
        tokenizer: "PreTrainedTokenizerBase",
    ) -> None:
        from transformers import DataCollatorWithPadding

        self.rows = rows
        self.sampler = sampler
        self.collate = DataCollatorWithPadding(tokenizer)

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        for positions in self.sampler:
            yield dict(self.collate([self.rows[position] for position in positions]))


class ColaDataModule(pl.LightningDataModule):
    """Tokenises a corpus once and batches it.

    A batch holds int64 tensors: `input_ids`, `attention_mask` and, where the tokenizer gives them, `token_type_ids`,
    each (batch, longest sentence of the batch); `labels` and `index`, each (batch,). `index` is the row number in
    `corpus.train` or `corpus.valid`.
    """

    def __init__(self, config: TrialConfig, corpus: Corpus, tokenizer: "PreTrainedTokenizerBase") -> None:
        super().__init__()
        self.config = config
        self.corpus = corpus
        self.tokenizer = tokenizer
        # A disk cache of these belongs here: keyed by corpus fingerprint, tokenizer and max_length.
        self.train_rows = self._encode(corpus.train, train_order(len(corpus.train))[: config.train_limit])
        self.valid_rows = self._encode(corpus.valid, valid_order(corpus.valid.domains)[: config.valid_limit])

    def train_dataloader(self) -> BatchLoader:
        sampler = BucketSampler(_lengths(self.train_rows), self.config.batch_size, self.config.seed)
        return BatchLoader(self.train_rows, sampler, self.tokenizer)

    def val_dataloader(self) -> BatchLoader:
        order = np.argsort(_lengths(self.valid_rows), kind="stable").tolist()
        size = self.config.eval_batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        return BatchLoader(self.valid_rows, batches, self.tokenizer)

    def _encode(self, split: Split, order: Sequence[int]) -> list[dict[str, list[int] | int]]:
        numbers = sorted(order)
        sentences = [split.sentences[number] for number in numbers]
        columns = self.tokenizer(sentences, truncation=True, max_length=self.config.max_length)
        return [
            {key: values[position] for key, values in columns.items()}
            | {"labels": split.labels[number], "index": number}
            for position, number in enumerate(numbers)
        ]


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


def _lengths(rows: Sequence[dict[str, list[int] | int]]) -> list[int]:
    return [len(row["input_ids"]) for row in rows]  # type: ignore[arg-type]
