"""Corpora from folders, the hub (a stand-in for `load_dataset`) and the grammar."""

import os
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from cola_sweep.corpus import load_corpus
from cola_sweep.errors import UserError

REAL = Path(__file__).parents[2] / "shared" / "data" / "cola"
TRAIN = 'gj04\t1\t\tThe cat slept.\ngj04\t0\t*\tSlept cat the.\nks08\t1\t\tA "dog" barked at null.\n'
DEV = "gj04\t1\t\tNA\nswb04\t0\t??\tA bird it sang.\n"


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


def test_a_wrong_name_is_told_before_torch_is_imported(tmp_path):
    script = (
        "import sys; from cola_sweep.corpus import load_corpus; from cola_sweep.errors import UserError\n"
        f"try: load_corpus({str(tmp_path / 'nowhere')!r})\n"
        "except UserError: print(sorted(set(sys.modules) & {'torch', 'numpy', 'pytorch_lightning', 'datasets'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
