"""How a sweep's trials and its search are started: the agents' `command`, and the `scheduler`. Pure.

Imports config, parameters and space.
"""

from collections.abc import Iterator, Mapping

from cola_sweep.config import TrialConfig
from cola_sweep.parameters import Finding, near
from cola_sweep.space import METHODS, STUDY, SweepSpec

TRIAL = "cola_sweep.train"
COMMAND = f'command: ["${{env}}", "${{interpreter}}", "-m", "{TRIAL}"]'
# What the stock agent puts its own words for; another word in ${...} it leaves out.
_ARGUMENTS = ("", "_no_equals", "_no_hyphens", "_no_boolean_flags", "_json", "_json_file")
_HYDRA = ("_append_hydra", "_override_hydra")
MACROS = ("env", "interpreter", "program", *(f"args{form}" for form in (*_ARGUMENTS, *_HYDRA)))
# Those of `wandb sweep-scheduler`, each with the methods that W&B's schema allows it, and the keys of its `scheduler`.
ENGINES = {"optuna": ("custom",), "ax": ("custom",), "wandb": METHODS}
_SCHEDULER = ("engine", "source", "optimizer", "search_space")


def runs_our_trial(spec: SweepSpec) -> bool:
    """Whether the sweep's agents start this project's trial."""
    words = spec.command or (spec.program or "",)
    return any(word == TRIAL or word.endswith("cola_sweep/train.py") for word in (*words, spec.program or ""))


def findings(spec: SweepSpec) -> Iterator[Finding]:
    """What is wrong with how trials and search are started, or likely not meant."""
    words = spec.command or ("${program}",)
    if all(word.startswith(("${", "-")) for word in words) and not ("${program}" in words and spec.program):
        rule = "names nothing that an agent could start"
        yield Finding("warning", "command", list(spec.command) or None, rule, f"write {COMMAND}")
    for i, word in enumerate(spec.command):
        yield from _word(f"command[{i}]", word, after=spec.command[i - 1] if i else "")
    if runs_our_trial(spec):
        yield from _flags(spec)
    yield from _scheduler(spec)


def _word(where: str, word: str, after: str) -> Iterator[Finding]:
    macro = word[2:-1] if word.startswith("${") and word.endswith("}") else ""
    if macro and macro not in MACROS and not macro.startswith("envvar:"):
        fix = near(macro, MACROS, f"use one of {', '.join(MACROS)}")
        yield Finding("error", where, word, "no such macro: an agent leaves it out", fix)
    if after == "-m" and word.startswith("cola_sweep.") and word != TRIAL:
        yield Finding("error", where, word, "is not the trial", f"write {TRIAL}")


def _flags(spec: SweepSpec) -> Iterator[Finding]:
    """A command with `${args}` gives a trial its settings as flags too, of which mappings have none; and one with flags
    of its own may not say anything else than the run's config."""
    for i, word in enumerate(spec.command):
        name = word.removeprefix("--").partition("=")[0].replace("-", "_")
        if word.startswith("--") and name in TrialConfig.__dataclass_fields__:
            rule = "a trial fails where a flag says something else than its run's config"
            yield Finding("warning", f"command[{i}]", word, rule, f"put {name} under parameters instead")
    if spec.command and not any(word.startswith("${args") for word in spec.command):
        return
    for parameter in spec.parameters:
        if len(parameter.path) > 1 or any(isinstance(value, Mapping) for value in parameter.values):
            rule = f"a trial has no flag for the mapping {parameter.path[0]}"
            yield Finding("error", "command", list(spec.command) or None, rule, f"leave out ${{args}}: {COMMAND}")
            return


def _scheduler(spec: SweepSpec) -> Iterator[Finding]:
    if spec.controller not in ("", "local", "cloud"):
        fix = near(spec.controller, ("local", "cloud"), "remove it")
        yield Finding("warning", "controller.type", spec.controller, "must be local or cloud", fix)
    if not spec.engine:
        return
    if spec.engine not in ENGINES:
        rule = f"must be one of {', '.join(ENGINES)}"
        yield Finding(
            "error", "scheduler.engine", spec.engine, rule, near(spec.engine, ENGINES, "write engine: optuna")
        )
    elif spec.method not in ENGINES[spec.engine]:
        rule = f"beside the engine {spec.engine} W&B takes {' or '.join(ENGINES[spec.engine])}"
        yield Finding("warning", "method", spec.method, rule, f"write method: {ENGINES[spec.engine][-1]}")
    for key, value in spec.scheduler.items():
        if key not in _SCHEDULER:
            fix = near(key, _SCHEDULER, "remove it")
            yield Finding("warning", f"scheduler.{key}", value, "no such key of scheduler", fix)
    if spec.controller == "local":
        yield Finding("warning", "controller", spec.controller, "a scheduler searches already", "remove it")
    for key, name in (("search_space", "space"), ("optimizer", "study")) if spec.is_ours else ():
        if spec.scheduler.get(key) != name:
            rule = f"of {STUDY} it must be {name}"
            yield Finding("error", f"scheduler.{key}", spec.scheduler.get(key), rule, f"write {key}: {name}")
    if spec.early_terminate is not None:
        fix = "write pruner: hyperband in parameters._search.value" if spec.is_ours else "remove it"
        yield Finding("warning", "early_terminate", "hyperband", "W&B does not allow it beside a scheduler", fix)
