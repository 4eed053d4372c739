"""Values by dotted key in JSON objects whose own keys may hold dots: `a.b.c`. Pure.

>>> lookup({"a.b": {"c": 1}, "a": {"b": {"c": 2}}}, "a.b.c")
1
"""

from typing import Any, Final


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def lookup(value: Any, path: str) -> Any:
    """The value at `path`, or `MISSING`. The longest key that is there as it stands goes first."""
    if not isinstance(value, dict):
        return MISSING
    if path in value:
        return value[path]
    dot = path.rfind(".")
    while dot > 0:
        if path[:dot] in value:
            found = lookup(value[path[:dot]], path[dot + 1 :])
            if found is not MISSING:
                return found
        dot = path.rfind(".", 0, dot)
    return MISSING
