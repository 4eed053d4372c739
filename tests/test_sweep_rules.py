"""Whatever a sweep file says, its rules find words for it; what they are is tested beside `cola-sweep check`."""

from dataclasses import fields
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.expected import expectation
from cola_sweep.metric_names import METRIC_NAMES
from cola_sweep.space import read_mapping
from cola_sweep.studies.options import PRUNERS, SAMPLERS
from cola_sweep.sweep_rules import findings

OURS = {"engine": "optuna", "source": "cola_sweep/study.py", "search_space": "space", "optimizer": "study"}
# Those that the rules look at stand for half of them.
LOOKED_AT = ["epochs", "batch_size", "checkpoint", "lr", "patience", "data", "keep_models", "seed"]
SETTINGS = st.sampled_from(LOOKED_AT) | st.sampled_from([field.name for field in fields(TrialConfig)])
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1, -3, 2**70, 0.5, 5.0, 1e-5, 1e300, "1e-5", "5", "", "auto", "x[:0]", "pypi:x", "on", [], [1], {}]
)
SOME = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SETTINGS | st.just("min"), inner, max_size=2),
    max_leaves=4,
)
NUMBERS = st.sampled_from([-9, 0, 1, 3, 0.1, 1e-5, 2.5, "1e-5", 2**64])
DISTRIBUTIONS = ["uniform", "int_uniform", "q_uniform", "log_uniform", "log_uniform_values", "q_log_uniform_values"]
PARAMETERS = (
    st.fixed_dictionaries({"value": SOME})
    | st.fixed_dictionaries({"values": st.lists(SOME, min_size=2, max_size=4)})
    | st.just({"values": []})
    | st.fixed_dictionaries(
        {"min": NUMBERS, "max": NUMBERS}, optional={"distribution": st.sampled_from(DISTRIBUTIONS), "q": NUMBERS}
    )
    | st.fixed_dictionaries({"distribution": st.sampled_from(["normal", "q_log_normal", "beta", "q_beta"])})
)
PRUNER = (
    st.sampled_from(list(PRUNERS))
    | st.just("hyperband")
    | st.fixed_dictionaries({"type": st.sampled_from(list(PRUNERS)), "startup": ODD})
)
FIRST = st.lists(st.dictionaries(SETTINGS, SOME, max_size=2), max_size=2)
TERMINATOR = st.fixed_dictionaries({"patience": ODD}, optional={"trials": ODD})
# One at a time, since what is wrong with one hides the others; the pruner's meet the other settings.
OPTIONS = st.builds(lambda value: {"pruner": value}, PRUNER) | st.one_of(
    *(st.builds(lambda value, name=name: {name: value}, ODD) for name in ("seed", "startup", "earlier", "sampler")),
    st.builds(lambda value: {"first": value, "recipes": True}, FIRST),
    st.builds(lambda value: {"terminator": value}, TERMINATOR),
    st.builds(lambda value: {"sampler": value}, st.sampled_from(SAMPLERS)),
)
SWEEPS = st.fixed_dictionaries(
    {
        "metric": st.fixed_dictionaries(
            {"name": st.sampled_from(METRIC_NAMES)},
            optional={"goal": st.sampled_from(["minimize", "maximize"]), "target": st.sampled_from([0, 0.6, 60])},
        ),
        "parameters": st.fixed_dictionaries(
            {"dropout": PARAMETERS}, optional=dict.fromkeys([*LOOKED_AT, "cell"], PARAMETERS)
        ),
        "command": st.just(["python", "-m", "cola_sweep.train"]),
    },
    optional={
        "run_cap": st.sampled_from([1, 20]),
        "early_terminate": st.fixed_dictionaries({"type": st.just("hyperband"), "min_iter": st.sampled_from([1, 9])}),
    },
)


@given(SWEEPS, st.sampled_from(["custom", "grid", "custom", "random", "bayes"]), st.none() | OPTIONS, st.none() | SOME)
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_is_said_a_line_each(sweep: dict[str, Any], method: str, search: Any, retry: Any) -> None:
    data = sweep | {"method": method} | ({"scheduler": OURS} if method == "custom" else {})
    for name, value in (("_search", search), ("_retry", retry)):
        if value is not None:
            data["parameters"] = data["parameters"] | {name: {"value": value}}
    errors: list[UserError] = []
    try:
        spec = read_mapping(data, errors)
    except UserError as error:
        said = [error]
    else:
        said = [*errors, *findings(spec)]
        if not any(getattr(line, "severity", "error") == "error" for line in said):
            expectation(spec, [])
    assert not any("\n" in str(line) for line in said)
