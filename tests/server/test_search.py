"""Every distribution stays in its space; grids and finite spaces are walked once; the search is repeatable."""

import itertools
import math
import random
import subprocess
import sys
from typing import Any, Literal

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState as OptunaState
from optuna.trial import create_trial

from cola_sweep import domains
from cola_sweep.parameters import canonical
from cola_sweep.points import count
from cola_sweep.server.search import Trial, placed, suggest
from cola_sweep.server.search.trials import ATTEMPTS, TrialState
from cola_sweep.space import SweepSpec, read_mapping

BAYES = {"method": "bayes", "metric": {"name": "m", "goal": "maximize"}}


def sweep(method: str, parameters: dict[str, Any], **more: Any) -> SweepSpec:
    return read_mapping({"method": method, "metric": {"name": "m"}, "parameters": parameters, **more})


def is_step(value: float, q: float) -> bool:
    return abs(value / q - round(value / q)) < 1e-9


DISTRIBUTIONS: list[tuple[dict[str, Any], Any]] = [
    ({"value": {"a": [1, None]}}, lambda v: v == {"a": [1, None]}),
    (
        {"values": [1, 5.0, "x", None, True, {"k": 1}]},
        lambda v: canonical(v) in map(canonical, [1, 5.0, "x", None, True, {"k": 1}]),
    ),
    ({"values": ["a", "b"], "probabilities": [1, 0]}, lambda v: v == "a"),
    ({"min": -2, "max": 3}, lambda v: type(v) is int and -2 <= v <= 3),
    ({"min": -2.5, "max": 3.5}, lambda v: type(v) is float and -2.5 <= v <= 3.5),
    (
        {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.1},
        lambda v: type(v) is float and v == round(v, 1) and 0 <= v <= 1,
    ),
    ({"distribution": "q_uniform", "min": 1, "max": 20, "q": 5}, lambda v: type(v) is int and v in (5, 10, 15, 20)),
    ({"distribution": "log_uniform", "min": -9.2, "max": -2.3}, lambda v: type(v) is float and 1e-4 <= v <= 0.1003),
    (
        {"distribution": "q_log_uniform", "min": 0, "max": 5, "q": 2},
        lambda v: type(v) is int and v % 2 == 0 and 1 <= v <= 148,
    ),
    ({"distribution": "inv_log_uniform", "min": 2.3, "max": 9.2}, lambda v: 1e-4 <= v <= 0.1003),
    ({"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}, lambda v: 1e-5 <= v <= 1e-3),
    (
        {"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8},
        lambda v: type(v) is int and v % 8 == 0 and 8 <= v <= 64,
    ),
    ({"distribution": "inv_log_uniform_values", "min": 1e-5, "max": 1e-3}, lambda v: 1e-5 <= v <= 1e-3),
    ({"distribution": "normal", "mu": 100, "sigma": 1}, lambda v: type(v) is float and 90 < v < 110),
    (
        {"distribution": "q_normal", "mu": 0, "sigma": 1, "q": 0.5},
        lambda v: type(v) is float and is_step(v, 0.5) and abs(v) < 7,
    ),
    ({"distribution": "log_normal", "mu": 0, "sigma": 1}, lambda v: 0 < v < math.exp(7)),
    ({"distribution": "q_log_normal", "mu": 3, "sigma": 1, "q": 2}, lambda v: type(v) is int and v % 2 == 0 and v >= 0),
    ({"distribution": "beta", "a": 2, "b": 5}, lambda v: type(v) is float and 0 <= v <= 1),
    ({"distribution": "q_beta", "a": 2, "b": 5, "q": 0.25}, lambda v: v in (0.0, 0.25, 0.5, 0.75, 1.0)),
]


@pytest.mark.parametrize("method", ["random", "bayes"])
@pytest.mark.parametrize(
    ("constraints", "holds"), DISTRIBUTIONS, ids=lambda d: str(d.get("distribution")) if isinstance(d, dict) else ""
)
def test_values_lie_in_their_space_and_have_its_type(method: str, constraints: dict[str, Any], holds: Any) -> None:
    spec = sweep(method, {"p": constraints, "other": {"min": 0.0, "max": 1.0}}, run_cap=9)
    trials: list[Trial] = []
    for i in range(8):
        suggestion = suggest(spec, trials, seed=3)
        assert suggestion is not None
        assert holds(suggestion.params["p"]), suggestion
        trials.append(placed(spec, suggestion.params, "complete", float(i)))
    if method == "bayes":
        assert suggestion.why == "Gaussian process over 7 trials"


@pytest.mark.parametrize(
    ("constraints", "holds"), DISTRIBUTIONS[3:], ids=lambda d: str(d.get("distribution")) if isinstance(d, dict) else ""
)
@given(seed=st.integers(0, 2**31))
@settings(max_examples=30)
def test_what_the_client_posts_back_is_the_point_that_was_issued(
    constraints: dict[str, Any], holds: Any, seed: int
) -> None:
    spec = sweep("random", {"p": constraints})
    suggestion = suggest(spec, [], seed)
    assert suggestion is not None
    issued = suggestion.params["p"]
    posted = int(issued) if float(issued).is_integer() else issued  # the client rewrites 5.0 as 5
    fitted = domains.fit(spec.parameters[0], posted)
    assert fitted is not None
    assert canonical(fitted[0]) == canonical(issued)


GRID = {"a": {"values": [1, 5.0, "x"]}, "n": {"parameters": {"b": {"min": 1, "max": 3}, "c": {"value": None}}}}


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_grid_gives_each_cell_once_to_any_number_of_agents(data: st.DataObject) -> None:
    """Agents take, start, finish, fail and lose trials in any order."""
    spec = sweep("grid", GRID)
    trials: list[Trial] = []
    started: list[str] = []
    while True:
        suggestion = suggest(spec, trials, seed=0)
        waiting = [i for i, t in enumerate(trials) if t.state == "waiting"]
        if suggestion is None and not waiting:
            break
        if suggestion and (not waiting or data.draw(st.booleans())):
            trials.append(placed(spec, suggestion.params, "waiting"))
            continue
        i = data.draw(st.sampled_from(waiting))
        lost = sum(t.params == trials[i].params and t.state == "unstarted" for t in trials)
        fates = ["running", "complete", "failed", "pruned"] + (["unstarted"] if lost < ATTEMPTS - 1 else [])
        fate = data.draw(st.sampled_from(fates))
        trials[i] = placed(spec, trials[i].params, fate)
        if fate != "unstarted":
            started.append(canonical(trials[i].params))
    expected = [{"a": a, "n": {"b": b, "c": None}} for a, b in itertools.product([1, 5.0, "x"], [1, 2, 3])]
    assert sorted(started) == sorted(map(canonical, expected))


def test_a_cell_whose_runs_never_start_is_given_up() -> None:
    spec = sweep("grid", {"a": {"values": [1, 2]}})
    dead = [placed(spec, {"a": 1}, "unstarted")] * ATTEMPTS
    assert suggest(spec, dead[1:], 0).params == {"a": 1}  # type: ignore[union-attr]
    assert suggest(spec, dead, 0).params == {"a": 2}  # type: ignore[union-attr]


def test_a_large_grid_is_not_laid_out() -> None:
    spec = sweep("grid", {"a": {"min": 1, "max": 10**9}, "b": {"min": 1, "max": 10**9}})
    assert count(spec.parameters) == 10**18
    assert suggest(spec, [placed(spec, {"a": 1, "b": 1}, "running")], 0).params == {"a": 1, "b": 2}  # type: ignore[union-attr]


@pytest.mark.parametrize("method", ["random", "bayes"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_a_finite_space_is_exhausted_without_repeats(method: str, seed: int) -> None:
    values = {"values": [1, 2, 2, 3], "probabilities": [0.98, 0.01, 0.0, 0.01]}
    spec = sweep(method, {"a": values, "b": {"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.5}}, run_cap=9)
    trials: list[Trial] = []
    while suggestion := suggest(spec, trials, seed):
        trials.append(placed(spec, suggestion.params, "complete", float(len(trials))))
        assert len(trials) <= 9
    assert len({canonical(t.params) for t in trials}) == 9


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_same_trials_and_seed_give_the_same_suggestion(method: str) -> None:
    spec = sweep(method, {"a": {"min": 0.0, "max": 1.0}}, run_cap=9)
    trials = [placed(spec, {"a": i / 10}, "complete", i / 10) for i in range(5)]
    assert suggest(spec, trials, 7) == suggest(spec, list(trials), 7)
    assert suggest(spec, trials, 7) != suggest(spec, trials, 8)
    # A deleted run leaves the list, and must not bring the random stream back to where it was.
    assert suggest(spec, trials, 7, issued=6) != suggest(spec, trials, 7, issued=5)


def test_bayes_goes_where_the_metric_is_good() -> None:
    spec = read_mapping({**BAYES, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    trials: list[Trial] = []
    for _ in range(40):
        suggestion = suggest(spec, trials, seed=1)
        assert suggestion is not None
        a = suggestion.params["a"]
        trials.append(placed(spec, suggestion.params, "complete", -((a - 0.7) ** 2)))
    assert sum(abs(t.params["a"] - 0.7) < 0.15 for t in trials[10:]) > 14  # 9 by chance


def test_agents_that_ask_bayes_at_once_get_different_points() -> None:
    spec = read_mapping({**BAYES, "parameters": {"a": {"values": list(range(30))}}})
    trials = [placed(spec, {"a": i}, "complete", float(i)) for i in range(12)]
    for turn in range(8):
        suggestion = suggest(spec, trials, seed=1)
        assert suggestion is not None
        assert suggestion.why.startswith(("TPE", "Gaussian process")[turn % 2])
        trials.append(placed(spec, suggestion.params, "running"))
    assert len({t.params["a"] for t in trials}) == 20


def test_bayes_begins_evenly_spread() -> None:
    """Of the first four no two are close, and both labels are among them."""
    spec = read_mapping({**BAYES, "parameters": {"a": {"min": 0.0, "max": 1.0}, "b": {"values": ["x", "y"]}}})
    for seed in range(20):
        issued = [suggest(spec, [], seed, number).params for number in range(4)]  # type: ignore[union-attr]
        rates = sorted(params["a"] for params in issued)
        assert min(b - a for a, b in itertools.pairwise(rates)) > 0.1
        assert {params["b"] for params in issued} == {"x", "y"}


def test_bayes_spreads_its_first_points_by_probability() -> None:
    parameters = {"a": {"values": [1, 2, 3], "probabilities": [0.0, 0.9, 0.1]}, "b": {"min": 0.0, "max": 1.0}}
    spec = read_mapping({**BAYES, "parameters": parameters})
    drawn = [suggest(spec, [], 0, number).params["a"] for number in range(200)]  # type: ignore[union-attr]
    assert [drawn.count(value) for value in (1, 2, 3)] == [0, pytest.approx(180, abs=5), pytest.approx(20, abs=5)]


def test_bayes_leaves_where_every_trial_fails() -> None:
    spec = read_mapping({**BAYES, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    trials = [placed(spec, {"a": a}, "complete", a) for a in (0.0, 0.1, 0.3, 0.5, 0.6)]
    for _ in range(12):
        a = suggest(spec, trials, 1).params["a"]  # type: ignore[union-attr]
        trials.append(placed(spec, {"a": a}, "failed") if a > 0.7 else placed(spec, {"a": a}, "complete", a))
    assert sum(trial.state == "failed" for trial in trials) < 8
    assert max(trial.params["a"] for trial in trials if trial.known) > 0.65


def test_bayes_is_the_same_upside_down() -> None:
    space = {"a": {"min": 0.0, "max": 1.0}, "b": {"values": ["x", "y", "z"]}}
    found = []
    for goal, sign in (("minimize", 1), ("maximize", -1)):
        spec = read_mapping({"method": "bayes", "metric": {"name": "m", "goal": goal}, "parameters": space})
        trials = [placed(spec, {"a": i / 8, "b": "xyz"[i % 3]}, "complete", sign * math.sin(i)) for i in range(9)]
        found.append(suggest(spec, trials, 2))
    assert found[0] == found[1]


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_bayes_answers_as_optuna_does_to_the_same_trials(goal: Literal["minimize", "maximize"]) -> None:
    spec = read_mapping({**BAYES, "metric": {"name": "m", "goal": goal}, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    study = optuna.create_study(direction=goal)
    trials = []
    for i in range(40):
        a, value = i * 7 % 40 / 40, i * 11 % 40 / 40
        state: Any = ("complete", "pruned", "running", "failed")[i * i % 11 % 4]
        trials.append(placed(spec, {"a": a}, state, value))
        study.add_trial(
            create_trial(
                state=OptunaState[{"pruned": "PRUNED", "failed": "FAIL"}.get(state, state.upper())],
                value=value if state == "complete" else None,
                intermediate_values={0: value} if state == "pruned" else None,
                params={"a": a},
                distributions={"a": FloatDistribution(0.0, 1.0)},
            )
        )
    for seed in range(5):
        study.sampler = TPESampler(
            n_startup_trials=0, multivariate=True, seed=random.Random(f"{seed}:40").getrandbits(32)
        )
        asked = study.ask({"a": FloatDistribution(0.0, 1.0)})
        suggestion = suggest(spec, trials, seed)
        assert suggestion is not None
        assert suggestion.params == asked.params
        study.tell(asked, state=OptunaState.FAIL)


def test_trials_without_a_value_teach_bayes_nothing() -> None:
    spec = read_mapping({**BAYES, "run_cap": 9, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    blank = [
        placed(spec, {"a": 0.5}, "failed"),
        placed(spec, {"a": 0.1}, "complete"),
        placed(spec, {"a": 0.2}, "complete", math.nan),
    ]
    told = [
        placed(spec, {"a": 0.3}, "complete", 1.0),
        placed(spec, {"a": 0.4}, "pruned", 0.5),
        placed(spec, {"a": 9}, "complete", 3.0),
    ]
    whys = [suggest(spec, trials, 0).why for trials in (blank * 4, blank + told, told * 2)]  # type: ignore[union-attr]
    assert whys == [
        "spread evenly: 0 of the first 3 trials have a value",
        "spread evenly: 2 of the first 3 trials have a value",  # one lies outside of the space
        "Gaussian process over 4 trials",
    ]


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_of_very_many_trials_bayes_hears_the_best_the_latest_and_those_under_way(
    goal: Literal["minimize", "maximize"],
) -> None:
    spec = read_mapping({**BAYES, "metric": {"name": "m", "goal": goal}, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    sign = 1 if goal == "maximize" else -1
    trials = [placed(spec, {"a": i * 7 % 400 / 400}, "complete", sign * (i * 11 % 400)) for i in range(400)]
    answer = suggest(spec, trials, 0)
    assert answer
    assert answer.why == "TPE over 250 of 400 trials"

    def with_old(state: TrialState, a: float, value: float, many: int = 1) -> dict[str, Any]:
        old = [placed(spec, {"a": a}, state, sign * value)] * many
        return suggest(spec, old + trials[many:], 0).params  # type: ignore[union-attr]

    there = answer.params["a"]
    assert with_old("complete", there, 3) == answer.params, "one that is not good"
    assert with_old("pruned", there, 999) == answer.params, "none that was pruned is as good as a complete one"
    assert with_old("failed", there, 999) == answer.params
    assert with_old("complete", 0.5, 999) != answer.params
    without = with_old("failed", there, 3, many=50)
    assert with_old("running", without["a"], 3, many=50) != without


@pytest.mark.parametrize("constraints", [c for c, _ in DISTRIBUTIONS[13:]], ids=lambda c: c["distribution"])
def test_quantiles_are_those_of_the_distribution(constraints: dict[str, Any]) -> None:
    parameter = sweep("random", {"p": constraints | ({"q": 1e-6} if "q" in constraints else {})}).parameters[0]
    for quantile in (0.01, 0.3, 0.5, 0.9):
        assert domains.quantile_of(parameter, domains.value_at(parameter, quantile)) == pytest.approx(
            quantile, abs=1e-4
        )


def test_a_method_is_made_ready_once_asked_for() -> None:
    script = """if True:
        import sys
        from cola_sweep.server import search
        from cola_sweep.space import read_mapping
        search.prepare("random")
        assert "optuna" not in sys.modules
        search.prepare("bayes")
        ready = set(sys.modules)
        spec = read_mapping({"method": "bayes", "metric": {"name": "m"}, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
        told = [search.placed(spec, {"a": i / 20}, "complete", float(i)) for i in range(13)]
        assert search.suggest(spec, told[1:], 0).why == "TPE over 12 trials"
        assert search.suggest(spec, told, 0).why == "Gaussian process over 13 trials"
        print(sorted(set(sys.modules) - ready))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n", "the first suggestion imported more"
