"""What W&B's own schema does not allow in a sweep file, though the search here could do with it. Pure.

A file that breaks it is warned of on wandb.ai, or searched otherwise there than it reads; so that it means the same on
both, it is warned of here too. What could mean nothing anywhere is refused where it is read.

>>> [str(f) for f in unportable({"kind": "Sweep", "parameters": {"lr": {"value": 1.0}}})]
["kind: got 'Sweep'; W&B takes sweep here; write kind: sweep"]

Imports parameters.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cola_sweep.parameters import EXPONENT, Finding, near

_TEXTS = frozenset({"apiVersion", "kind", "name", "description", "program", "job", "image_uri", "entity", "project"})
# `settings` is no key of the schema, but `wandb sweep --settings` writes it.
_KEYS = _TEXTS | {
    "method", "metric", "metrics", "parameters", "early_terminate", "run_cap", "command", "controller", "scheduler",
    "settings",
}  # fmt: skip
_METRIC_KEYS = frozenset({"name", "goal", "target", "impute", "impute_while_running"})
_HYPERBAND_KEYS = frozenset({"type", "min_iter", "max_iter", "s", "eta", "strict"})
_IMPUTED = ("latest", "best", "worst")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def unportable(data: Mapping[str, Any]) -> Iterator[Finding]:
    """What is legal here alone, or read by nobody."""
    for key, value in data.items():
        if key not in _KEYS:
            yield _warning(str(key), value, "no such key of a sweep", near(key, _KEYS, "correct or remove it"))
        elif key in _TEXTS and value is not None and not isinstance(value, str):
            yield _warning(key, value, "W&B takes a text here", "put it in quotes")
    if data.get("kind") not in (None, "sweep"):
        yield _warning("kind", data["kind"], "W&B takes sweep here", "write kind: sweep")
    several = data.get("metrics")
    yield from _metric(data.get("metric"), "metric")
    for i, metric in enumerate(several if isinstance(several, list) else ()):
        yield from _metric(metric, f"metrics[{i}]")
    yield from _hyperband(data.get("early_terminate"))
    yield from _search_elsewhere(data)
    yield from _tree(data.get("parameters"), "parameters", data.get("method") == "grid")


def _warning(where: str, got: object, rule: str, fix: str) -> Finding:
    return Finding("warning", where, got, rule, fix)


def _unknown(part: Mapping[str, Any], where: str, known: frozenset[str]) -> Iterator[Finding]:
    for key, value in part.items():
        if key not in known:
            name = where.partition("[")[0]
            yield _warning(f"{where}.{key}", value, f"no such key of {name}", f"use one of {', '.join(sorted(known))}")


def _metric(metric: Any, where: str) -> Iterator[Finding]:
    if not isinstance(metric, Mapping):
        return
    yield from _unknown(metric, where, _METRIC_KEYS)
    for key, words in (("impute", _IMPUTED), ("impute_while_running", (*_IMPUTED, "false"))):
        if key in metric and metric[key] not in words:
            fix = near(metric[key], words, f"remove {key}")
            yield _warning(f"{where}.{key}", metric[key], f"W&B takes one of {', '.join(words)} here", fix)


def _hyperband(entry: Any) -> Iterator[Finding]:
    if not isinstance(entry, Mapping):
        return
    yield from _unknown(entry, "early_terminate", _HYPERBAND_KEYS)
    if {"min_iter", "max_iter"} <= entry.keys():
        rule, fix = "beside max_iter it is not read", "remove one of the two"
        yield _warning("early_terminate.min_iter", entry["min_iter"], rule, fix)


def _search_elsewhere(data: Mapping[str, Any]) -> Iterator[Finding]:
    controller, scheduler = data.get("controller"), data.get("scheduler")
    if isinstance(controller, Mapping) and not controller.get("type"):
        yield _warning("controller", dict(controller), "W&B wants its type", "write {type: local}, or remove it")
    scheduler = scheduler if isinstance(scheduler, Mapping) else {}
    for key in ("optimizer", "search_space"):
        if scheduler.get(key) and not scheduler.get("source"):
            rule, fix = "is a function of a file that is not named", "add source, the file"
            yield _warning(f"scheduler.{key}", scheduler[key], rule, fix)
    if data.get("parameters") is None and not scheduler.get("search_space"):
        rule, fix = "nothing says what to try", "add lr: {values: [...]}, or a search_space to scheduler"
        yield _warning("parameters", None, rule, fix)


def _tree(tree: Any, where: str, grid: bool) -> Iterator[Finding]:
    for name, entry in tree.items() if isinstance(tree, Mapping) else ():
        here = f"{where}.{name}"
        if not _NAME.fullmatch(str(name)):
            rule = "W&B takes names of letters, digits, _, . and -, that begin with a letter or _"
            yield _warning(here, name, rule, "rename it")
        if not isinstance(entry, Mapping):
            continue
        nested = entry.get("parameters")
        if isinstance(nested, Mapping) and nested:
            for key, value in entry.items():
                if key != "parameters":
                    yield _warning(f"{here}.{key}", value, "beside parameters it is not read", "remove one of the two")
            yield from _tree(nested, here, grid)
        else:
            yield from _parameter(entry, here, grid)


def _parameter(entry: Mapping[str, Any], where: str, grid: bool) -> Iterator[Finding]:
    named = entry.get("distribution")
    if grid and named in ("q_log_uniform", "q_log_uniform_values"):
        yield _warning(f"{where}.distribution", named, "W&B's grid does not take it", "list values, or use q_uniform")
    if named is None and not entry.keys() & {"value", "values", "min", "max"} and entry.keys() & {"mu", "sigma"}:
        yield _warning(where, dict(entry), "W&B knows a normal by its name alone", "add distribution: normal")
    if named == "categorical" and "probabilities" in entry:
        rule, fix = "W&B takes no probabilities beside it", "write distribution: categorical_w_probabilities"
        yield _warning(f"{where}.distribution", named, rule, fix)
    low = entry.get("min")
    likely_values = isinstance(low, int | float) and 0 < low < 1  # of which more is said elsewhere
    if isinstance(named, str) and named in EXPONENT and not likely_values:
        rule = "W&B warns of it, for its bounds are exponents of e"
        fix = f"write distribution: {named}_values, and bounds that are values"
        yield _warning(f"{where}.distribution", named, rule, fix)
