"""The keys of numbers in the order in which people look for them, in groups. Pure.

>>> groups(["epoch", "train/loss", "valid/acc", "valid/mcc", "cost/seconds"], "valid/mcc")
[('valid', ['valid/mcc', 'valid/acc']), ('train', ['train/loss']), ('cost', ['cost/seconds']), ('', ['epoch'])]
"""

import re
from collections.abc import Collection

from cola_sweep.server.curve_axes import COMMON

OWN = "valid/mcc"  # what a trial of this project is after, where no sweep says more
_PREFIX = re.compile(r"([^/.]+)[/.]")
# How people call what was held out, and what was learnt from; in the order of these.
_HELD_OUT = ("valid", "val", "validation", "dev", "eval", "test")
_LEARNT = ("train", "training")


def groups(keys: Collection[str], metric: str = OWN) -> list[tuple[str, list[str]]]:
    """Keys by what stands before their first slash or dot, a group and its keys in the order of `place`."""
    found: dict[str, list[str]] = {}
    for key in sorted(keys, key=lambda key: place(key, metric)):
        found.setdefault(_prefix(key), []).append(key)
    return list(found.items())


def place(key: str, metric: str = OWN) -> tuple[int, str, bool, str]:
    """What a key is sorted by: the group of the metric, what was held out, training, others; mere counts at the end.

    The metric, `valid/mcc` or an object's member `valid/mcc.max`, goes first in its group.
    """
    prefix = _prefix(key)
    if key in COMMON:
        rank = len(_HELD_OUT) + 4
    elif prefix == _prefix(metric):
        rank = 0
    elif prefix in _HELD_OUT:
        rank = 1 + _HELD_OUT.index(prefix)
    else:
        rank = len(_HELD_OUT) + (1 if prefix in _LEARNT else 2 if not prefix else 3)
    return rank, prefix, not (key == metric or key.startswith(f"{metric}.")), key


def _prefix(key: str) -> str:
    found = _PREFIX.match(key)
    return found[1] if found else ""
