"""The corpus of a trial: CoLA from the hub or a folder, or the synthetic corpus.

    >>> load_corpus("synthetic").name
    'synthetic acceptability corpus, seed 0 (4000 train, 600 dev)'

Imports errors, hub and synthetic; `datasets` only for the hub, so that a wrong folder is told at once.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cola_sweep import synthetic
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.synthetic import Row

CLASS_NAMES = ("unacceptable", "acceptable")
FOLDER_VARIABLE = "COLA_SWEEP_DATA"
SYNTHETIC_SEED = 0
# GLUE's development split is CoLA's in-domain one followed by the out-of-domain one.
GLUE_IN_DOMAIN_ROWS = 527

Kind = Literal["hub", "folder", "synthetic"]


@dataclass(frozen=True)
class Split:
    """The rows of one split, by column; all columns are equally long."""

    sentences: tuple[str, ...]
    labels: tuple[int, ...]
    sources: tuple[str, ...]
    domains: tuple[str, ...]

    @classmethod
    def from_rows(cls, rows: Sequence[Row]) -> "Split":
        sentences, labels, sources, domains = zip(*rows, strict=True)
        return cls(sentences, labels, sources, domains)

    def __len__(self) -> int:
        return len(self.sentences)


@dataclass(frozen=True)
class Corpus:
    """Both splits, what they are in words, and a SHA-256 over sentences, labels and domains.

    The fingerprint is of what a trial learns from, not of where it lay: CoLA from the hub and from a folder agree.
    """

    name: str
    kind: Kind
    fingerprint: str
    train: Split
    valid: Split


def load_corpus(name: str) -> Corpus:
    """Read the corpus that `data:` names: `auto`, `hub`, `synthetic`, or a folder in CoLA layout.

    `auto` is the folder in `COLA_SWEEP_DATA`, else the hub if it answers, else the synthetic corpus.

    Raises:
        UserError: the folder, a file or a line of it is not as it must be, or the hub does not give the corpus.
    """
    where = "config.data"
    if name == "auto" and os.environ.get(FOLDER_VARIABLE):
        where, name = FOLDER_VARIABLE, os.environ[FOLDER_VARIABLE]
    elif name == "auto":
        name = "hub" if hub_answers() else "synthetic"
    if name == "synthetic":
        return synthetic_corpus()
    if name == "hub":
        return _corpus("hub", "CoLA from the hub (nyu-mll/glue)", *_read_hub())
    folder = os.path.expanduser(name)
    if not os.path.isdir(folder):  # unlike pathlib's, false for any name that is no folder
        raise UserError(where, got=name, rule="no such folder", fix="use auto, hub, synthetic or a folder")
    return _corpus("folder", f"CoLA from folder {name}", *_read_folder(Path(folder)))


@functools.cache
def synthetic_corpus() -> Corpus:
    """The corpus of this project's own grammar, made once in a process: a warm server's trials inherit it."""
    title = f"synthetic acceptability corpus, seed {SYNTHETIC_SEED}"
    return _corpus("synthetic", title, *synthetic.generate(SYNTHETIC_SEED))


def _corpus(kind: Kind, title: str, train: Sequence[Row], valid: Sequence[Row]) -> Corpus:
    digest = hashlib.sha256()
    for split, rows in (("train", train), ("valid", valid)):
        for row in rows:
            digest.update(f"{split}\t{row.label}\t{row.domain}\t{row.sentence}\n".encode())
    return Corpus(
        f"{title} ({len(train)} train, {len(valid)} dev)", kind, digest.hexdigest(),
        Split.from_rows(train), Split.from_rows(valid),
    )  # fmt: skip


def _read_hub() -> tuple[list[Row], list[Row]]:
    answers = hub_answers()
    import datasets  # type: ignore[import-untyped]

    datasets.disable_progress_bars()
    try:
        glue = datasets.load_dataset("nyu-mll/glue", "cola")
    except Exception as error:  # the client lets those of its HTTP library through, whichever that is
        rule = "the hub does not give nyu-mll/glue" if answers else "the hub does not answer and its cache has no CoLA"
        raise UserError("config.data", got="hub", rule=rule, fix="use a folder, or synthetic") from error
    train = [Row(row["sentence"], row["label"], "unknown", "in") for row in glue["train"]]
    valid = [
        Row(row["sentence"], row["label"], "unknown", "in" if number < GLUE_IN_DOMAIN_ROWS else "out")
        for number, row in enumerate(glue["validation"])
    ]
    return train, valid


def _read_folder(folder: Path) -> tuple[list[Row], list[Row]]:
    """GLUE's layout (train.tsv, dev.tsv), or the authors' (in_domain_train.tsv, ..., perhaps below raw/)."""
    for place in (folder, folder / "raw"):
        train, valid_in, valid_out = (
            place / f"{part}.tsv" for part in ("in_domain_train", "in_domain_dev", "out_of_domain_dev")
        )
        if train.is_file():
            return _read_tsv(train, "in"), _read_tsv(valid_in, "in") + _read_tsv(valid_out, "out")
    train_rows = _read_tsv(folder / "train.tsv", "in")
    seen = {row.source for row in train_rows}
    # In domain means: from a source that train draws on (Warstadt et al. 2019, section 3).
    return train_rows, [
        row._replace(domain="in" if row.source in seen else "out") for row in _read_tsv(folder / "dev.tsv", "in")
    ]


def _read_tsv(path: Path, domain: str) -> list[Row]:
    """Rows of a CoLA file: no header, no quoting; source, label, the author's mark, sentence."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise UserError(str(path), rule="cannot be read", fix="put CoLA's file there") from error
    if lines == [b""]:
        raise UserError(f"{path}:1", rule="the file is empty", fix="put CoLA's file there")
    return [_parse_line(f"{path}:{number}", line, domain) for number, line in enumerate(lines, start=1)]


def _parse_line(where: str, line: bytes, domain: str) -> Row:
    try:
        columns = line.decode("utf-8").removesuffix("\r").split("\t")
    except UnicodeDecodeError as error:
        raise UserError(where, rule=f"must be UTF-8, byte {error.start + 1} is not", fix="save it as UTF-8") from error
    if len(columns) != 4:
        raise UserError(
            where, got=f"{len(columns)} columns", rule="must have 4, parted by tabs: source, label, mark, sentence",
            fix="take CoLA's file as it is",
        )  # fmt: skip
    source, label, _, sentence = columns
    if label not in ("0", "1"):
        raise UserError(where, got=label, rule="the label (column 2) must be 0 or 1", fix="put the line right")
    if not sentence.strip():
        raise UserError(where, got=sentence, rule="the sentence (column 4) is empty", fix="put the line right")
    return Row(sentence, int(label), source, domain)
