"""JSON that clients send as texts, and objects among it in the form in which they are kept. Pure.

>>> read("the summary", '{"loss": 0.5}')
({'loss': 0.5}, '{"loss": 0.5}')
>>> read("the summary", '{"loss": 1%s}' % ("0" * 400))  # beyond any float: whoever computes with it would fail
({'loss': inf}, '{"loss": Infinity}')
"""

import json
import math
import re
from typing import Any

_LONG = re.compile(r"\d{309}")  # the largest float has so many digits


def read(what: str, text: str) -> tuple[dict[str, Any], str]:
    """The object that a text holds, and the text to keep of it, which is the same but for what nobody could read.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    text = kept(text)
    try:
        if _LONG.search(text):
            text = json.dumps(json.loads(text, parse_int=_whole))
        value = parsed(text)
    except ValueError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")
    return value, text


def parsed(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested more deeply than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def kept(text: str) -> str:
    """A text as the database takes it: a lone surrogate is no UTF-8."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _whole(digits: str) -> int | float:
    """A whole number; an infinite one where no float is as large, which JSON's own 1e400 is too."""
    return int(digits) if math.isfinite(float(digits)) else float(digits)
