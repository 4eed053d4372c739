"""What the curves of a run are drawn against, as its `define_metric` calls say. Pure."""

import fnmatch
from collections.abc import Collection, Mapping
from typing import Any

from cola_sweep.server.curves import CLOCKS

# Counts that training libraries log with everything else.
COMMON = ("epoch", "trainer/global_step", "global_step", "train/global_step")
MOST = 6  # axes of one run, each of which every point carries


def axes(config: Mapping[str, Any], keys: Collection[str]) -> tuple[str, ...]:
    """The keys that a run's curves may be drawn against beside the step: its clocks, its step metrics, epochs.

    Args:
        config: as it was sent.
        keys: the numbers that were logged.
    """
    named = [axis for _, axis in _rules(config)]
    wanted = dict.fromkeys(key for key in (*named, *COMMON) if key in keys)
    return (*CLOCKS, *wanted)[:MOST]


def own_axes(config: Mapping[str, Any], keys: Collection[str]) -> dict[str, str]:
    """The step metric of each key that has one."""
    rules, known = _rules(config), axes(config, keys)
    found = {}
    for key in keys:
        # A name says more than a pattern, wherever it stands.
        fitting = [axis for name, axis in rules if name == key]
        fitting += [axis for name, axis in rules if fnmatch.fnmatchcase(key, name)]
        if fitting and fitting[0] in known and fitting[0] != key:
            found[key] = fitting[0]
    return found


def _rules(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(name or pattern, step metric), from what the client keeps in its own part of the config.

    That is a list of its protobuf message MetricRecord, whose fields are written by number: 1 name, 2 pattern, 4 step
    metric, 5 place of the step metric in the list, from 1.
    """
    own = config.get("_wandb")
    own = own.get("value") if isinstance(own, dict) else None
    metrics = own.get("m") if isinstance(own, dict) else None
    metrics = [metric for metric in metrics if isinstance(metric, dict)] if isinstance(metrics, list) else []
    found = []
    for metric in metrics:
        axis, place = metric.get("4"), metric.get("5")
        if axis is None and isinstance(place, int) and 0 < place <= len(metrics):
            axis = metrics[place - 1].get("1")
        name = metric.get("1") or metric.get("2")
        if isinstance(name, str) and isinstance(axis, str):
            found.append((name, axis))
    return found
