"""Options of a search that will not do what they seem to. Pure; imports config, options, parameters and points."""

from collections.abc import Iterator

from cola_sweep import points
from cola_sweep.config import TrialConfig
from cola_sweep.parameters import Finding
from cola_sweep.studies.options import WHERE, Options, longest

# When a pruner first judges: the number it goes by, and how many epochs more than that have to be done.
_FIRST = {"median": ("warmup", 1), "wilcoxon": ("startup", 0)}


def doubts(options: Options) -> Iterator[Finding]:
    """A search without end, and parts of one that never come to act."""
    yield from _pruner(options)
    if options.run_cap is not None:
        yield from _beyond_the_cap(options, options.run_cap)
    elif options.terminator is None and any(points.count(branch.space) is None for branch in options.branches):
        yield Finding("warning", "parameters", None, "without run_cap this search has no end", "add run_cap: 20")


def _beyond_the_cap(options: Options, cap: int) -> Iterator[Finding]:
    if options.sampler != "random" and options.startup >= cap and not options.earlier:
        rule = f"run_cap is {cap}, so every trial is random"
        yield Finding("warning", f"{WHERE}.startup", options.startup, rule, f"write startup: {max(1, cap // 3)}")
    if options.terminator is not None:
        least = max(options.terminator.patience, options.terminator.trials)
        if least >= cap:
            rule = f"run_cap is {cap}, so this never ends the sweep"
            yield Finding("warning", f"{WHERE}.terminator", least, rule, "lower it")
    startup = options.pruner.numbers.get("startup")
    if options.pruner.type == "median" and startup is not None and startup >= cap:
        rule = f"run_cap is {cap}, so nothing is stopped"
        yield Finding("warning", f"{WHERE}.pruner.startup", startup, rule, "lower it")


def _pruner(options: Options) -> Iterator[Finding]:
    """One that first judges when trials are over; of Hyperband that is an error already."""
    if options.pruner.type not in _FIRST:
        return
    name, more = _FIRST[options.pruner.type]
    value = options.pruner.numbers[name] or 0
    epochs = longest(options.branches) or TrialConfig.epochs
    if value + more >= epochs:
        rule = f"judges first after {value + more:g} epochs, and no trial has more than {epochs}: nothing is stopped"
        yield Finding("warning", f"{WHERE}.pruner.{name}", value, rule, "lower it, or train for more epochs")
