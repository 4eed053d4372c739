"""Reading a sweep file: search method, metric, space, early stopping. Pure but for `read_file`.

The embedded server and `cola-sweep check` read sweeps through here, so a file that is refused is
refused by both, with the same line.

>>> spec = read_text("{method: grid, parameters: {lr: {values: [0.1, 0.2]}}}")
>>> [(p.name, p.values) for p in spec.parameters]
[('lr', (0.1, 0.2))]

Imports of ours the error, `branches`, `document`, `parameters` and `portable`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cola_sweep.branches import Branch, expand, plain
from cola_sweep.document import parse
from cola_sweep.errors import UserError
from cola_sweep.parameters import BOUNDED, Finding, Parameter, near, read_parameter
from cola_sweep.portable import unportable

METHODS = ("grid", "random", "bayes")
# What a scheduler loads that our study searches for.
STUDY = "cola_sweep/study.py"
Goal = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Metric:
    """What the search improves; it finishes when a run reaches `target`."""

    name: str
    goal: Goal = "minimize"
    target: float | None = None


@dataclass(frozen=True)
class Hyperband:
    """Early stopping at rungs, counted in logged values of the metric.

    Either `min_iter`, min_iter eta, min_iter eta^2, ... or, from `max_iter`, the `s` rungs
    max_iter / eta, max_iter / eta^2, ... Of both W&B reads the latter.
    """

    min_iter: int | None = None
    max_iter: int | None = None
    s: int = 1
    eta: float = 3
    strict: bool = False


@dataclass(frozen=True)
class SweepSpec:
    """A sweep file, read and checked.

    Attributes:
        method: grid, random, bayes; `custom` where `controller` or `scheduler` does the search.
        parameters: the leaves of the tree, in the file's order.
        branches: the plain spaces that they make: one, but where our study searches and a value holds ranges.
        metrics: of a search for several at once, which a scheduler's alone can be.
        controller: `local` when `wandb controller` searches, else empty.
        scheduler: what the file says of it, as texts.
        engine: of `wandb sweep-scheduler` when it searches, else empty.
        is_ours: whether that asks `cola_sweep/study.py`.
        warnings: legal, but likely not what was meant.
    """

    method: str
    parameters: tuple[Parameter, ...]
    branches: tuple[Branch, ...]
    metric: Metric | None = None
    metrics: tuple[Metric, ...] = ()
    early_terminate: Hyperband | None = None
    run_cap: int | None = None
    program: str | None = None
    command: tuple[str, ...] = ()
    name: str | None = None
    description: str | None = None
    controller: str = ""
    scheduler: Mapping[str, str] = field(default_factory=dict)
    engine: str = ""
    is_ours: bool = False
    warnings: tuple[Finding, ...] = ()


def read_file(path: Path) -> SweepSpec:
    """Read a sweep file.

    Raises:
        UserError: the file cannot be read, or breaks a rule; names file, line and key path.
    """
    return read_text(file_text(path), str(path))


def file_text(path: Path) -> str:
    """The text of a sweep file.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UserError(str(path), rule=f"cannot be read: {reason}", fix="give the path of a sweep file") from None


def read_text(text: str, source: str = "") -> SweepSpec:
    """Read a sweep's YAML; with a `source`, errors begin with it and the line.

    Raises:
        UserError: not YAML, or it breaks a rule; names the key path.
    """
    document = parse(text, source)
    try:
        return read_mapping(document.data)
    except UserError as error:
        if not source:
            raise
        where = f"{source}:{document.line(error.where)}: {error.where}"
        raise UserError(where, got=error.got, rule=error.rule, fix=error.fix) from None


def read_mapping(data: Any, errors: list[UserError] | None = None) -> SweepSpec:
    """Read a sweep that is parsed already.

    Args:
        errors: where given, what is wrong with a parameter is added to it, and the parameter left out.

    Raises:
        UserError: it breaks a rule; names the key path.
    """
    if not isinstance(data, Mapping):
        raise UserError("sweep", got=data, rule="must be a mapping", fix="give method, metric and parameters")
    warnings = list(unportable(data))
    scheduler = _texts(data, "scheduler")
    controller, engine = _texts(data, "controller").get("type", ""), scheduler.get("engine", "")
    if data.get("scheduler") is not None and not engine:
        rule, fix = "must name the engine that searches", "write {engine: optuna, ...}"
        raise UserError("scheduler.engine", got=data["scheduler"], rule=rule, fix=fix)
    elsewhere = controller == "local" or bool(engine)
    is_ours = engine == "optuna" and scheduler.get("source", "").endswith(STUDY)
    metric = _metric(data.get("metric"))
    for key in ("entity", "project"):
        _text(data, key)
    parameters = tuple(_leaves(_tree(data, elsewhere), (), warnings, errors))
    _check_names(parameters)
    spec = SweepSpec(
        method=_method(data.get("method"), elsewhere),
        parameters=parameters,
        branches=expand(parameters, warnings) if is_ours else (plain(parameters),),
        metric=metric,
        metrics=_metrics(data.get("metrics"), elsewhere),
        early_terminate=_hyperband(data.get("early_terminate"), metric),
        run_cap=_count(data.get("run_cap"), "run_cap"),
        program=_text(data, "program"),
        command=_command(data.get("command")),
        name=_text(data, "name"),
        description=_text(data, "description"),
        controller=controller,
        scheduler=scheduler,
        engine=engine,
        is_ours=is_ours,
        warnings=tuple(warnings),
    )
    if not elsewhere:
        _check_method(spec)
    return spec


def _check_method(spec: SweepSpec) -> None:
    if spec.method == "bayes" and spec.metric is None:
        fix = "add metric: {name: valid/mcc, goal: maximize}"
        raise UserError("metric", rule="method bayes needs the metric it improves", fix=fix)
    if spec.method != "grid":
        return
    for parameter in spec.parameters:
        kind = parameter.distribution
        if kind not in ("constant", "categorical", "int_uniform") and not (kind in BOUNDED and kind.startswith("q_")):
            rule = "a grid needs values, whole numbers or steps of q"
            raise UserError(
                f"parameters.{parameter.name}", got=kind, rule=rule, fix="list values, or use method: random"
            )
        if parameter.probabilities:
            where = f"parameters.{parameter.name}.probabilities"
            raise UserError(where, rule="a grid tries every value once", fix="remove them, or use method: random")


def _method(method: Any, elsewhere: bool) -> str:
    if elsewhere and (method is None or isinstance(method, str)):
        return method or "custom"
    if method not in METHODS:
        rule, fix = f"must be one of {', '.join(METHODS)}", near(method, METHODS, "write method: bayes")
        if method == "custom":
            rule, fix = "needs a scheduler that names its engine", "write scheduler: {engine: optuna, ...}"
        raise UserError("method", got=method, rule=rule, fix=fix)
    return str(method)


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    if isinstance(value, list | Mapping):
        raise UserError(key, got=value, rule="must be a text", fix=f"write {key}: ...")
    return None if value is None else str(value)


def _command(command: Any) -> tuple[str, ...]:
    if command is not None and not isinstance(command, list):
        raise UserError("command", got=command, rule="must be a list of words", fix="write [python, train.py]")
    return tuple(str(word) for word in command or ())


def _texts(data: Mapping[str, Any], key: str) -> dict[str, str]:
    """The members of a mapping as texts; none of what is not there, or empty."""
    part = data.get(key)
    if part is not None and not isinstance(part, Mapping):
        member = "type: local" if key == "controller" else "engine: optuna, ..."
        raise UserError(key, got=part, rule="must be a mapping", fix=f"write {key}: {{{member}}}")
    return {str(name): str(value) for name, value in (part or {}).items() if value}


def _tree(data: Mapping[str, Any], elsewhere: bool) -> Mapping[str, Any]:
    tree = data.get("parameters")
    if tree is None and elsewhere:
        return {}
    if not isinstance(tree, Mapping) or not tree:
        raise UserError("parameters", got=tree, rule="must be a mapping of what to try", fix="add lr: {values: [...]}")
    return tree


def _leaves(
    tree: Mapping[str, Any], path: tuple[str, ...], warnings: list[Finding], errors: list[UserError] | None
) -> Iterator[Parameter]:
    for name, entry in tree.items():
        here = (*path, str(name))
        # A parameter may itself be called "parameters": then its entry holds constraints, not a tree.
        nested = entry.get("parameters") if isinstance(entry, Mapping) else None
        if isinstance(nested, Mapping) and nested:
            yield from _leaves(nested, here, warnings, errors)
            continue
        try:
            yield read_parameter(entry, here, warnings)
        except UserError as error:
            if errors is None:
                raise
            errors.append(error)


def _check_names(parameters: Iterable[Parameter]) -> None:
    """No two may be called alike, as `a.b` and the b nested in a: trials and searches know them by their names."""
    seen: set[str] = set()
    for parameter in parameters:
        if parameter.name in seen:
            fix = "rename one of the two"
            raise UserError(f"parameters.{parameter.name}", rule="stands twice: with a dot, and nested", fix=fix)
        seen.add(parameter.name)


def _metric(entry: Any, where: str = "metric") -> Metric | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping):
        fix = "write {name: valid/mcc, goal: maximize}"
        raise UserError(where, got=entry, rule="must be a mapping with a name", fix=fix)
    if not isinstance(entry.get("name"), str) or not entry["name"]:
        raise UserError(f"{where}.name", got=entry, rule="must be the name of a logged metric", fix="write valid/mcc")
    goal = entry.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        raise UserError(f"{where}.goal", got=goal, rule="must be minimize or maximize", fix="write goal: maximize")
    target = entry.get("target")
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float)):
        raise UserError(f"{where}.target", got=target, rule="must be a number", fix="write for example 0.6")
    return Metric(entry["name"], goal, target)


def _metrics(entries: Any, elsewhere: bool) -> tuple[Metric, ...]:
    """Several objectives, which only W&B's scheduler searches."""
    if entries is None:
        return ()
    if not elsewhere:
        fix = "write metric, or add scheduler: {engine: optuna, ...}"
        raise UserError("metrics", rule="only a scheduler searches for several metrics", fix=fix)
    if not isinstance(entries, list) or not entries:
        raise UserError("metrics", got=entries, rule="must be a list of metrics", fix="write [{name: valid/mcc}]")
    found = [_metric(entry, f"metrics[{i}]") for i, entry in enumerate(entries)]
    if None in found:
        raise UserError(f"metrics[{found.index(None)}]", rule="must not be empty", fix="write {name: valid/mcc}")
    return tuple(metric for metric in found if metric)


def _hyperband(entry: Any, metric: Metric | None) -> Hyperband | None:
    if entry is None:
        return None
    where = "early_terminate"
    if not isinstance(entry, Mapping) or entry.get("type") != "hyperband":
        rule, fix = "must be a mapping with type: hyperband", "write {type: hyperband, min_iter: 3}"
        raise UserError(where, got=entry, rule=rule, fix=fix)
    if metric is None:
        raise UserError("metric", rule="early_terminate needs the metric it judges by", fix="add metric: {name: ...}")
    low, high = (_count(entry.get(key), f"{where}.{key}") for key in ("min_iter", "max_iter"))
    if low is None and high is None:
        raise UserError(where, got=dict(entry), rule="needs min_iter or max_iter", fix="add min_iter: 3")
    rungs = _count(entry.get("s"), f"{where}.s")
    if high is not None and rungs is None:
        raise UserError(f"{where}.s", rule="max_iter needs s, the number of rungs", fix="add s: 2")
    eta = entry.get("eta", 3)
    if isinstance(eta, bool) or not isinstance(eta, int | float) or eta <= 1:
        raise UserError(f"{where}.eta", got=eta, rule="must be a number above 1", fix="write eta: 3")
    strict = entry.get("strict", False)
    if not isinstance(strict, bool):
        raise UserError(f"{where}.strict", got=strict, rule="must be true or false", fix="write strict: false")
    return Hyperband(low if high is None else None, high, rungs or 1, eta, strict)


def _count(value: Any, where: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():  # which is a whole number to W&B's schema
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(
            where, got=value, rule="must be a whole number of at least 1", fix=f"write {where.split('.')[-1]}: 3"
        )
    return value
