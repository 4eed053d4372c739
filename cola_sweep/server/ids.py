"""Opaque GraphQL ids: base64 of "Kind:number", the form the client turns into hex and back.

>>> encode("Run", 7)
'UnVuOjc='
>>> decode("UnVuOjc=", "Run")
7
"""

import binascii
from base64 import b64decode, b64encode

from cola_sweep.server.graphql import Refused

_LARGEST = 2**63 - 1  # of an SQLite row id
_DIGITS = len(str(_LARGEST))


def encode(kind: str, number: int) -> str:
    """The id of row `number` of the table of `kind`."""
    return b64encode(f"{kind}:{number}".encode()).decode()


def decode(text: object, kind: str) -> int:
    """The row number in an id that `encode` made.

    Raises:
        Refused: not such an id, or one of another kind.
    """
    try:
        found, _, number = b64decode(str(text), validate=True).decode("ascii").partition(":")
    except (binascii.Error, ValueError):
        found, number = "", ""
    numbered = row(number) if found == kind else None
    if numbered is None:
        raise Refused(f"{text!r:.100} is not the id of a {kind}")
    return numbered


def row(text: str) -> int | None:
    """The number in a text, if it can be that of a row or of a line."""
    # Python reads no number of very many digits.
    number = int(text) if text.isdecimal() and len(text) <= _DIGITS else _LARGEST + 1
    return number if number <= _LARGEST else None
