"""Corpora from folders, the hub (a stand-in for `load_dataset`) and the grammar; batches by length."""

import itertools
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.config import TrialConfig
from cola_sweep.data import BatchLoader, BucketSampler, ColaDataModule, load_corpus, train_order, valid_order
from cola_sweep.errors import UserError

REAL = Path(__file__).parents[2] / "shared" / "data" / "cola"
TRAIN = 'gj04\t1\t\tThe cat slept.\ngj04\t0\t*\tSlept cat the.\nks08\t1\t\tA "dog" barked at null.\n'
DEV = "gj04\t1\t\tNA\nswb04\t0\t??\tA bird it sang.\n"

sizes = st.integers(1, 300)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """No hub and no folder but the ones that a test names."""
    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("COLA_SWEEP_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.tsv").write_text(TRAIN)
    (tmp_path / "dev.tsv").write_text(DEV.removesuffix("\n"))
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


def test_a_folder_in_glue_layout(folder):
    corpus = load_corpus(str(folder))
    assert (corpus.kind, corpus.name) == ("folder", f"CoLA from folder {folder} (3 train, 2 dev)")
    assert corpus.train.sentences == ("The cat slept.", "Slept cat the.", 'A "dog" barked at null.')
    assert corpus.train.labels == (1, 0, 1)
    assert corpus.train.sources == ("gj04", "gj04", "ks08")
    assert corpus.valid.sentences == ("NA", "A bird it sang.")
    assert corpus.valid.domains == ("in", "out")


@pytest.mark.parametrize("below", ["", "raw"])
def test_a_folder_in_the_authors_layout_is_the_same_corpus(folder, tmp_path, below):
    place = tmp_path / "public" / below
    place.mkdir(parents=True)
    dev_in, dev_out = DEV.splitlines(keepends=True)
    for name, text in (("in_domain_train", TRAIN), ("in_domain_dev", dev_in), ("out_of_domain_dev", dev_out)):
        (place / f"{name}.tsv").write_text(text)
    public, glue = load_corpus(str(tmp_path / "public")), load_corpus(str(folder))
    assert (public.train, public.valid, public.fingerprint) == (glue.train, glue.valid, glue.fingerprint)


def test_the_fingerprint_moves_with_every_sentence_and_label(folder):
    fingerprints = {load_corpus(str(folder)).fingerprint}
    for before, after in (("The cat slept.", "The cat slept!"), ("gj04\t1\t\tThe", "gj04\t0\t\tThe")):
        (folder / "train.tsv").write_text(TRAIN.replace(before, after))
        fingerprints.add(load_corpus(str(folder)).fingerprint)
    assert len(fingerprints) == 3


def test_windows_line_ends_and_byte_order_mark_are_read(folder):
    plain = load_corpus(str(folder))
    (folder / "train.tsv").write_bytes(b"\xef\xbb\xbf" + TRAIN.replace("\n", "\r\n").encode())
    assert load_corpus(str(folder)).train == plain.train


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", r"train\.tsv:1: the file is empty"),
        (b"a\t1\t\tFine.\na\t1\tShort.\n", r"train\.tsv:2: got '3 columns'; must have 4"),
        (b"a\t1\t\tFine.\n\na\t1\t\tFine.\n", r"train\.tsv:2: got '1 columns'; must have 4"),
        (b"a\t1\t\tToo\tlong.\n", r"train\.tsv:1: got '5 columns'; must have 4"),
        (b"a\tyes\t\tFine.\n", r"train\.tsv:1: got 'yes'; the label \(column 2\) must be 0 or 1"),
        (b"a\t1\t\t \n", r"train\.tsv:1: got ' '; the sentence \(column 4\) is empty"),
        (b"a\t1\t\tFine.\na\t1\t\tCaf\xe9.\n", r"train\.tsv:2: must be UTF-8, byte 9 is not"),
    ],
)
def test_a_malformed_file_is_named_with_its_line(folder, text, message):
    (folder / "train.tsv").write_bytes(text)
    with pytest.raises(UserError, match=message):
        load_corpus(str(folder))


@pytest.mark.parametrize("missing", ["train.tsv", "dev.tsv"])
def test_a_missing_file_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(UserError, match=rf"{missing}: cannot be read"):
        load_corpus(str(folder))


@pytest.mark.parametrize("name", ["./nowhere", "~nobody-of-that-name/x", "x" * 300])
def test_a_missing_folder_is_named(name):
    with pytest.raises(UserError, match=rf"config\.data: got '{name}'; no such folder"):
        load_corpus(name)


def test_a_missing_folder_of_the_environment_is_named_by_its_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("COLA_SWEEP_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"COLA_SWEEP_DATA: got '.*nowhere'; no such folder"):
        load_corpus("auto")


def test_auto_prefers_the_folder_of_the_environment_then_the_hub_then_the_grammar(folder, monkeypatch):
    rows = {"sentence": ["One."], "label": [1]}
    glue = {"train": datasets.Dataset.from_dict(rows), "validation": datasets.Dataset.from_dict(rows)}
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: glue)
    kinds = [load_corpus("auto").kind]
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    kinds.append(load_corpus("auto").kind)
    monkeypatch.setenv("COLA_SWEEP_DATA", str(folder))
    kinds.append(load_corpus("auto").kind)
    assert kinds == ["synthetic", "hub", "folder"]


def test_the_hub_corpus_has_glues_domains(monkeypatch):
    def load_dataset(*names: str) -> dict[str, datasets.Dataset]:
        assert names == ("nyu-mll/glue", "cola")
        rows = {"sentence": [f"Sentence {number}." for number in range(1043)], "label": [1, *[0] * 1042]}
        return {"train": datasets.Dataset.from_dict(rows), "validation": datasets.Dataset.from_dict(rows)}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    corpus = load_corpus("hub")
    assert (corpus.kind, corpus.name) == ("hub", "CoLA from the hub (nyu-mll/glue) (1043 train, 1043 dev)")
    assert corpus.valid.labels[:2] == (1, 0)
    assert corpus.valid.domains == ("in",) * 527 + ("out",) * 516


class HttpLibraryError(Exception):
    """No OSError and no ValueError, as those of httpx are not."""


@pytest.mark.parametrize("kind", [ConnectionError, HttpLibraryError])
@pytest.mark.parametrize(
    ("answers", "rule"),
    [("0", "the hub does not answer and its cache has no CoLA"), ("1", "the hub does not give nyu-mll/glue")],
)
def test_a_hub_that_does_not_give_cola_is_named(monkeypatch, kind, answers, rule):
    def load_dataset(*_: str) -> None:
        raise kind("Couldn't reach nyu-mll/glue")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setenv("COLA_SWEEP_HUB", answers)
    with pytest.raises(UserError, match=rule):
        load_corpus("hub")


def test_the_synthetic_corpus_is_not_called_cola():
    corpus = load_corpus("synthetic")
    assert corpus.name == "synthetic acceptability corpus, seed 0 (4000 train, 600 dev)"
    assert corpus.kind == "synthetic"


def test_the_synthetic_corpus_stays_as_it_was():
    """Results on it are compared across commits: change this value only together with the grammar."""
    assert load_corpus("synthetic").fingerprint.startswith("7bebb92a09fdcef6")


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{os.path.relpath(REAL)} is absent: CoLA may not be shipped")
def test_real_cola_has_the_published_counts():
    corpus = load_corpus(str(REAL))
    assert (len(corpus.train), sum(corpus.train.labels)) == (8551, 6023)
    assert (len(corpus.valid), sum(corpus.valid.labels)) == (1043, 721)
    assert corpus.valid.domains == ("in",) * 527 + ("out",) * 516


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


def test_a_loader_gives_the_same_batches_each_time_it_is_read(tokenizer):
    rows = [{"input_ids": [1, 2], "attention_mask": [1, 1], "labels": 1, "index": 0}]
    loader = BatchLoader(rows, [[0]], tokenizer)
    assert [batch["index"].tolist() for _ in range(2) for batch in loader] == [[0], [0]]
