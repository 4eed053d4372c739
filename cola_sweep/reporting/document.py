"""A report as values: what is said, in order, before it becomes HTML, Markdown or anything else.

All text is plain: whoever renders it escapes it. Imports the type of a figure only.

    Section("Cost", (Text("Of 12 runs."), Table("Cost", (Column("what", "word"), Column("sum")), [("time", "3 s")])))
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cola_sweep.figures import Figure


LONG_WORD = 16


@dataclass(frozen=True)
class Link:
    """A text that leads to an address; other than http(s) and paths beside the report stay text."""

    text: str
    href: str

    @property
    def safe(self) -> bool:
        return bool(re.match(r"https?://|\.\./[A-Za-z0-9_-]+/index\.html$", self.href))


@dataclass(frozen=True)
class Flag:
    """A word of warning in a cell."""

    text: str


Cell = str | Link | Flag


@dataclass(frozen=True)
class Column:
    """A head; numbers stand right, words left; settings and prose are broken into lines."""

    title: str
    kind: Literal["number", "word", "setting", "prose"] = "number"


def setting_kind(values: Iterable[Any]) -> Literal["number", "word", "setting"]:
    """How a column of settings stands: numbers right, short words left, long ones broken into lines."""
    words = [value for value in values if isinstance(value, str)]
    if not words:
        return "number"
    return "setting" if max(map(len, words)) > LONG_WORD else "word"


@dataclass(frozen=True)
class Table:
    """Rows of one cell per column; `note` is what else a reader must know, `first` marks the first row as the best."""

    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Cell, ...]]
    note: str = ""
    first: bool = False

    @property
    def header(self) -> int:
        """The column that names the row: the first that is not a number."""
        return next((place for place, column in enumerate(self.columns) if column.kind != "number"), 0)


@dataclass(frozen=True)
class Text:
    """A paragraph, with a headline in bold before it if there is one."""

    text: str
    headline: str = ""


@dataclass(frozen=True)
class Figures:
    """Figures side by side where the page is wide enough."""

    figures: tuple["Figure", ...]


Block = Text | Table | Figures


@dataclass(frozen=True)
class Section:
    """A part of the report; `slug` is its address on the page."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def slug(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")


@dataclass(frozen=True)
class Answer:
    """One of the few things that a reader with ten seconds came for."""

    question: str
    answer: str
    details: tuple[str, ...] = ()
    facts: tuple[tuple[str, Cell], ...] = ()


@dataclass(frozen=True)
class Report:
    """The whole of it."""

    kind: str
    title: str
    where: Link
    summary: str
    warnings: tuple[str, ...]
    answers: tuple[Answer, ...]
    footnote: str
    sections: tuple[Section, ...]
    head: str = ""  # of the browser's window
