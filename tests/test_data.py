"""Batches by length, over the generated corpus and small folders."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep import data as data_module
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import load_corpus
from cola_sweep.data import BatchLoader, BucketSampler, ColaDataModule, placed, train_order, valid_order

TRAIN = 'a\t1\t\tThe cat slept.\na\t0\t*\tSlept cat the.\nb\t1\t\tA "dog" barked at null.\n'
DEV = "a\t1\t\tNA\nc\t0\t??\tA bird it sang.\n"

sizes = st.integers(1, 300)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_text(TRAIN)
    (tmp_path / "dev.tsv").write_text(DEV)
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """Word by word; the pad id is 3, so that padding with 0 would show."""
    from transformers import BertTokenizer

    words = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "the", "cat", "slept", "a", "dog", "."]
    path = tmp_path_factory.mktemp("tokenizer") / "vocab.txt"
    path.write_text("\n".join(words))
    return BertTokenizer(str(path))


def lengths_of(rng_seed: int, size: int) -> list[int]:
    return np.random.default_rng(rng_seed).integers(3, 40, size).tolist()


@given(sizes, st.integers(1, 40), st.integers(0, 2**31), st.integers(0, 50))
def test_every_row_comes_once_an_epoch_in_batches_of_the_size_asked_for(size, batch_size, seed, epoch):
    sampler = BucketSampler(lengths_of(size, size), batch_size, seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(itertools.chain.from_iterable(batches)) == list(range(size))
    assert len(batches) == len(sampler)
    assert sorted(map(len, batches), reverse=True)[:-1] == [batch_size] * (len(batches) - 1)


@given(st.integers(50, 300), st.integers(0, 2**31), st.integers(0, 50))
def test_the_order_follows_from_seed_and_epoch(size, seed, epoch):
    def order(seed: int, epoch: int) -> list[list[int]]:
        sampler = BucketSampler(lengths_of(0, size), 4, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(seed, epoch) == order(seed, epoch)
    assert order(seed, epoch) != order(seed, epoch + 1)
    assert order(seed, epoch) != order(seed + 1, epoch)


def test_buckets_save_most_of_the_padding():
    lengths = np.array(lengths_of(0, 8000))
    padded = sum(len(batch) * lengths[batch].max() for batch in BucketSampler(lengths, 32, 0))
    assert padded < 1.05 * lengths.sum()


@pytest.mark.parametrize("order", [train_order(20), valid_order(["in"] * 12 + ["out"] * 8)])
def test_the_orders_of_the_limits_hold_every_row_once(order):
    assert sorted(order) == list(range(20))
    assert order != list(range(20))


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_limited_validation_split_keeps_the_proportion_of_the_domains(inside, outside, data):
    limit = data.draw(st.integers(1, inside + outside))
    kept = valid_order(["in"] * inside + ["out"] * outside)[:limit]
    assert abs(sum(number < inside for number in kept) - limit * inside / (inside + outside)) <= 1


def test_a_batch_holds_padded_tokens_labels_and_row_numbers(folder, tokenizer):
    data = ColaDataModule(TrialConfig(batch_size=3), load_corpus(str(folder)), tokenizer)
    (batch,) = data.train_dataloader()
    assert set(batch) == {"input_ids", "token_type_ids", "attention_mask", "labels", "index"}
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
    assert batch["labels"].tolist() == [(1, 0, 1)[number] for number in batch["index"].tolist()]
    first = batch["index"].tolist().index(0)
    assert batch["input_ids"][first].tolist() == [1, 4, 5, 6, 9, 2, *[3] * 4]
    assert batch["attention_mask"][first].tolist() == [1] * 6 + [0] * 4


def test_sentences_are_cut_at_max_length(tmp_path, tokenizer):
    (tmp_path / "train.tsv").write_text(f"a\t1\t\t{'the ' * 30}\n")
    (tmp_path / "dev.tsv").write_text(DEV)
    (batch,) = ColaDataModule(TrialConfig(max_length=8), load_corpus(str(tmp_path)), tokenizer).train_dataloader()
    assert batch["input_ids"].tolist() == [[1, *[4] * 6, 2]]


def test_validation_goes_from_short_to_long_and_row_numbers_lead_back(tokenizer):
    corpus = load_corpus("synthetic")
    data = ColaDataModule(TrialConfig(eval_batch_size=64, train_limit=2), corpus, tokenizer)
    batches = list(data.val_dataloader())
    widths = [batch["input_ids"].shape[1] for batch in batches]
    assert widths == sorted(widths)
    assert [len(batch["labels"]) for batch in batches] == [64] * 9 + [24]
    index, labels = (torch.cat([batch[key] for batch in batches]) for key in ("index", "labels"))
    assert index.sort().values.tolist() == list(range(600))
    assert labels.tolist() == [corpus.valid.labels[number] for number in index.tolist()]


def test_limits_keep_the_same_rows_for_every_trial_and_more_with_a_higher_limit(tokenizer):
    corpus = load_corpus("synthetic")

    def kept(**limits: int) -> tuple[set[int], set[int]]:
        data = ColaDataModule(TrialConfig(**limits), corpus, tokenizer)
        loaders = (data.train_dataloader(), data.val_dataloader())
        train, valid = ({i for batch in loader for i in batch["index"].tolist()} for loader in loaders)
        return train, valid

    few, more = kept(train_limit=20, valid_limit=10, seed=1), kept(train_limit=40, valid_limit=30, seed=2)
    assert [len(part) for part in (*few, *more)] == [20, 10, 40, 30]
    assert few[0] < more[0]
    assert few[1] < more[1]


class Recorder(pl.LightningModule):
    """Notes which rows each training epoch saw, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.epochs: dict[int, list[int]] = {}

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.epochs.setdefault(self.current_epoch, []).extend(batch["index"].tolist())
        return self.weight * batch["labels"].sum()

    def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
        assert batch["index"].shape == batch["labels"].shape

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(tmp_path: Path, data: ColaDataModule, epochs: int, resume: bool = False) -> dict[int, list[int]]:
    trainer = pl.Trainer(
        max_epochs=epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    model = Recorder()
    trainer.fit(model, datamodule=data, ckpt_path=tmp_path / "saved.ckpt" if resume else None, weights_only=False)
    if not resume:
        trainer.save_checkpoint(tmp_path / "saved.ckpt")
    return model.epochs


# Lightning 2.6 still asks torch 2.13 in the old way what a leaf is.
@pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning")
def test_lightning_sets_the_epoch_also_for_a_resumed_run_and_warns_of_nothing(tmp_path, tokenizer):
    config = TrialConfig(train_limit=100, batch_size=8, valid_limit=10)
    data = ColaDataModule(config, load_corpus("synthetic"), tokenizer)
    whole = fit(tmp_path, data, epochs=3)
    assert whole[0] != whole[1] != whole[2]
    fit(tmp_path, data, epochs=2)
    assert fit(tmp_path, data, epochs=3, resume=True) == {2: whole[2]}


def test_a_loader_gives_the_same_batches_each_time_it_is_read():
    table = {"input_ids": torch.tensor([[1, 2]]), "index": torch.tensor([0])}
    loader = BatchLoader(table, [[0]], np.array([2]))
    assert [batch["index"].tolist() for _ in range(2) for batch in loader] == [[0], [0]]


def test_batches_are_padded_as_the_tokenizer_pads_them(tokenizer):
    corpus = load_corpus("synthetic")
    data = ColaDataModule(TrialConfig(train_limit=300, max_length=12), corpus, tokenizer)
    for batch in data.train_dataloader():
        sentences = [corpus.train.sentences[number] for number in batch.pop("index").tolist()]
        expected = tokenizer(sentences, truncation=True, max_length=12, padding=True, return_tensors="pt")
        del batch["labels"]
        assert batch.keys() == expected.keys()
        assert all(torch.equal(batch[name], expected[name]) for name in expected)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=20), st.integers(1, 8))
def test_widths_go_in_steps_where_asked_and_no_token_is_lost(lengths, step):
    longest = max(lengths)
    mask = torch.tensor([[int(i < length) for i in range(longest)] for length in lengths])
    table = {"attention_mask": mask, "index": torch.arange(len(lengths))}
    batches = [[row] for row in range(len(lengths))]
    for batch, length in zip(BatchLoader(table, batches, np.array(lengths), width_step=step), lengths, strict=True):
        width = batch["attention_mask"].shape[1]
        assert batch["attention_mask"].sum() == length
        assert width == longest or (width % step == 0 and width - length < step)


def test_a_table_is_moved_where_it_fits():
    table = {"index": torch.arange(10)}  # 80 bytes
    assert placed(table, torch.device("meta"), free=640)["index"].device.type == "meta"
    assert placed(table, torch.device("meta"), free=639)["index"].device.type == "cpu"


def test_on_a_gpu_the_whole_table_goes_there_once_and_batches_have_few_widths(folder, tokenizer, monkeypatch):
    """`meta` stands for the device, and the trainer's strategy for the one that knows it."""
    moved = []

    def to_meta(table, device, free):
        moved.append((device, free))
        return placed(table, torch.device("meta"), free)

    monkeypatch.setattr(data_module, "placed", to_meta)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 2 * 10**9))
    data = ColaDataModule(TrialConfig(batch_size=2), load_corpus(str(folder)), tokenizer)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda", 0)))
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batches = list(loader)
        assert {value.device.type for batch in batches for value in batch.values()} == {"meta"}
        assert {batch["input_ids"].shape[1] for batch in batches} <= {8, loader.table["input_ids"].shape[1]}
    assert moved == [(torch.device("cuda", 0), 10**9)] * 2


def test_a_limit_that_reaches_the_end_keeps_the_split(tokenizer, folder):
    data = ColaDataModule(TrialConfig(train_limit=3, valid_limit=5), load_corpus(str(folder)), tokenizer)
    assert data.train_table["index"].tolist() == [0, 1, 2]
    assert data.valid_table["index"].tolist() == [0, 1]
