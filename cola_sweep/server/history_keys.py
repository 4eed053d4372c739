"""What a run's history holds of each key, folded line by line: the answer to `historyKeys`. Pure.

>>> keys = fold({}, [{"loss": 1.0, "_step": 0}, {"loss": 0.5, "_step": 1}])
>>> keys["loss"]
{'types': {'number': 2}, 'monotonic': False, 'last': 0.5}
>>> keys["_step"]["monotonic"]
True
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Keys = dict[str, dict[str, Any]]


def fold(keys: Keys, rows: Iterable[Mapping[str, Any]]) -> Keys:
    """Add `rows`, in their order, to `keys`, which is changed and returned.

    Of each key: `types` counts values by type, `monotonic` says that numbers never fell, and `last`
    is the newest number, None where there was none.
    """
    for row in rows:
        for key, value in flat(row):
            kind = type_of(value)
            entry = keys.get(key)
            if entry is None:
                entry = keys[key] = {"types": {}, "monotonic": True, "last": None}
            entry["types"][kind] = entry["types"].get(kind, 0) + 1
            if kind != "number":
                entry["monotonic"] = False
            elif math.isfinite(value):
                entry["monotonic"] = entry["monotonic"] and (entry["last"] is None or value >= entry["last"])
                entry["last"] = value
    return keys


def flat(row: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The (dotted key, value) pairs of a logged row; media objects, known by `_type`, stay whole."""
    for key, value in row.items():
        if isinstance(value, dict) and "_type" not in value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def type_of(value: Any) -> str:
    """A value's type as W&B names it: number, string, boolean, nil, list, or a media object's own."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, dict):
        return str(value.get("_type", "map"))
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "nil"


def graphql(keys: Keys, last_step: int) -> dict[str, Any]:
    """The `historyKeys` object that the client parses."""
    described = {
        key: {
            "typeCounts": [{"type": kind, "count": count} for kind, count in entry["types"].items()],
            "monotonic": entry["monotonic"],
            "previousValue": entry["last"],
        }
        for key, entry in keys.items()
    }
    return {"sets": [], "keys": described, "lastStep": last_step}
