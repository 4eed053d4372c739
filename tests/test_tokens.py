"""Token ids kept on disk: the same from there as from the tokenizer, and never a wrong or a broken file's."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from cola_sweep import tokens
from cola_sweep.corpus import Corpus, load_corpus
from cola_sweep.tokens import load_tokens


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path))
    return tmp_path / "tokens"


@pytest.fixture
def corpus(tiny_corpus) -> Corpus:
    return load_corpus(str(tiny_corpus))


@pytest.fixture
def tokenizer(tiny_checkpoint):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_checkpoint)


def equal(one: dict[str, tokens.Table], other: dict[str, tokens.Table]) -> bool:
    return one.keys() == other.keys() and all(
        one[split].keys() == other[split].keys()
        and all(torch.equal(values, other[split][name]) for name, values in one[split].items())
        for split in one
    )


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("the tokenizer was asked")


def test_the_second_trial_reads_what_the_first_one_wrote(folder, corpus, tokenizer, monkeypatch):
    made = load_tokens(corpus, tokenizer, 16)
    assert made["train"]["input_ids"].shape[0] == len(corpus.train)
    assert {len(values) for values in made["valid"].values()} == {len(corpus.valid)}
    left = tokenizer.backend_tokenizer.to_str()  # what would be saved beside the model
    monkeypatch.setattr(tokens, "_encode", refuse)
    assert equal(load_tokens(corpus, tokenizer, 16), made)
    assert tokenizer.backend_tokenizer.to_str() == left


def test_tokens_are_mapped_into_memory(folder, corpus, tokenizer):
    load_tokens(corpus, tokenizer, 16)
    kept = load_tokens(corpus, tokenizer, 16)
    assert kept["train"]["input_ids"].shape[1] > 1
    if Path("/proc/self/maps").exists():
        assert str(folder) in Path("/proc/self/maps").read_text()


def test_whatever_decides_the_tokens_decides_the_file(
    folder, corpus, tiny_corpus, tiny_checkpoint, tokenizer, tmp_path
):
    from transformers import AutoTokenizer

    def files() -> int:
        return len(list(folder.glob("*")))

    load_tokens(corpus, tokenizer, 16)
    load_tokens(corpus, AutoTokenizer.from_pretrained(tiny_checkpoint), 16)
    assert files() == 1
    load_tokens(corpus, tokenizer, 8)
    tokenizer.padding_side = "left"
    load_tokens(corpus, tokenizer, 16)
    tokenizer.add_tokens(["wug"])
    load_tokens(corpus, tokenizer, 16)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (other / name).write_text((tiny_corpus / name).read_text().replace("cat", "dog"))
    load_tokens(load_corpus(str(other)), tokenizer, 16)
    assert files() == 5


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "folder", "foreign"])
def test_a_damaged_file_is_made_again(folder, corpus, tokenizer, damage, capsys):
    made = load_tokens(corpus, tokenizer, 16)
    (path,) = folder.glob("*")
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "cut": content[:-100],
        "flipped": content[:-1] + bytes([content[-1] ^ 1]),
        "folder": content,
        "foreign": b"\x02\0\0\0\0\0\0\0{}",  # a safetensors file without tensors
    }
    path.unlink()
    path.mkdir() if damage == "folder" else path.write_bytes(damaged[damage])
    assert equal(load_tokens(corpus, tokenizer, 16), made)
    if damage == "folder":
        assert "token ids are not kept" in capsys.readouterr().err
        assert [file.name for file in folder.iterdir()] == [path.name]
    else:
        assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_costs_a_line_only(tmp_path, monkeypatch, corpus, tokenizer, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "file"))
    assert load_tokens(corpus, tokenizer, 16)["train"]["input_ids"].shape[0] == len(corpus.train)
    assert capsys.readouterr().err.startswith(f"note: token ids are not kept in {tmp_path / 'file' / 'tokens'} (")


def test_a_disk_that_is_full_leaves_nothing_half_written(folder, monkeypatch, corpus, tokenizer, capsys):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokens, "save_file", full)
    load_tokens(corpus, tokenizer, 16)
    assert "No space left on device" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_the_files_last_used_stay(folder, monkeypatch, corpus, tokenizer):
    monkeypatch.setattr(tokens, "MOST_FILES", 2)
    folder.mkdir()
    killed = folder / "tmp123.safetensors"
    killed.write_bytes(b"half")
    os.utime(killed, (1, 1))
    load_tokens(corpus, tokenizer, 16)
    (first,) = set(folder.glob("*")) - {killed}
    load_tokens(corpus, tokenizer, 15)
    (second,) = set(folder.glob("*")) - {first}
    os.utime(first, (3, 3))
    os.utime(second, (4, 4))
    load_tokens(corpus, tokenizer, 16)  # used again
    load_tokens(corpus, tokenizer, 14)
    left = set(folder.glob("*"))
    assert first in left
    assert second not in left
    assert len(left) == 2


def test_a_tokenizer_that_is_python_code_is_asked_every_time(folder, corpus, tokenizer):
    class Slow(type(tokenizer)):
        is_fast = False

    slow = Slow.from_pretrained(tokenizer.name_or_path)
    assert equal(load_tokens(corpus, slow, 16), load_tokens(corpus, tokenizer, 16))
    assert len(list(folder.glob("*"))) == 1


def test_trials_that_start_at_once_agree(folder, corpus, tiny_checkpoint):
    from transformers import AutoTokenizer

    tokenizers = [AutoTokenizer.from_pretrained(tiny_checkpoint) for _ in range(4)]
    barrier = threading.Barrier(4)

    def load(tokenizer):
        barrier.wait()
        return load_tokens(corpus, tokenizer, 16)

    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(load, tokenizers)
    assert all(equal(first, other) for other in others)
    assert len(list(folder.glob("*"))) == 1
