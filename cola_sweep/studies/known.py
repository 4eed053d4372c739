"""Points that a search begins with: those in the file, and the published recipe of each checkpoint.

A point is the value of each choice of its branch and of as many of its members as it says, by their names. Pure;
imports branches, domains, errors, parameters and recipes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cola_sweep import domains
from cola_sweep.branches import Branch
from cola_sweep.errors import UserError
from cola_sweep.parameters import EXPONENT_TEXT, Parameter
from cola_sweep.studies.recipes import RECIPES

Known = Mapping[str, Any]


def settings(branches: Sequence[Branch]) -> Iterator[str]:
    """What the parameters of a space may be called: `lr`, and `optimizer.lr` where it is nested."""
    for branch in branches:
        for member in branch.space:
            yield from (member.path[-1], member.name)


def point(entry: Mapping[str, Any], branches: Sequence[Branch], where: str) -> Known:
    """The point with these settings, in the first branch that has them all.

    Raises:
        UserError: there is none; names the setting at fault.
    """
    found = _lies(entry, branches)
    if found is not None:
        return found
    fix = "correct it, or widen the space"
    for name, value in entry.items():
        if _lies({name: value}, branches) is None:
            raise UserError(f"{where}.{name}", got=value, rule=f"lies outside parameters.{name}", fix=fix)
    raise UserError(where, got=dict(entry), rule="no choice allows all of these together", fix=fix)


def recipes(branches: Sequence[Branch]) -> tuple[Known, ...]:
    """The published recipe of each checkpoint of the space, as far as it lies in the space: none without its rate."""
    found: dict[str, Known] = {}
    for branch in branches:
        named = next((member.options for member in branch.space if member.path[-1] == "checkpoint"), ())
        for checkpoint in map(str, named):
            recipe = RECIPES.get(checkpoint, {})
            fitting = {key: value for key, value in recipe.items() if _lies({key: value}, [branch]) is not None}
            if "lr" in fitting and checkpoint not in found:
                found[checkpoint] = point({"checkpoint": checkpoint, **fitting}, [branch], "recipes")
    return tuple(found.values())


def has(values: Mapping[str, Any], some: Known) -> bool:
    """Whether a point has all of these values."""
    return all(name in values and values[name] == value for name, value in some.items())


def _lies(entry: Mapping[str, Any], branches: Sequence[Branch]) -> Known | None:
    for branch in branches:
        found: dict[str, Any] = {}
        for setting, value in entry.items():
            name = next((n for n, m in branch.members.items() if setting in (m.path[-1], m.name)), None)
            fitted = _fitted(branch.members[name], value) if name is not None else None
            if name is None or fitted is None:
                break
            found[name] = fitted[0]
        else:
            return {**branch.choices, **found}
    return None


def _fitted(parameter: Parameter, value: Any) -> tuple[Any] | None:
    """`domains.fit`, of a number that YAML reads as text too."""
    fitted = domains.fit(parameter, value)
    if fitted is None and isinstance(value, str) and EXPONENT_TEXT.fullmatch(value):
        fitted = domains.fit(parameter, float(value))
    return fitted
