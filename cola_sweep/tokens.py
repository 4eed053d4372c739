"""The token ids of a corpus: made by the tokenizer once, kept on disk, and mapped into memory by every later trial.

One safetensors file holds both splits. Its name is a digest of all that decides its content, so that a file never
changes; files take their place whole, and one that cannot be read or is not what was written is made again. The
oldest go when there are many.

Imports cache and corpus; torch, safetensors and, through the tokenizer, transformers.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cola_sweep.cache import cache_folder
from cola_sweep.corpus import Corpus

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT = 1
SUFFIX = ".safetensors"
MOST_FILES = 16  # CoLA's at the default length has 5 MB

# int32 by the tokenizer's names (`input_ids`, `attention_mask`, ...): a row per sentence, padded to the longest.
Table = Mapping[str, Tensor]


def load_tokens(corpus: Corpus, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> dict[str, Table]:
    """The tables of the splits "train" and "valid", sentences cut at `max_length`.

    They come from disk where an earlier call left them, and are the same either way. A folder that cannot be written
    costs a line on stderr and nothing else.
    """
    settings = _settings(tokenizer)
    if settings is None:
        return _unflattened(_encode(corpus, tokenizer, max_length))
    folder = cache_folder("tokens")
    key = hashlib.sha256(repr((FORMAT, corpus.fingerprint, max_length, settings)).encode()).hexdigest()
    path = folder / f"{key[:32]}{SUFFIX}"
    tensors = _read(path)
    if tensors is None:
        tensors = _encode(corpus, tokenizer, max_length)
        _forget_last_call(tokenizer)  # a tokenizer that is saved says what it was asked last
        try:
            _write(tensors, path)
            _remove_oldest(folder)
        except (OSError, SafetensorError) as error:
            print(f"note: token ids are not kept in {folder} ({error})", file=sys.stderr)
    return _unflattened(tensors)


def _settings(tokenizer: "PreTrainedTokenizerBase") -> tuple[object, ...] | None:
    """All that decides what a tokenizer makes of a sentence; None where it is Python code that nothing describes."""
    if not tokenizer.is_fast:
        return None
    _forget_last_call(tokenizer)
    return (
        hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest(),
        type(tokenizer).__name__, tokenizer.model_input_names,
        tokenizer.pad_token_id, tokenizer.pad_token_type_id, tokenizer.padding_side, tokenizer.truncation_side,
        version("tokenizers"), version("transformers"),
    )  # fmt: skip


def _forget_last_call(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Length and padding stay with a tokenizer after a call, though every call sets them anew."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def _encode(corpus: Corpus, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> dict[str, Tensor]:
    return {
        f"{name}.{column}": values.to(torch.int32)
        for name, split in (("train", corpus.train), ("valid", corpus.valid))
        for column, values in tokenizer(
            list(split.sentences), truncation=True, max_length=max_length, padding=True, return_attention_mask=True,
            return_tensors="pt",
        ).items()
    }  # fmt: skip


def _unflattened(tensors: Mapping[str, Tensor]) -> dict[str, Table]:
    return {
        name: {key.removeprefix(f"{name}."): values for key, values in tensors.items() if key.startswith(f"{name}.")}
        for name in ("train", "valid")
    }


def _read(path: Path) -> dict[str, Tensor] | None:
    """What `_write` wrote, mapped into memory; None where there is no such file, or another content in it."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if (file.metadata() or {}).get("sha256") != _digest(tensors):
                return None
    except (OSError, SafetensorError):
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # for `_remove_oldest`: it was used
    return tensors


def _write(tensors: dict[str, Tensor], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file, unfinished = tempfile.mkstemp(SUFFIX, dir=path.parent)
    os.close(file)
    try:
        save_file(tensors, unfinished, {"sha256": _digest(tensors)})
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _remove_oldest(folder: Path) -> None:
    """Keep the files last used, whatever a process that was killed left unfinished among them.

    A file that another process has mapped stays readable to it.
    """
    ages = {}
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):  # another trial removed it
            ages[path] = path.stat().st_mtime_ns
    for path in sorted(ages, key=lambda path: ages[path])[:-MOST_FILES]:
        path.unlink(missing_ok=True)
