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
    if found != kind or not (number.isdecimal() and int(number) <= _LARGEST):
        raise Refused(f"{text!r} is not the id of a {kind}")
    return int(number)
