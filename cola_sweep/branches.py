"""Values that bring ranges of their own: a space of which each choice has other parameters.

    encoder:
      values:
        - {checkpoint: bert-base-cased, lr: {distribution: log_uniform_values, min: 1.0e-5, max: 5.0e-5}}
        - {checkpoint: roberta-base, lr: {distribution: log_uniform_values, min: 5.0e-6, max: 3.0e-5}, warmup: 0.06}

To W&B's schema a value is any value, so this is a plain sweep file; what a range in it means, the search must know,
and `cola_sweep/study.py` does. A trial gets `encoder: {checkpoint: roberta-base, lr: 1.2e-5, warmup: 0.06}`.

Pure; imports parameters.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cola_sweep.parameters import Finding, Parameter, canonical, is_range, read_parameter


@dataclass(frozen=True)
class Branch:
    """A plain space: what trials have in which every choice is made.

    Attributes:
        choices: the value that each parameter with ranges in its values has here, by its name.
        members: the parameters of such a trial, by a name that no other branch has for another parameter:
            `lr`, and `encoder.values[1].lr` for one that a value brings.
    """

    choices: Mapping[str, Any]
    members: Mapping[str, Parameter]

    @property
    def space(self) -> tuple[Parameter, ...]:
        """The members, in order."""
        return tuple(self.members.values())


def plain(space: Sequence[Parameter]) -> Branch:
    """A space in which values mean themselves."""
    return Branch({}, {parameter.name: parameter for parameter in space})


def expand(space: Sequence[Parameter], warnings: list[Finding]) -> tuple[Branch, ...]:
    """The branches of a space: one, all of it, where no value holds a range.

    Raises:
        UserError: a range is incomplete or contradictory; names the key path.
    """
    ways = [list(_ways(parameter, warnings)) for parameter in space]
    return tuple(
        Branch(
            {name: value for choices, _ in way for name, value in choices.items()},
            {name: member for _, members in way for name, member in members.items()},
        )
        for way in itertools.product(*ways)
    )


def _holds_range(value: Any) -> bool:
    return is_range(value) or (isinstance(value, Mapping) and any(map(_holds_range, value.values())))


def _ways(parameter: Parameter, warnings: list[Finding]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Parameter]]]:
    """What is chosen and what that brings, for each value of a parameter with ranges; else the parameter itself."""
    if parameter.distribution != "categorical" or not any(map(_holds_range, parameter.options)):
        yield {}, {parameter.name: parameter}
        return
    written = [canonical(value) for value in parameter.values]
    for value in parameter.options:
        name = f"{parameter.name}.values[{written.index(canonical(value))}]"
        yield {parameter.name: value}, dict(_members(value, parameter.path, name, warnings))


def _members(value: Any, path: tuple[str, ...], name: str, warnings: list[Finding]) -> Iterator[tuple[str, Parameter]]:
    if is_range(value):
        yield name, replace(read_parameter(value, (name,), warnings), path=path)
    elif isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from _members(member, (*path, str(key)), f"{name}.{key}", warnings)
    else:
        yield name, Parameter(path, "constant", values=(value,))
