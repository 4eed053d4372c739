"""Any sweep file: taken by the client and the server, each trial in its space, and its settings as they were written.

The client's own functions read, check and post the YAML and hand the agent's arguments to the run; only its
transport is left out.
"""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cola_sweep.config import TrialConfig
from cola_sweep.parameters import canonical
from cola_sweep.server.store import Store, runs
from tests.server.test_sweeps import Ask, beat, join, read

# The client leaves the files that it reads to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
EXAMPLES = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


def pairs(numbers: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(numbers, numbers).map(sorted).map(lambda pair: {"min": pair[0], "max": pair[1]})


def named(kind: str, constraints: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return constraints.map(lambda entry: {"distribution": kind, **entry})


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=5)
# Of W&B's pattern, and letters beyond it; the client hides names with _ before from scripts, and strips outer hyphens.
KEYS = st.from_regex(r"[A-Za-zé]([A-Za-z0-9_.é-]{0,3}[A-Za-z0-9_.é])?", fullmatch=True)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([5.0, 1e-5, "1e-5", "on", "null", "007", "1_000", "12:30:00", ""])
    | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)
WHOLE = pairs(st.integers(-(10**6), 10**6))
# Above 1, so that they are not taken for values, and not all of them negative.
EXPONENTS = pairs(floats(-20, 0) | floats(1, 20))
VALUES = pairs(floats(1e-8, 1e8) | st.integers(1, 10**8))
STEPPED = st.tuples(st.sampled_from([1, 5, 0.1, 0.25]), st.integers(1, 50), st.integers(0, 50)).map(
    lambda t: {"q": t[0], "min": t[0] * t[1], "max": t[0] * (t[1] + t[2])}
) | pairs(st.integers(1, 100))
NORMALS = st.fixed_dictionaries({}, optional={"mu": floats(-5, 5), "sigma": floats(0.1, 20)})
BETAS = st.fixed_dictionaries({}, optional={"a": floats(0.5, 5), "b": floats(0.5, 5)})
Q = st.sampled_from([{}, {"q": 1}, {"q": 0.5}])


def with_q(constraints: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(constraints, Q).map(lambda parts: parts[0] | parts[1])


WEIGHTED = (
    st.lists(st.tuples(JSON, st.integers(0, 3)), min_size=1, max_size=4)
    .filter(lambda weighted: any(weight for _, weight in weighted))
    .map(
        lambda weighted: {
            "values": [value for value, _ in weighted],
            "probabilities": [weight / sum(w for _, w in weighted) for _, weight in weighted],
        }
    )
)
FINITE = (
    st.builds(lambda value: {"value": value}, JSON)
    | st.builds(lambda values: {"values": values}, st.lists(JSON, min_size=1, max_size=4))
    | named("constant", st.builds(lambda value: {"value": value}, JSON))
    | named("categorical", st.builds(lambda values: {"values": values}, st.lists(JSON, min_size=1, max_size=4)))
    | WHOLE
    | named("int_uniform", WHOLE)
    | named("q_uniform", STEPPED)
)
ENDLESS = (
    pairs(floats(-1e6, 1e6))
    | named("uniform", pairs(floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)))
    | named("log_uniform", EXPONENTS)
    | named("inv_log_uniform", EXPONENTS)
    | named("log_uniform_values", VALUES)
    | named("inv_log_uniform_values", VALUES)
    | named("normal", NORMALS)
    | named("log_normal", NORMALS)
    | named("beta", BETAS)
    | named("q_log_uniform_values", STEPPED)
    | named("q_normal", with_q(NORMALS))
    | named("q_log_normal", with_q(NORMALS))
    | named("q_beta", with_q(BETAS))
    | named("q_log_uniform", with_q(pairs(floats(1, 8))))
    | WEIGHTED
    | named("categorical_w_probabilities", WEIGHTED)
)


def trees(leaves: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Parameters, some of them nested."""

    def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        return st.dictionaries(KEYS, inner, min_size=1, max_size=2).map(lambda tree: {"parameters": tree})

    return st.dictionaries(KEYS, leaves | nested(leaves | nested(leaves)), min_size=1, max_size=4)


HYPERBANDS = st.builds(
    lambda rungs, more: {"type": "hyperband", **rungs, **more},
    st.sampled_from([{"min_iter": 1}, {"max_iter": 27, "s": 2}, {"max_iter": 9.0, "s": 1.0}, {"min_iter": 2, "s": 3}]),
    st.fixed_dictionaries({}, optional={"eta": st.sampled_from([2, 1.5]), "strict": st.booleans()}),
)
METRICS = st.fixed_dictionaries(
    {"name": st.just("m")},
    optional={
        "goal": st.sampled_from(["minimize", "maximize"]),
        "target": st.integers(-3, 3) | floats(-1, 1),
        "impute": st.sampled_from(["latest", "best", "worst"]),
        "impute_while_running": st.sampled_from(["latest", "best", "worst", "false"]),
    },
)
# All else that W&B's schema has of a sweep that the server searches.
REST = st.fixed_dictionaries(
    {},
    optional={
        "metric": METRICS,
        "run_cap": st.sampled_from([3, 40, 5.0]),
        "early_terminate": HYPERBANDS,
        "program": NAMES,
        "command": st.lists(NAMES | st.integers() | st.booleans(), max_size=3),
        "name": NAMES,
        "description": NAMES,
        "kind": st.just("sweep"),
        "apiVersion": NAMES,
        "controller": st.just({"type": "cloud"}),
        "image_uri": NAMES,
        "job": NAMES,
    },
)
SWEEPS = st.builds(
    lambda search, rest: {"method": search[0], "parameters": search[1], **rest},
    st.tuples(st.just("grid"), trees(FINITE))
    | st.tuples(st.sampled_from(["random", "bayes"]), trees(FINITE | ENDLESS)),
    REST,
).filter(lambda sweep: "metric" in sweep or (sweep["method"] != "bayes" and "early_terminate" not in sweep))
# What it has of one that a scheduler or the client's controller searches.
FUNCTIONS = st.fixed_dictionaries({"source": NAMES}, optional={"optimizer": NAMES, "search_space": NAMES})
OBJECTIVES = st.builds(lambda metric: {"metric": metric}, METRICS) | st.builds(
    lambda metrics: {"metrics": metrics}, st.lists(METRICS, min_size=2, max_size=3)
)
ELSEWHERE = st.builds(
    lambda engine, functions, objectives, tree: {
        "method": "custom", "scheduler": {"engine": engine, **functions}, **objectives, "parameters": tree,
    },
    st.sampled_from(["optuna", "ax"]), st.just({}) | FUNCTIONS, OBJECTIVES, trees(FINITE | ENDLESS),
) | st.builds(
    lambda search, sweep: sweep | search,
    st.sampled_from([{"scheduler": {"engine": "wandb"}}, {"controller": {"type": "local"}}]), SWEEPS,
)  # fmt: skip


def upsert(execute: Callable[..., Any], file: Path, **more: Any) -> tuple[dict[str, Any], list[str]]:
    """Make or, with `obj_id`, change a sweep as `wandb sweep` does: the sweep, and what the server warns of.

    Args:
        execute: a GraphQL operation, by its text and its variables.
    """
    from wandb.apis.public.sweeps import _upsert_sweep
    from wandb.sdk.launch.sweeps.utils import load_sweep_config

    api = mock.Mock(settings={"entity": None, "project": "p"})
    api._service_api.execute_graphql = execute
    with mock.patch.dict(os.environ):  # the client makes the sweep's project the process's
        return _upsert_sweep(api, load_sweep_config(str(file)) or {}, **more)


def post(ask: Ask, folder: Path, sweep: Mapping[str, Any], **more: Any) -> str:
    """Make or change a sweep; its name."""
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(sweep, allow_unicode=True), encoding="utf-8")
    made, _ = upsert(lambda query, variables: ask(query, **variables), file, **more)
    return str(made["name"])


def trials_of(ask: Ask, folder: Path, sweep: Mapping[str, Any], agents: int = 3) -> list[dict[str, Any]]:
    """The runs' configs of the sweep's first trials: YAML, client, server, agent, run."""
    from wandb.sdk.lib.config_util import dict_from_config_file, save_config_file_from_dict
    from wandb.sdk.wandb_config import Config

    name, params = post(ask, folder, sweep), folder / "config.yaml"
    configs = []
    for _ in range(agents):
        for command in beat(ask, join(ask, name)):
            if command["type"] == "run":
                save_config_file_from_dict(str(params), command["args"])
                config = Config()
                config.update_locked(dict_from_config_file(str(params)), user="sweep", _allow_val_change=True)
                configs.append(config.as_dict())
    return configs


def lies_in(entry: Mapping[str, Any], value: Any) -> bool:
    """Whether the parameter may have the value, and the value its type."""
    if "parameters" in entry and isinstance(entry["parameters"], dict):
        inner = entry["parameters"]
        return value.keys() == inner.keys() and all(lies_in(inner[name], value[name]) for name in inner)
    if "value" in entry or "values" in entry:
        values = entry.get("values") or [entry["value"]]
        weights = entry.get("probabilities") or [1] * len(values)
        return canonical(value) in {canonical(v) for v, weight in zip(values, weights, strict=True) if weight}
    low, high, kind = entry.get("min", -math.inf), entry.get("max", math.inf), entry.get("distribution", "")
    if kind in ("log_uniform", "q_log_uniform"):
        low, high = math.exp(low), math.exp(high)
    if kind == "inv_log_uniform":
        low, high = math.exp(-high), math.exp(-low)
    of_steps = entry.get("q", 1) if kind.startswith("q_") else low if kind in ("", "int_uniform") else 0.0
    fits = type(value) is type(of_steps)
    return fits and low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high)


@given(SWEEPS)
@EXAMPLES
def test_each_trial_of_any_sweep_lies_in_its_space(ask: Ask, tmp_path: Path, sweep: dict[str, Any]) -> None:
    configs = trials_of(ask, tmp_path, sweep)
    assert configs
    for config in configs:
        assert lies_in({"parameters": sweep["parameters"]}, config), config


@given(ELSEWHERE)
@EXAMPLES
def test_any_sweep_that_is_searched_elsewhere_is_taken_and_left_to_it(
    ask: Ask, tmp_path: Path, sweep: dict[str, Any]
) -> None:
    assert trials_of(ask, tmp_path, sweep, agents=1) == []


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "lr": st.sampled_from([5.0, 1e-5, 5e-05, 2.0e-5]) | floats(1e-9, 10),
    "batch_size": st.integers(1, 512),
    "patience": st.none() | st.integers(1, 9),
    "warmup": floats(0, 0.99),
    "weight_decay": st.sampled_from([0.0, 1.0, 0.01]),
    "dropout": st.none() | floats(0, 0.9),
    "train_limit": st.none() | st.integers(2, 10**6),
    "pooling": st.sampled_from(["cls", "mean"]),
    "compile": st.sampled_from(["on", "off", "auto"]),
    "checkpoint": st.sampled_from(["auto", "pypi:all-minilm-l6-v2[:3]", "google/electra-small-discriminator"]),
    "data": st.sampled_from(["synthetic", "null", "~/cola"]),
    "seed": st.integers(0, 2**32 - 1),
}
CHOSEN = st.fixed_dictionaries({}, optional=SETTINGS).filter(bool)


@given(CHOSEN, st.data())
@EXAMPLES
def test_each_setting_reaches_its_trial_as_it_was_written(
    ask: Ask, tmp_path: Path, chosen: dict[str, Any], data: st.DataObject
) -> None:
    """Alone, tied to others in a mapping, and nested."""
    parameters: dict[str, Any] = {}
    for name, value in chosen.items():
        place = data.draw(st.sampled_from(["alone", "tied", "nested"]))
        if place == "alone":
            parameters[name] = {"value": value}
        elif place == "tied":
            parameters.setdefault("cell", {"values": [{}]})["values"][0][name] = value
        else:
            parameters.setdefault("part", {"parameters": {}})["parameters"][name] = {"values": [value]}
    (config,) = trials_of(ask, tmp_path, {"method": "grid", "parameters": parameters}, agents=1)
    read = TrialConfig.from_mapping(config)
    assert typed(read) == typed(TrialConfig(**chosen))
    assert typed(TrialConfig.from_mapping(_posted(config))) == typed(read)


@pytest.mark.parametrize(("written", "read"), [("1e-5", 1e-5), ("5", 5.0), ("5.0", 5.0), ("1.0e-5", 1e-5)])
def test_a_rate_is_a_float_however_it_is_written(ask: Ask, tmp_path: Path, written: str, read: float) -> None:
    sweep = yaml.safe_load(f"{{method: grid, parameters: {{a: {{parameters: {{lr: {{value: {written}}}}}}}}}}}")
    (config,) = trials_of(ask, tmp_path, sweep, agents=1)
    assert typed(TrialConfig.from_mapping(config)) == typed(TrialConfig(lr=read))


def typed(config: TrialConfig) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in config.to_mapping().values()]


def _posted(value: Any) -> Any:
    """As the run's config comes back from the server: the client writes 5.0 as 5."""
    if isinstance(value, Mapping):
        return {key: _posted(member) for key, member in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def grid(*values: Any) -> dict[str, Any]:
    return {"method": "grid", "parameters": {"a": {"values": list(values)}}}


def test_a_sweep_is_narrowed_and_widened_while_it_runs(ask: Ask, tmp_path: Path) -> None:
    name = post(ask, tmp_path, grid(1, 2, 3))
    agent = join(ask, name)
    begun = beat(ask, agent)[0]
    assert begun["args"]["a"]["value"] == 1
    before = read(ask, name)
    assert post(ask, tmp_path, grid(1, 3, 4), obj_id=before["id"]) == name
    changed = read(ask, name)
    assert (changed["state"], changed["runCountExpected"]) == ("RUNNING", 3)
    assert [beat(ask, join(ask, name))[0]["args"]["a"]["value"] for _ in range(2)] == [3, 4], "neither 1 again nor 2"


def test_a_search_is_made_repeatable_while_it_runs(ask: Ask, tmp_path: Path) -> None:
    def sweep(seed: int) -> dict[str, Any]:
        space = {"a": {"min": 0.0, "max": 1.0}, "_search": {"value": {"seed": seed}}}
        return {"method": "random", "parameters": space}

    one, two = post(ask, tmp_path, sweep(1)), post(ask, tmp_path, sweep(2))
    post(ask, tmp_path, sweep(1), obj_id=read(ask, two)["id"])
    drawn = [beat(ask, join(ask, name))[0]["args"]["a"]["value"] for name in (one, two)]
    assert drawn[0] == drawn[1]


def test_a_cell_that_a_prior_run_tried_is_not_tried_again(ask: Ask, store: Store, tmp_path: Path) -> None:
    (before,) = beat(ask, join(ask, post(ask, tmp_path, grid(1))))
    (run,) = runs.of_sweep(store, 1)
    runs.update(store, run.id, state="finished", heartbeat_at=store.now())
    name = post(ask, tmp_path, grid(1, 2), prior_runs=[before["run_id"]])
    commands = [beat(ask, join(ask, name)) for _ in range(2)]
    assert [command["args"]["a"]["value"] for issued in commands for command in issued] == [2]
