"""What a sweep of this project's trials must keep beyond W&B's schema. Pure.

The names, types and rules of `TrialConfig`, the metrics a trial logs, and searches that end. `cola-sweep check`
and the embedded server put a sweep to the same rules.

>>> from cola_sweep.space import read_text
>>> [str(f) for f in findings(read_text("{method: grid, parameters: {lrr: {value: 1.0}}}"))]
["parameters.lrr: got 1.0; no such key; did you mean 'lr'?"]

Imports checkpoints, config, domains, errors, metric_names, parameters, points, space, start_rules and studies.
"""

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from cola_sweep import domains, start_rules
from cola_sweep.checkpoints import check_name
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.metric_names import BEST, METRIC_GOALS, OBJECTIVE, summary_rule
from cola_sweep.parameters import BETA, BOUNDED, EXPONENT, Finding, Parameter, bounds, canonical, is_range, near
from cola_sweep.points import count, nested
from cola_sweep.retries import NAME as RETRY
from cola_sweep.retries import retries
from cola_sweep.space import STUDY, Metric, SweepSpec
from cola_sweep.studies import options
from cola_sweep.studies.doubts import doubts

LARGE_GRID = 1000
# No encoder learns at a larger rate, so whoever writes 5 for 5.0e-5 meets this.
LARGEST_RATE = 0.5
# A uniform draw from wider bounds is nearly always in the highest tenth.
WIDE = 100


def findings(spec: SweepSpec) -> list[Finding]:
    """What is wrong with the sweep of a trial of ours, or likely not meant."""
    return [
        *spec.warnings,
        *search(spec),
        *(finding for where, parameter in leaves(spec).items() for finding in _parameter(where, parameter)),
        *_set_twice(spec),
        *_checkpoints(spec),
        *_several_corpora(spec),
        *_searched_seeds(spec),
        *_metrics(spec),
        *_end(spec),
        *_early_stopping(spec),
        *_likely_typos(spec),
        *start_rules.findings(spec),
        *retried(spec),
    ]


def search(spec: SweepSpec) -> Iterator[Finding]:
    """What is wrong with the options of a sweep's search, `_search`, whatever its trials are."""
    try:
        if spec.is_ours:
            yield from doubts(options.read(spec))
        else:
            search_seed(spec)
    except UserError as error:
        yield Finding("error", error.where, error.got, error.rule, error.fix)


def search_seed(spec: SweepSpec) -> int | None:
    """The seed of a search by the server, where the file has one; of `_search` the server knows no more.

    Raises:
        UserError: an option is none, or only for `cola_sweep/study.py`.
    """
    return None if spec.engine else options.seed_alone(spec)


def leaves(spec: SweepSpec) -> dict[str, Parameter]:
    """Every parameter that a trial may have, by its key path; those that a value of another brings too."""
    return {f"parameters.{name}": member for branch in spec.branches for name, member in branch.members.items()}


def retried(spec: SweepSpec) -> Iterator[Finding]:
    """What is wrong with how often the sweep's failed trials are to be tried again."""
    try:
        if retries(spec) and (spec.controller or spec.engine):
            rule, fix = "failed trials are for the controller or scheduler to repeat", "remove it"
            yield Finding("warning", f"parameters.{RETRY}", retries(spec), rule, fix)
    except UserError as error:
        yield Finding("error", error.where, error.got, error.rule, error.fix)


def choices(spec: SweepSpec, setting: str) -> list[tuple[str, Any]]:
    """The values listed for a setting, each with its key path; members of mappings too."""
    found = [entry for where, parameter in leaves(spec).items() for entry in _listed(where, parameter)]
    return [(where, value) for where, name, value in found if name == setting]


def extent(spec: SweepSpec, setting: str) -> tuple[Any, Any]:
    """Smallest and largest value of a setting that is a number; twice the trial's default where no value is listed."""
    values = [value for _, value in choices(spec, setting) if isinstance(value, int | float)]
    bounded = [p for p in leaves(spec).values() if p.path[-1] == setting and p.distribution in BOUNDED]
    values += [domains.rounded(p, bound) if p.steps else bound for p in bounded for bound in bounds(p)]
    default = getattr(TrialConfig, setting)
    return min(values, default=default), max(values, default=default)


def _listed(where: str, parameter: Parameter) -> Iterator[tuple[str, str, Any]]:
    """Key path, setting and value of everything in the parameter's values."""
    for i, value in enumerate(parameter.values):
        place = where if parameter.distribution == "constant" else f"{where}.values[{i}]"
        yield from _members(place, parameter.path[-1], value)


def _members(where: str, name: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    # What begins with _ is for others, such as the study of a scheduler.
    if isinstance(value, Mapping) and name not in TrialConfig.__dataclass_fields__ and not name.startswith("_"):
        for key, member in value.items():
            yield from _members(f"{where}.{key}", str(key), member)
    else:
        yield where, name, value


def _parameter(where: str, parameter: Parameter) -> Iterator[Finding]:
    for place, value in _samples(where, parameter):
        try:
            TrialConfig.from_mapping(nested([parameter], (value,)))
        except UserError as error:
            unknown = error.rule == "no such key"
            if isinstance(value, Mapping):
                place = f"{place}.{error.where.rpartition('.')[2]}"
            elif unknown:
                place = where
            if is_range(error.got):
                fix = "list values, or let a scheduler with that source search"
                yield Finding("error", place, error.got, f"only {STUDY} searches a range that stands here", fix)
                continue
            in_the_file = bool(parameter.values) or unknown or value in (parameter.min, parameter.max)
            rule = error.rule if in_the_file else f"is drawn from it, and {error.rule}"
            yield Finding("error", place, error.got, rule, error.fix)
            if unknown or not parameter.values:
                break
    if parameter.distribution in BOUNDED and parameter.min == parameter.max:
        yield Finding("warning", where, parameter.min, "min and max are the same", "write value, or widen the bounds")
    if parameter.distribution == "uniform" and 0 < WIDE * parameter.min <= parameter.max:
        rule = "nine in ten values lie in the highest tenth"
        fix = "write distribution: log_uniform_values"
        yield Finding("warning", where, [parameter.min, parameter.max], rule, fix)
    written = [canonical(value) for value in parameter.values]
    for i, value in enumerate(parameter.values):
        if written[i] in written[:i]:
            fix = "remove it; what repeats trials is seed: {values: [1, 2, 3]}"
            yield Finding("warning", f"{where}.values[{i}]", value, "stands twice, and counts once", fix)
    if parameter.distribution in EXPONENT and 0 < parameter.min < 0.1:
        rule = f"is an exponent of e, so the values begin at {bounds(parameter)[0]:.6g}"
        fix = f"use distribution: {parameter.distribution}_values"
        yield Finding("error", f"{where}.min", parameter.min, rule, fix)


def _samples(where: str, parameter: Parameter) -> list[tuple[str, Any]]:
    """Values that decide whether every value of a parameter suits its setting, with their key paths."""
    kind = parameter.distribution
    if kind == "constant":
        return [(where, parameter.values[0])]
    if kind == "categorical":
        return [(f"{where}.values[{i}]", value) for i, value in enumerate(parameter.values)]
    if kind in BETA:
        return [(where, domains.rounded(parameter, value)) for value in (0.01, 0.99)]
    if kind not in BOUNDED:
        return [(where, domains.value_at(parameter, quantile)) for quantile in (0.02, 0.7, 0.98)]
    if steps := parameter.steps:
        return [(where, domains.step_value(parameter, k)) for k in dict.fromkeys((*steps[:2], steps[-1]))]
    low, high = bounds(parameter)
    return [(where, low), (where, high), (where, low + (high - low) / math.pi)]  # the last is no whole number


def _set_twice(spec: SweepSpec) -> Iterator[Finding]:
    for branch in spec.branches:
        setters: dict[str, str] = {}
        for member_name, parameter in branch.members.items():
            where = f"parameters.{member_name}"
            named = dict.fromkeys(name for _, name, _ in _listed(where, parameter)) or {parameter.path[-1]: None}
            for name in named:
                if name in setters:
                    rule = f"{setters[name]} sets {name} too"
                    yield Finding("error", where, name, rule, "leave it out of one of the two")
                setters.setdefault(name, where)


def _checkpoints(spec: SweepSpec) -> Iterator[Finding]:
    """Names that mean nothing on any machine; what is on this one `cola-sweep check` looks up (`sources`)."""
    for where, name in choices(spec, "checkpoint"):
        try:
            if isinstance(name, str):
                check_name(name)
        except UserError as error:
            yield Finding("error", where, name, error.rule, error.fix)


def _several_corpora(spec: SweepSpec) -> Iterator[Finding]:
    corpora = choices(spec, "data")
    for where, value in corpora:
        if value != corpora[0][1]:
            rule = "a sweep refuses trials on another corpus than its first"
            yield Finding("error", where, value, rule, "write one sweep for each corpus")


def _searched_seeds(spec: SweepSpec) -> Iterator[Finding]:
    for parameter in spec.parameters:
        if spec.method == "bayes" and parameter.path[-1] == "seed" and domains.size(parameter) != 1:
            fix = "use method: grid or random; `cola-sweep winner` repeats the best over seeds"
            rule = "bayes would search for the luckiest seed"
            yield Finding("warning", f"parameters.{parameter.name}", parameter.name, rule, fix)


def _metrics(spec: SweepSpec) -> Iterator[Finding]:
    if spec.metric is not None:
        yield from _metric(spec.metric, "metric", spec.engine)
    for i, metric in enumerate(spec.metrics):
        yield from _metric(metric, f"metrics[{i}]", spec.engine)
        if metric.name in [other.name for other in spec.metrics[:i]]:
            yield Finding("error", f"metrics[{i}].name", metric.name, "stands twice", "remove one of the two")
    if len(spec.metrics) == 1:
        name, rule = spec.metrics[0].name, "W&B takes no fewer than two here"
        yield Finding("warning", "metrics", name, rule, f"write metric: {{name: {name}}}")
    if spec.metric is not None and spec.metrics:
        yield Finding("warning", "metric", spec.metric.name, "metrics alone are searched for", "remove one of the two")


def _metric(metric: Metric, where: str, engine: str) -> Iterator[Finding]:
    readable = [name for name in METRIC_GOALS if not (engine and summary_rule(name))]
    if metric.name not in METRIC_GOALS:
        near = difflib.get_close_matches(metric.name, readable, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"write {OBJECTIVE}"
        yield Finding("error", f"{where}.name", metric.name, "no trial logs this metric", fix)
    elif metric.name not in readable:
        rule = f"a scheduler takes a number from the summary, which has this as {{{summary_rule(metric.name)}}}"
        yield Finding("error", f"{where}.name", metric.name, rule, f"write {BEST}")
    elif METRIC_GOALS[metric.name] not in (None, metric.goal):
        rule, fix = f"{metric.name} is better the other way", f"write goal: {METRIC_GOALS[metric.name]}"
        yield Finding("warning", f"{where}.goal", metric.goal, rule, fix)
    elif metric.goal == "maximize" and not metric.name.startswith("cost/") and (metric.target or 0) > 1:
        rule = f"no trial reaches it: {metric.name} is at most 1"
        yield Finding("warning", f"{where}.target", metric.target, rule, "write a share, as 0.6")


def _end(spec: SweepSpec) -> Iterator[Finding]:
    """Searches that do not end, or end early; those of a controller or scheduler are its own affair."""
    if spec.controller or spec.engine:
        return
    cells, cap = count(spec.parameters), spec.run_cap
    if spec.method != "grid":
        if cells is None and cap is None and not (spec.metric and spec.metric.target is not None):
            yield Finding("warning", "method", spec.method, "without run_cap this search has no end", "add run_cap: 20")
        return
    assert cells is not None, "a grid is finite"
    if cap is not None and cap < cells:
        rule, fix = f"the grid has {cells} cells, and the rest is not tried", f"write run_cap: {cells}"
        yield Finding("warning", "run_cap", cap, rule, fix)
    elif cap is None and cells > LARGE_GRID:
        fix = "list fewer values, or use method: bayes and run_cap"
        yield Finding("warning", "parameters", f"{cells} cells", "the grid tries them all", fix)


def _early_stopping(spec: SweepSpec) -> Iterator[Finding]:
    rule = spec.early_terminate
    if rule is None or spec.metric is None or spec.metric.name.endswith("_step"):
        return
    if spec.metric.name.startswith("cost/"):
        fix = "judge by valid/mcc, or remove early_terminate"
        yield Finding("warning", "early_terminate", spec.metric.name, "is logged once, when the trial ends", fix)
        return
    if rule.min_iter is not None:
        where, first = "early_terminate.min_iter", rule.min_iter
    else:
        assert rule.max_iter is not None
        where, first = "early_terminate.max_iter", math.floor(rule.max_iter / rule.eta**rule.s + 1e-9)
    _, epochs = extent(spec, "epochs")
    if first < 2:
        text = "after one epoch a trial on CoLA reads 0 whether it is good or not"
        yield Finding("warning", where, rule.min_iter or rule.max_iter, text, "stop after two epochs: min_iter: 2")
    if first >= epochs:
        text = f"judges after {first} epochs, and no trial has more than {epochs:g}: nothing is stopped"
        yield Finding("warning", where, rule.min_iter or rule.max_iter, text, "lower it, or train for more epochs")


def _likely_typos(spec: SweepSpec) -> Iterator[Finding]:
    """Settings that a trial takes and nobody means."""
    rates = [(where, p) for where, p in leaves(spec).items() if p.path[-1] == "lr" and p.distribution in BOUNDED]
    for where, rate in [*choices(spec, "lr"), *((where, bounds(p)[1]) for where, p in rates)]:
        if isinstance(rate, int | float) and rate > LARGEST_RATE:
            yield Finding("warning", where, rate, "no encoder learns at such a rate", "write for example 5.0e-5")
    for parameter in spec.parameters:
        known, name = (options.NAME, RETRY), parameter.name
        if name.startswith("_") and name not in known and (fix := near(name, known, "")):
            yield Finding("warning", f"parameters.{name}", name, "nothing reads it", fix)
    _, epochs = extent(spec, "epochs")
    for where, patience in choices(spec, "patience"):
        if isinstance(patience, int) and patience >= epochs:
            rule = f"no trial has more than {epochs:g} epochs: nothing is stopped"
            yield Finding("warning", where, patience, rule, "lower it, or train for more epochs")
