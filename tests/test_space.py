from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep import space
from cola_sweep.errors import UserError

GRID = "method: grid\nparameters:\n"


def read(parameter: str, method: str = "random") -> space.SweepSpec:
    return space.read_text(f"method: {method}\nmetric: {{name: loss}}\nparameters:\n  lr: {parameter}\n")


@pytest.mark.parametrize(
    ("constraints", "distribution"),
    [
        ("{value: 3}", "constant"),
        ("{values: [1, 2]}", "categorical"),
        ("{min: 1, max: 8}", "int_uniform"),
        ("{min: 1.0, max: 8.0}", "uniform"),
        ("{min: 1, max: 8.0}", "uniform"),
        ("{mu: 1, sigma: 2}", "normal"),
        ("{values: [1, 2], probabilities: [0.5, 0.5], distribution: categorical_w_probabilities}", "categorical"),
        ("{distribution: log_uniform, min: -9, max: -2}", "log_uniform"),
    ],
)
def test_the_distribution_is_inferred_as_wandb_does(constraints: str, distribution: str) -> None:
    assert read(constraints).parameters[0].distribution == distribution


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ("{distribution: gaussian, mu: 0}", "parameters.lr.distribution: got 'gaussian'; must be one of beta, "),
        ("{min: 2, max: 1}", "parameters.lr.min: got 2; must not be above max, 1; swap them"),
        ("{values: []}", "parameters.lr.values: got []; must be a list with at least one value"),
        (
            "{distribution: log_uniform, min: 1.0e-5, max: 1.0e-3}",
            "these look like values; use distribution: log_uniform_v",
        ),
        ("{distribution: log_uniform, min: 1, max: 100}", "got [1, 100]; bounds of log_uniform are exponents of e"),
        ("{values: [1, 2], probabilities: [0.5]}", "parameters.lr.probabilities: got [0.5]; must be 2 numbers"),
        ("{values: [1, 2], probabilities: [0.5, 0.4]}", "sum to 1, not 0.9"),
        ("{values: [1, 2], probabilities: [1.5, -0.5]}", "must not be negative"),
        ("{distribution: log_uniform_values, min: 0, max: 1}", "parameters.lr.min: got 0; must be above 0"),
        ("{distribution: uniform, min: fast, max: 1}", "parameters.lr.min: got 'fast'; must be a finite number"),
        ("{distribution: uniform, min: 0}", "parameters.lr.max: uniform needs min and max"),
        ("{distribution: int_uniform, min: 0.5, max: 2}", "int_uniform needs whole bounds"),
        ("{distribution: q_uniform, min: 1, max: 2, q: 5}", "must have a multiple between min and max"),
        ("{distribution: q_uniform, min: 0, max: 1, q: 1.0e-300}", "got 1e-300; is too small for values so large"),
        ("{distribution: q_log_normal, mu: 600, q: 1.0e-200}", "got 1e-200; is too small for values so large"),
        (
            f"{{distribution: q_uniform, min: 0, max: {2**63}}}",
            "parameters.lr.q: got 1; is too small for values so large",
        ),
        (f"{{min: 0, max: {2**63}}}", "max: got 9223372036854775808; must be less than 2^63 above min"),
        ("{distribution: normal, sigma: 0}", "parameters.lr.sigma: got 0; must be above 0"),
        ("{distribution: constant}", "parameters.lr.value: a constant needs a value"),
        ("{vales: [1]}", "parameters.lr.vales: got [1]; must be one of"),
        ("{}", "parameters.lr: got {}; must say what to try"),
        ("3", "parameters.lr: got 3; must be a mapping; write lr: {value: 3}"),
        ("3e-5", "write lr: {value: 3.0e-5}"),
        ("[1, 2]", "write lr: {values: [1, 2]}"),
        ("null", "write lr: {value: ...}"),
    ],
)
def test_a_wrong_parameter_is_named_by_its_path(constraints: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        read(constraints)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "sweep: got [1]; must be a mapping"),
        ("method: gird\nparameters: {a: {value: 1}}", "method: got 'gird'; must be one of grid, random, bayes"),
        ("method: bayes\nparameters: {a: {value: 1}}", "metric: method bayes needs the metric"),
        ("method: random", "parameters: must be a mapping of what to try"),
        (GRID + "  a: {min: 0.0, max: 1.0}", "parameters.a: got 'uniform'; a grid needs values"),
        (GRID + "  a: {values: [1, 2], probabilities: [0.1, 0.9]}", "a grid tries every value once"),
        (GRID + "  a: {value: 1}\nmetric: {name: x, goal: max}", "metric.goal: got 'max'"),
        (GRID + "  a: {value: 1}\nrun_cap: 0", "run_cap: got 0; must be a whole number of at least 1"),
        (GRID + "  a: {value: 1}\nearly_terminate: {type: hyperband, min_iter: 1}", "metric: early_terminate needs"),
        (
            GRID + "  a: {value: 1}\nmetric: {name: x}\nearly_terminate: {type: hyperband}",
            "early_terminate: got {'type': 'hyperband'}; needs min_iter or max_iter",
        ),
        (
            GRID + "  a: {value: 1}\nmetric: {name: x}\nearly_terminate: {type: hyperband, max_iter: 9}",
            "early_terminate.s: max_iter needs s",
        ),
        (
            GRID + "  a: {value: 1}\nmetric: {name: x}\nearly_terminate: {type: hyperband, min_iter: 1, max_iter: 9}",
            "early_terminate.s: max_iter needs s",
        ),
        (
            GRID + "  a.b: {value: 1}\n  a: {parameters: {b: {value: 2}}}",
            "parameters.a.b: stands twice: with a dot, and",
        ),
        (
            GRID + "  a: {value: 1}\ncontroller: local",
            "controller: got 'local'; must be a mapping; write controller: {t",
        ),
        (
            GRID + "  a: {value: 1}\nscheduler: optuna",
            "scheduler: got 'optuna'; must be a mapping; write scheduler: {en",
        ),
        (
            GRID + "  a: {value: 1}\nscheduler: {engin: ax}",
            "scheduler.engine: got {'engin': 'ax'}; must name the engine",
        ),
        (GRID + "  a: {value: 1}\n  a: {value: 2}", "line 4: is not YAML: key 'a' stands twice"),
        (GRID + "  a: {value: 1", "is not YAML"),
    ],
)
def test_a_wrong_sweep_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        space.read_text(text)
    assert message in str(error.value)


def test_a_file_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "lr.yaml"
    path.write_text("method: random\nparameters:\n  opt:\n    parameters:\n      lr:\n        min: 2\n        max: 1\n")
    with pytest.raises(UserError, match=r"lr\.yaml:6: parameters\.opt\.lr\.min: got 2"):
        space.read_file(path)
    with pytest.raises(UserError, match=r"absent\.yaml: cannot be read: No such file"):
        space.read_file(tmp_path / "absent.yaml")


def test_numbers_that_yaml_reads_as_text_are_taken_with_a_warning() -> None:
    spec = read("{distribution: log_uniform_values, min: 1e-5, max: 1.0e-3}")
    assert (spec.parameters[0].min, spec.parameters[0].max) == (1e-5, 1e-3)
    assert [str(w) for w in spec.warnings] == ["parameters.lr.min: got '1e-5'; YAML reads this as text; write 1.0e-5"]
    assert [w.where for w in read("{values: [1e-5, 2.0e-5, fast]}").warnings] == ["parameters.lr.values[0]"]


def test_a_whole_number_with_a_point_counts_as_one_as_in_wandbs_schema() -> None:
    early = "early_terminate: {type: hyperband, max_iter: 27.0, s: 2.0}\n"
    spec = space.read_text(f"{GRID}  a: {{value: 1}}\nmetric: {{name: x}}\nrun_cap: 3.0\n{early}")
    assert (type(spec.run_cap), spec.run_cap) == (int, 3)
    assert spec.early_terminate == space.Hyperband(max_iter=27, s=2)
    both = space.read_text(f"{GRID}  a: {{value: 1}}\nmetric: {{name: x}}\n{early.replace('max', 'min_iter: 2, max')}")
    assert both.early_terminate == spec.early_terminate, "W&B reads max_iter"
    with pytest.raises(UserError, match=r"run_cap: got 2\.5; must be a whole number"):
        space.read_text(f"{GRID}  a: {{value: 1}}\nrun_cap: 2.5")


def test_nested_parameters_keep_their_path() -> None:
    spec = space.read_text(
        GRID + "  a: {values: [1]}\n  b: {parameters: {c: {value: 2}, d: {parameters: {e: {value: 3}}}}}"
    )
    assert [p.path for p in spec.parameters] == [("a",), ("b", "c"), ("b", "d", "e")]


def test_a_search_elsewhere_needs_neither_method_nor_parameters() -> None:
    spec = space.read_text("scheduler: {engine: optuna}\nmetric: {name: x}")
    assert (spec.method, spec.engine, spec.parameters) == ("custom", "optuna", ())
    assert (
        space.read_text("controller: {type: local}\nmethod: custom\nparameters: {a: {value: 1}}").controller == "local"
    )


def test_several_metrics_are_a_schedulers() -> None:
    several = "metrics: [{name: mcc, goal: maximize}, {name: seconds}]\n"
    spec = space.read_text(f"scheduler: {{engine: optuna}}\n{several}")
    assert spec.metrics == (space.Metric("mcc", "maximize"), space.Metric("seconds", "minimize"))
    for text, message in [
        (f"{GRID}  a: {{value: 1}}\n{several}", "metrics: only a scheduler searches for several metrics"),
        ("scheduler: {engine: optuna}\nmetrics: []", "metrics: got []; must be a list of metrics"),
        ("scheduler: {engine: optuna}\nmetrics: [null]", "metrics[0]: must not be empty"),
        ("scheduler: {engine: optuna}\nmetrics: [{name: x, goal: up}]", "metrics[0].goal: got 'up'"),
    ]:
        with pytest.raises(UserError) as error:
            space.read_text(text)
        assert message in str(error.value)


def test_wrong_parameters_can_be_gathered() -> None:
    errors: list[UserError] = []
    spec = space.read_mapping(
        {"method": "random", "parameters": {"a": 3, "b": {"value": 1}, "c": {"parameters": {"d": {"q": 0}}}}}, errors
    )
    assert [p.name for p in spec.parameters] == ["b"]
    assert [error.where for error in errors] == ["parameters.a", "parameters.c.d"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["method", "parameters", "metric", "early_terminate", "run_cap", "controller", "scheduler", "command", "program"]
)
KEYS = st.sampled_from(["distribution", "value", "values", "min", "max", "q", "mu", "parameters", "probabilities"])


@given(st.dictionaries(NAMES, JSON | st.dictionaries(st.text(max_size=3), st.dictionaries(KEYS, JSON)), max_size=4))
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_gives_a_sweep_or_one_line(data: dict[str, object]) -> None:
    try:
        space.read_mapping({"method": "random", **data})
    except UserError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message
