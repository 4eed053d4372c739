"""What a logged value shows: pictures, sounds, pages, drawings, tables. Pure: from the value's JSON alone.

>>> shown({"_type": "images/separated", "filenames": ["a.png", "b.png"], "captions": ["one", "two"]})[1]
Item(kind='image', path='b.png', caption='two')
>>> shown(0.5)
[]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["image", "audio", "video", "html", "file"]
HISTOGRAM = "histogram"
# Media of one file, by type; what a browser cannot show by itself is a file to download.
_SINGLE: Mapping[str, Kind] = {
    "image-file": "image",
    "audio-file": "audio",
    "video-file": "video",
    "html-file": "html",
    "plotly-file": "file",
    "bokeh-file": "file",
    "molecule-file": "file",
    "object3D-file": "file",
}
# Media of several: the member that lists them, as names of files or as objects with a path.
_SEVERAL: Mapping[str, tuple[Kind, str]] = {
    "images/separated": ("image", "filenames"),
    "audio": ("audio", "audio"),
    "videos": ("video", "videos"),
    "html": ("html", "html"),
    "object3D": ("file", "filenames"),
    "molecule": ("file", "filenames"),
}
TABLES = frozenset({"table-file", "incremental-table-file", "partitioned-table", "joined-table"})
TYPES = frozenset(_SINGLE) | frozenset(_SEVERAL) | {HISTOGRAM}


@dataclass(frozen=True)
class Item:
    """One file to be shown.

    Attributes:
        path: among the run's files.
    """

    kind: Kind
    path: str
    caption: str


def type_of(value: Any) -> str:
    """The type that a logged value says it has, or an empty text."""
    kind = value.get("_type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


def shown(value: Any) -> list[Item]:
    """The files of a logged value, in their order; none of what is not media."""
    name = type_of(value)
    if name in _SINGLE:
        return _items(_SINGLE[name], [value])
    if name in _SEVERAL:
        kind, member = _SEVERAL[name]
        parts, captions = value.get(member), value.get("captions")
        return _items(kind, parts if isinstance(parts, list) else [], captions if isinstance(captions, list) else [])
    return []


def bars(value: Any) -> list[tuple[float, float, float]]:
    """(from, to, count) of each bar of a logged histogram; none of what is not one."""
    if type_of(value) != HISTOGRAM:
        return []
    edges, counts = value.get("bins"), value.get("values")
    if not isinstance(edges, list) or not isinstance(counts, list):
        return []
    found = list(zip(edges, edges[1:], counts, strict=False))
    return found if all(isinstance(part, int | float) for bar in found for part in bar) else []


def _items(kind: Kind, parts: list[Any], captions: list[Any] | None = None) -> list[Item]:
    found = []
    for i, part in enumerate(parts):
        path = part.get("path") if isinstance(part, dict) else part
        caption = captions[i] if captions and i < len(captions) else isinstance(part, dict) and part.get("caption")
        if isinstance(path, str) and path:
            found.append(Item(kind, path, str(caption) if caption else ""))
    return found
