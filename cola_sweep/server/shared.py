"""Runs that several processes write at once, `wandb.init(mode="shared")`: who writes, and how their words are joined.

Each process numbers its own lines from 0 and sends the summary and config that it knows of; the server
makes one run of them. Pure. `store/shared_lines.py` keeps which line of the run each line became.
"""

from collections.abc import Mapping
from typing import Any


def writer(headers: Mapping[str, str]) -> str | None:
    """The id of the process that sent a request in shared mode; None in any other mode."""
    if headers.get("x-wandb-use-async-filestream") != "true":
        return None
    return headers.get("x-wandb-async-client-id") or headers.get("x-wandb-client-id")


def merged_config(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Both configs, the newer value of each key; so too within the client's own part, and in that by process.

    >>> merged_config({"lr": {"value": 1}, "seed": {"value": 1}}, {"lr": {"value": 2}})
    {'lr': {'value': 2}, 'seed': {'value': 1}}
    >>> merged_config({"_wandb": {"value": {"e": {"a": 1}}}}, {"_wandb": {"value": {"e": {"b": 2}}}})
    {'_wandb': {'value': {'e': {'a': 1, 'b': 2}}}}
    """
    merged = {**old, **new}
    before, after = _own(old), _own(new)
    if before and after:
        own = {**before, **after}
        if isinstance(before.get("e"), dict) and isinstance(after.get("e"), dict):
            own["e"] = {**before["e"], **after["e"]}
        merged["_wandb"] = {"value": own}
    return merged


def merged_summary(old: Mapping[str, Any], new: Mapping[str, Any], last_step: int | None) -> dict[str, Any]:
    """Both summaries, the newer value of each key; `_step` is the run's, not the one that a process counted."""
    merged = {**old, **new}
    return merged if last_step is None else {**merged, "_step": last_step}


def _own(config: Mapping[str, Any]) -> dict[str, Any]:
    part = config.get("_wandb")
    value = part.get("value") if isinstance(part, dict) else None
    return value if isinstance(value, dict) else {}
