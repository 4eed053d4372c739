"""How a sweep file starts trials and search: what agents and `wandb sweep-scheduler` would stumble over."""

import pytest

from cola_sweep import start_rules
from cola_sweep.space import read_text

COMMAND = '["${env}", "${interpreter}", "-m", "cola_sweep.train"]'
SCHEDULER = "{engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}"


def said(
    *, command: str = COMMAND, program: str = "null", scheduler: str = "null", method: str = "", more: str = ""
) -> list[str]:
    method = method or ("random" if scheduler == "null" else "custom")
    text = f"method: {method}\ncommand: {command}\nprogram: {program}\nscheduler: {scheduler}\n{more}\n"
    spec = read_text(text + "metric: {name: valid/mcc_best, goal: maximize}\nparameters: {lr: {min: 0.1, max: 0.2}}")
    return [f"{finding.severity}: {finding}" for finding in start_rules.findings(spec)]


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (COMMAND, "null"),
        ("null", "cola_sweep/train.py"),
        ('["${envvar:PYTHON}", "${program}", "${args_json_file}"]', "cola_sweep/train.py"),
        ("[bash, run.sh]", "cola_sweep/train.py"),
        ("[python, -m, other.train, --lr, 5]", "null"),
    ],
)
def test_what_starts_a_trial_is_clean(command: str, program: str) -> None:
    assert said(command=command, program=program) == []


@pytest.mark.parametrize(
    ("command", "program", "line"),
    [
        ("null", "null", 'warning: command: names nothing that an agent could start; write command: ["${env}", "${in'),
        ('["${env}", "${interpreter}", "${args}"]', "train.py", "warning: command: got ['${env}', '${interpreter}',"),
        ('["${interpreter}", "${program}"]', "null", "warning: command: got ['${interpreter}', '${program}']; names n"),
        (COMMAND.replace("interp", "intep"), "null", "error: command[1]: got '${intepreter}'; no such macro: an agen"),
        (
            '[a, "${x}"]',
            "null",
            "error: command[1]: got '${x}'; no such macro: an agent leaves it out; use one of env,",
        ),
        (
            COMMAND.replace("train", "trian"),
            "null",
            "error: command[3]: got 'cola_sweep.trian'; is not the trial; writ",
        ),
        (
            COMMAND.replace("]", ", --batch-size=3]"),
            "null",
            "warning: command[4]: got '--batch-size=3'; a trial fails wh",
        ),
    ],
)
def test_what_starts_nothing_or_something_else_is_found(command: str, program: str, line: str) -> None:
    (found,) = said(command=command, program=program)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "optuna",
            "optunna",
            "error: scheduler.engine: got 'optunna'; must be one of optuna, ax, wandb; did you mean op",
        ),
        ("search_space: space, ", "", "error: scheduler.search_space: of cola_sweep/study.py it must be space; write"),
        (
            "optimizer: study",
            "optimizer: space",
            "error: scheduler.optimizer: got 'space'; of cola_sweep/study.py it mu",
        ),
    ],
)
def test_a_scheduler_that_would_not_start_is_an_error(old: str, new: str, line: str) -> None:
    (found,) = said(scheduler=SCHEDULER.replace(old, new))
    assert found.startswith(line)
    assert said(scheduler=SCHEDULER) == []


def test_a_scheduler_stops_early_by_its_own_pruner() -> None:
    early = "early_terminate: {type: hyperband, min_iter: 2}"
    (ours,) = said(scheduler=SCHEDULER, more=early)
    line = "warning: early_terminate: got 'hyperband'; W&B does not allow it beside a scheduler; "
    assert ours.startswith(f"{line}write pruner")
    assert said(scheduler="{engine: wandb}", method="bayes", more=early) == [f"{line}remove it"]


@pytest.mark.parametrize(
    ("scheduler", "method", "more", "line"),
    [
        (
            SCHEDULER,
            "bayes",
            "",
            "method: got 'bayes'; beside the engine optuna W&B takes custom; write method: custom",
        ),
        (
            "{engine: wandb}",
            "custom",
            "",
            "method: got 'custom'; beside the engine wandb W&B takes grid or random or bayes; write method: bayes",
        ),
        (
            "{engine: optuna, sampler: tpe}",
            "custom",
            "",
            "scheduler.sampler: got 'tpe'; no such key of scheduler; remove it",
        ),
        (
            SCHEDULER,
            "custom",
            "controller: {type: local}",
            "controller: got 'local'; a scheduler searches already; remove it",
        ),
        (
            "null",
            "random",
            "controller: {type: locl}",
            "controller.type: got 'locl'; must be local or cloud; did you mean local?",
        ),
    ],
)
def test_what_wandbs_schema_does_not_allow_beside_a_scheduler_is_warned_of(
    scheduler: str, method: str, more: str, line: str
) -> None:
    assert said(scheduler=scheduler, method=method, more=more) == [f"warning: {line}"]


@pytest.mark.parametrize("type", ["local", "cloud"])
def test_the_controllers_that_wandb_has_are_clean(type: str) -> None:
    assert said(more=f"controller: {{type: {type}}}") == []
