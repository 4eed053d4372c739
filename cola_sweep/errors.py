"""What a user did wrong, and the one way it is shown.

Imports nothing but the standard library, so that every room may raise it.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, NoReturn


class UserError(Exception):
    """Something the user can put right; shown as one line, exit code 2, never a traceback.

    Args:
        where: key path, file (with line, if known), flag or address.
        got: the value found there, as the user wrote it.
        rule: what must hold.
        fix: what to do about it.

    Example:
        >>> print(UserError("sweeps/lr.yaml: parameters.lr", got="fast", rule="must be a number", fix="write 5e-5"))
        sweeps/lr.yaml: parameters.lr: got 'fast'; must be a number; write 5e-5
    """

    def __init__(self, where: str, *, got: object = None, rule: str, fix: str) -> None:
        parts = [rule, fix] if got is None else [f"got {got!r}", rule, fix]
        super().__init__(": ".join((_line(where), "; ".join(map(_line, parts)))))
        self.where, self.got, self.rule, self.fix = where, got, rule, fix


def _line(text: str) -> str:
    return " ".join(text.split())


def run_main(main: Callable[[], int]) -> int:
    """Call `main` and return its exit code; a `UserError` becomes one line on stderr and 2, Ctrl-C one and 130."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


class ArgumentParser(argparse.ArgumentParser):
    """argparse, but a wrong flag is one line as well, and half a flag is a wrong one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; {self.prog} --help lists what there is\n")
