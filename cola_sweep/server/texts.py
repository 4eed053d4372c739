"""Texts that clients send: JSON, objects among it as they are kept, and functions whose answers are remembered. Pure.

>>> read("the summary", '{"loss": 0.5}')
({'loss': 0.5}, '{"loss": 0.5}')
>>> read("the summary", '{"loss": 1%s}' % ("0" * 400))  # beyond any float: whoever computes with it would fail
({'loss': inf}, '{"loss": Infinity}')
"""

import json
import math
import re
from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import Any, TypeVar

# Python reads some hundreds, less the deeper the call: what a request could leave must not stop a list of runs.
_DEEPEST = 100
_LONG = re.compile(r"\d{309}")  # the largest float has so many digits


T = TypeVar("T")


def remembered(most: int, longest: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """`lru_cache` of a function of a text, but for those of more letters than `longest`: they would fill the memory.

    >>> remembered(2, longest=3)(str.upper)("abcd")
    'ABCD'
    """

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        answers = lru_cache(maxsize=most)(function)

        @wraps(function)
        def answer(text: str) -> T:
            return answers(text) if len(text) <= longest else function(text)

        return answer

    return decorate


def read(what: str, text: str) -> tuple[dict[str, Any], str]:
    """The object that a text holds, and the text to keep of it, which is the same but for what nobody could read.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    text = kept(text)
    try:
        if _LONG.search(text):
            text = json.dumps(parsed(text, parse_int=_whole))
        value = parsed(text)
    except ValueError as error:
        raise ValueError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not a JSON object")
    return value, text


def parsed(text: str | bytes, parse_int: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, or nested so deeply that it could not be read again wherever it is needed.
    """
    opened = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    try:
        value = json.loads(text, parse_int=parse_int)
        deep = opened > _DEEPEST and _is_deep(value)
    except RecursionError:
        deep = True
    if deep:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        level = [item for each in level for item in _items(each)]
    return any(isinstance(each, dict | list) for each in level)


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def kept(text: str) -> str:
    """A text as the database takes it: a lone surrogate is no UTF-8."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _whole(digits: str) -> int | float:
    """A whole number; an infinite one where no float is as large, which JSON's own 1e400 is too."""
    return int(digits) if math.isfinite(float(digits)) else float(digits)
