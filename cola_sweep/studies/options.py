"""How a sweep is searched by Optuna, as its file says it: the constant `_search` among its parameters.

    parameters:
      _search:
        value: {sampler: tpe, seed: 1, pruner: {type: median, warmup: 2}, recipes: true}

W&B's schema allows no further keys of a sweep or its `scheduler`, but any value of a parameter, and a trial ignores
names that begin with `_`; so the file means the same everywhere. Pure; imports branches, domains, errors, known,
parameters and space.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cola_sweep import domains
from cola_sweep.branches import Branch
from cola_sweep.errors import UserError
from cola_sweep.parameters import BOUNDED, Parameter, bounds
from cola_sweep.space import STUDY, Metric, SweepSpec
from cola_sweep.studies import known

NAME = "_search"
SAMPLERS = ("tpe", "gp", "cmaes", "random")
# By name: the numbers each takes, with what they are where the file says nothing; None: the sweep's epochs.
PRUNERS: dict[str, dict[str, float | None]] = {
    "none": {},
    "hyperband": {"min_epochs": 1, "max_epochs": None, "eta": 3},
    "median": {"startup": 5, "warmup": 1},
    "wilcoxon": {"p": 0.1, "startup": 2},
}
WHERE = f"parameters.{NAME}.value"
_SWEEP = re.compile(r"[^/\s]+(/[^/\s]+/[^/\s]+)?")


@dataclass(frozen=True)
class Pruner:
    """Which trials are stopped early, counted in epochs that are done; the numbers are those of `PRUNERS`."""

    type: str = "none"
    numbers: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Terminator:
    """Ends a sweep after `patience` finished trials in a row without a better one, once `trials` have finished."""

    patience: int
    trials: int = 1


@dataclass(frozen=True)
class Options:
    """How a sweep is searched.

    Attributes:
        space: what is searched: the sweep's parameters without `_search`.
        branches: the plain spaces of which it is made.
        metrics: what for; several make a Pareto front.
        sampler: one of `SAMPLERS`.
        startup: random trials before the sampler is asked.
        seed: of the search; the same trials and seed give the same answer, after a restart too.
        first: points to begin with, each by the choices of its branch and its members; what they leave out is for
            the sampler.
        earlier: paths of sweeps whose finished runs the study knows from the start.
        run_cap: of the sweep.
    """

    space: tuple[Parameter, ...]
    branches: tuple[Branch, ...]
    metrics: tuple[Metric, ...]
    sampler: str = "tpe"
    startup: int = 10
    seed: int = 1
    pruner: Pruner = Pruner()
    terminator: Terminator | None = None
    first: tuple[Mapping[str, Any], ...] = ()
    earlier: tuple[str, ...] = ()
    run_cap: int | None = None


def read(spec: SweepSpec) -> Options:
    """The options of a sweep; one without `_search` gets all defaults.

    Raises:
        UserError: an option is unknown, has a wrong value, or does not suit the space or the metrics.
    """
    space = tuple(parameter for parameter in spec.parameters if parameter.name != NAME)
    given = _given(spec)
    branches = tuple(_without_options(branch) for branch in spec.branches)
    of_the_sweep = {"space", "branches", "metrics", "run_cap"}
    allowed = {option.name for option in dataclasses.fields(Options)} - of_the_sweep | {"recipes"}
    _known(given, allowed, WHERE)
    metrics = spec.metrics or ((spec.metric,) if spec.metric else ())
    if not metrics:
        raise UserError("metric", rule="a search needs what it improves", fix="add metric: {name: valid/mcc_best}")
    sampler = given.get("sampler", "tpe")
    if sampler not in SAMPLERS:
        raise UserError(
            f"{WHERE}.sampler", got=sampler, rule=f"must be one of {', '.join(SAMPLERS)}", fix="write sampler: tpe"
        )
    first = _first(given.get("first", []), branches)
    options = Options(
        space=space,
        branches=branches,
        metrics=metrics,
        sampler=sampler,
        startup=_count(given, "startup", 10, WHERE),
        seed=_count(given, "seed", 1, WHERE, least=0),
        pruner=_pruner(given.get("pruner", "none"), branches),
        terminator=_terminator(given.get("terminator")),
        first=(*first, *known.recipes(branches)) if _flag(given, "recipes") else first,
        earlier=_texts(given, "earlier"),
        run_cap=spec.run_cap,
    )
    _suits(options)
    return options


def seed_alone(spec: SweepSpec) -> int | None:
    """The seed in the options of a sweep that the server searches; None without options.

    Raises:
        UserError: there are others, or it is no seed.
    """
    if not any(parameter.name == NAME for parameter in spec.parameters):
        return None
    given = _given(spec)
    for key in given:
        if key != "seed":
            fix = f"remove it, or let a scheduler search: the file sweeps/optuna.yaml shows how ({STUDY})"
            raise UserError(f"{WHERE}.{key}", got=given[key], rule="a search by the server has a seed alone", fix=fix)
    return _count(given, "seed", 1, WHERE, least=0)


def longest(branches: tuple[Branch, ...]) -> int | None:
    """The most epochs that a trial of the space may have; None if the file does not say, or no number.

    In a value that ties settings together they count too.
    """
    found = []
    for member in {name: member for branch in branches for name, member in branch.members.items()}.values():
        values = [each for value in member.values for each in _epochs_in(value, member.path[-1])]
        if member.path[-1] == "epochs" and member.distribution in BOUNDED:
            values.append(bounds(member)[1])
        for value in values:
            with contextlib.suppress(TypeError, ValueError, OverflowError):  # which the rules of a trial name
                found.append(int(float(value)))
    return max(found, default=None)


def _epochs_in(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key, member in value.items():
            yield from _epochs_in(member, key)
    elif name == "epochs":
        yield value


def _given(spec: SweepSpec) -> Mapping[str, Any]:
    for parameter in spec.parameters:
        if parameter.name == NAME:
            if parameter.distribution != "constant":
                rule = "is one mapping of options, and not searched itself"
                raise UserError(f"parameters.{NAME}", got=parameter.distribution, rule=rule, fix="write {value: {...}}")
            return _mapping(parameter.values[0], WHERE)
    return {}


def _suits(options: Options) -> None:
    many = len(options.metrics) > 1
    if many and options.pruner.type != "none":
        rule = "trials of several metrics are not stopped early: there is no best one to be behind"
        raise UserError(f"{WHERE}.pruner", got=options.pruner.type, rule=rule, fix="remove it")
    if len(options.branches) > 1 and options.sampler in ("gp", "cmaes"):
        name = next(iter(options.branches[0].choices))
        rule = f"{options.sampler} needs the same ranges in every trial, and the values of {name} bring their own"
        raise UserError(f"{WHERE}.sampler", got=options.sampler, rule=rule, fix="write sampler: tpe")
    if options.sampler != "cmaes":
        return
    if many:
        raise UserError(f"{WHERE}.sampler", got="cmaes", rule="improves one metric", fix="write sampler: tpe")
    searched = [parameter for parameter in options.branches[0].space if domains.size(parameter) != 1]
    for parameter in searched:
        if parameter.values:
            rule = f"cmaes searches numbers between bounds, and {parameter.name} is one of several values"
            raise UserError(
                f"{WHERE}.sampler", got="cmaes", rule=rule, fix="give it min and max, or write sampler: tpe"
            )
    if len(searched) < 2:
        rule = "cmaes needs two parameters at least"
        raise UserError(f"{WHERE}.sampler", got="cmaes", rule=rule, fix="write sampler: tpe")


def _without_options(branch: Branch) -> Branch:
    return Branch(branch.choices, {name: member for name, member in branch.members.items() if name != NAME})


def _pruner(entry: Any, branches: tuple[Branch, ...]) -> Pruner:
    where = f"{WHERE}.pruner"
    given = {"type": entry} if isinstance(entry, str) else _mapping(entry, where)
    kind = given.get("type")
    if kind not in PRUNERS:
        raise UserError(
            f"{where}.type", got=kind, rule=f"must be one of {', '.join(PRUNERS)}", fix="write {type: median}"
        )
    _known(given, {"type", *PRUNERS[kind]}, where)
    numbers: dict[str, float | None] = {}
    for name, default in PRUNERS[kind].items():
        if name == "p":
            numbers[name] = _share(given.get(name, default), f"{where}.{name}")
        elif default is None and name not in given:
            numbers[name] = _epochs(branches, f"{where}.{name}")
        else:
            least = 2 if name == "eta" else 0 if name in ("startup", "warmup") else 1
            numbers[name] = _count(given, name, default, where, least=least)
    if kind == "hyperband" and numbers["min_epochs"] >= numbers["max_epochs"]:  # type: ignore[operator]
        rule = f"must be below the epochs of a trial, {numbers['max_epochs']}"
        raise UserError(f"{where}.min_epochs", got=numbers["min_epochs"], rule=rule, fix="let trials train longer")
    return Pruner(kind, numbers)


def _epochs(branches: tuple[Branch, ...], where: str) -> int:
    found = longest(branches)
    if found is None:
        raise UserError(where, rule="needs the epochs of a trial", fix="add epochs: {value: 5} to parameters")
    return found


def _terminator(entry: Any) -> Terminator | None:
    if entry is None:
        return None
    where = f"{WHERE}.terminator"
    given = _mapping(entry, where)
    _known(given, {"patience", "trials"}, where)
    return Terminator(_count(given, "patience", None, where), _count(given, "trials", 1, where))


def _first(entries: Any, branches: tuple[Branch, ...]) -> tuple[Mapping[str, Any], ...]:
    where = f"{WHERE}.first"
    if not isinstance(entries, list):
        raise UserError(where, got=entries, rule="must be a list of points", fix="write [{lr: 2.0e-5}]")
    allowed = set(known.settings(branches))
    for i, entry in enumerate(entries):
        _known(_mapping(entry, f"{where}[{i}]"), allowed, f"{where}[{i}]")
    return tuple(known.point(entry, branches, f"{where}[{i}]") for i, entry in enumerate(entries))


def _mapping(entry: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping):
        raise UserError(where, got=entry, rule="must be a mapping", fix="write {name: value}")
    return entry


def _known(given: Mapping[str, Any], allowed: set[str], where: str) -> None:
    for key in given:
        if key not in allowed:
            raise UserError(f"{where}.{key}", got=given[key], rule="no such option", fix=f"use {_listed(allowed)}")


def _listed(names: set[str]) -> str:
    return f"one of {', '.join(sorted(names))}"


def _count(given: Mapping[str, Any], name: str, default: Any, where: str, *, least: int = 1) -> int:
    value = given.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        rule = f"must be a whole number of at least {least}"
        raise UserError(f"{where}.{name}", got=value, rule=rule, fix=f"write {name}: {max(least, 3)}")
    return value


def _share(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise UserError(where, got=value, rule="must be a number between 0 and 1", fix="write p: 0.1")
    return float(value)


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise UserError(f"{WHERE}.{name}", got=value, rule="must be true or false", fix=f"write {name}: true")
    return value


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = given.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) and _SWEEP.fullmatch(each) for each in value):
        rule = "must be a list of sweeps, each by its id or by ENTITY/PROJECT/ID"
        raise UserError(f"{WHERE}.{name}", got=value, rule=rule, fix=f"write {name}: [abc123xy]")
    return tuple(value)
