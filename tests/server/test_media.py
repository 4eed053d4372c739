"""Media and histograms, told from the JSON that the client logs."""

from typing import Any

import pytest

from cola_sweep.server import media

MEDIA: list[tuple[Any, list[tuple[str, str, str]]]] = [
    ({"_type": "html-file", "path": "a.html"}, [("html", "a.html", "")]),
    (
        {"_type": "images/separated", "filenames": ["a.png", "b.png"], "captions": ["x"]},
        [("image", "a.png", "x"), ("image", "b.png", "")],
    ),
    ({"_type": "audio", "audio": [{"path": "a.wav", "caption": "c"}]}, [("audio", "a.wav", "c")]),
    ({"_type": "videos", "videos": [{"path": "a.mp4"}], "captions": False}, [("video", "a.mp4", "")]),
    ({"_type": "molecule-file", "path": "a.pdb"}, [("file", "a.pdb", "")]),
    ({"_type": "images/separated", "filenames": None}, []),
    ({"_type": "image-file", "path": 3}, []),
    ({"_type": ["image-file"]}, []),
    ("image-file", []),
]


@pytest.mark.parametrize(("value", "found"), MEDIA)
def test_media_are_told_from_their_json(value: Any, found: list[tuple[str, str, str]]) -> None:
    assert [(item.kind, item.path, item.caption) for item in media.shown(value)] == found


def test_a_histogram_has_bars() -> None:
    value = {"_type": "histogram", "bins": [0, 1, 2], "values": [5, 7]}
    assert media.bars(value) == [(0, 1, 5), (1, 2, 7)]
    assert media.bars({"_type": "histogram", "bins": ["<b>", 1], "values": [1]}) == []
    assert media.bars({"_type": "histogram"}) == media.bars(3) == []
