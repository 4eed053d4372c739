"""What W&B's schema does not allow."""

import pytest
import yaml

from cola_sweep.portable import unportable
from cola_sweep.space import read_mapping

HEAD = "{method: random, run_cap: 9, metric: {name: m}, parameters: {a: {min: 0.1, max: 0.2}}}"

BEYOND = [
    ("run_cpa: 3", "run_cpa: got 3; no such key of a sweep; did you mean run_cap?"),
    ("x: &x {min: 0.1}", "x: got {'min': 0.1}; no such key of a sweep; correct or remove it"),
    ("name: 2026", "name: got 2026; W&B takes a text here; put it in quotes"),
    ("kind: Sweep", "kind: got 'Sweep'; W&B takes sweep here; write kind: sweep"),
    ("metric: {name: m, gaol: x}", "metric.gaol: got 'x'; no such key of metric; use one of goal, impute, impute_whi"),
    ("metric: {name: m, impute: bst}", "metric.impute: got 'bst'; W&B takes one of latest, best, worst here; did you"),
    (
        "metric: {name: m, impute_while_running: false}",
        "metric.impute_while_running: got False; W&B takes one of latest, best, worst, false here; did you mean false?",
    ),
    (
        "scheduler: {engine: ax}\nmetrics: [{name: m}, {name: n, gaol: x}]",
        "metrics[1].gaol: got 'x'; no such key of metrics; use one of goal,",
    ),
    (
        "early_terminate: {type: hyperband, min_iter: 2, etta: 3}",
        "early_terminate.etta: got 3; no such key of early_terminate; use one of eta, max_iter",
    ),
    (
        "early_terminate: {type: hyperband, min_iter: 2, max_iter: 9, s: 2}",
        "early_terminate.min_iter: got 2; beside max_iter it is not read; remove one of the two",
    ),
    ("controller: {}", "controller: got {}; W&B wants its type; write {type: local}, or remove it"),
    (
        "scheduler: {engine: optuna, optimizer: study}",
        "scheduler.optimizer: got 'study'; is a function of a file that is not named; add source, the file",
    ),
    (
        "scheduler: {engine: optuna}\nparameters: null",
        "parameters: nothing says what to try; add lr: {values: [...]}, or a search_space to scheduler",
    ),
    (
        "controller: {type: local}\nparameters: null",
        "parameters: nothing says what to try; add lr: {values: [...]}",
    ),
    (
        "method: grid\nparameters: {a: {distribution: q_log_uniform_values, min: 1, max: 8}}",
        "parameters.a.distribution: got 'q_log_uniform_values'; W&B's grid does not take it; list values, or use q_un",
    ),
    (
        "parameters: {my lr: {value: 1}}",
        "parameters.my lr: got 'my lr'; W&B takes names of letters, digits, _, . and -, that begin with a letter or _",
    ),
    (
        "parameters: {a: {parameters: {2b: {value: 1}}}}",
        "parameters.a.2b: got '2b'; W&B takes names of letters",
    ),
    (
        "parameters: {a: {parameters: {b: {value: 1}}, value: 2}}",
        "parameters.a.value: got 2; beside parameters it is not read; remove one of the two",
    ),
    (
        "parameters: {a: {mu: 1, sigma: 2}}",
        "parameters.a: got {'mu': 1, 'sigma': 2}; W&B knows a normal by its name alone; add distribution: normal",
    ),
    (
        "parameters: {a: {distribution: categorical, values: [1, 2], probabilities: [0.5, 0.5]}}",
        "parameters.a.distribution: got 'categorical'; W&B takes no probabilities beside it; write distribution: cate",
    ),
    (
        "parameters: {a: {distribution: log_uniform, min: -9, max: -2}}",
        "parameters.a.distribution: got 'log_uniform'; W&B warns of it, for its bounds are exponents of e; write dist",
    ),
]


@pytest.mark.parametrize(("more", "line"), BEYOND)
def test_what_the_schema_does_not_allow_is_a_warning(more: str, line: str) -> None:
    (finding,) = read_mapping(yaml.safe_load(HEAD) | yaml.safe_load(more)).warnings
    assert finding.severity == "warning"
    assert str(finding).startswith(line)


@pytest.mark.parametrize(
    "more",
    [
        "kind: sweep\napiVersion: '1'\nsettings: {a: b}\nimage_uri: x\njob: y\ncontroller: {type: cloud}",
        "metric: {name: m, goal: maximize, target: 1, impute: worst, impute_while_running: 'false'}",
        "early_terminate: {type: hyperband, max_iter: 9, s: 2, eta: 2, strict: true}",
        "method: custom\nscheduler: {engine: optuna, source: a.py, search_space: b}\nparameters: null",
        "parameters: {a-b.c: {values: [1], probabilities: [1.0]}, parameters: {parameters: {_b: {value: {min: 1}}}}}",
        "parameters: {a: {distribution: categorical_w_probabilities, values: [1], probabilities: [1.0]}}",
    ],
)
def test_what_it_allows_is_clean(more: str) -> None:
    assert list(unportable(yaml.safe_load(HEAD) | yaml.safe_load(more))) == []
