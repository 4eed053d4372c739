"""Sweep files against what a trial takes and logs; every file of ours is one that passes."""

from argparse import Namespace
from pathlib import Path

import pytest

from cola_sweep.check import SWEEPS, check, main

ROOT = Path(__file__).parents[1]
HEAD = "method: bayes\nmetric: {name: valid/mcc, goal: maximize}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "sweep.yaml"


def said(file: Path, text: str) -> list[str]:
    file.write_text(text)
    return [f"{finding.severity}: {finding}".replace(str(file), "FILE") for finding in check(file)]


@pytest.mark.parametrize("path", sorted((ROOT / SWEEPS).glob("*.yaml")), ids=lambda path: path.stem)
def test_every_sweep_of_ours_is_clean(path: Path) -> None:
    assert check(path) == []


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ("{lrr: {value: 1.0}}", "parameters.lrr: got 1.0; no such key; did you mean 'lr'?"),
        ("{optimizer: {parameters: {lr: {value: 1.0}}}}", "parameters.optimizer.lr: got 1.0; no such key; use one of"),
        ("{lr: {min: -1.0, max: 1.0}}", "parameters.lr: got -1.0; must be above 0; write for example 5e-05"),
        ("{batch_size: {min: 8.0, max: 64.0}}", "must be a whole number; write for example 32"),
        ("{pooling: {values: [cls, max]}}", "parameters.pooling: got 'max'; must be one of cls, mean"),
    ],
)
def test_a_setting_that_no_trial_would_take_is_an_error(file: Path, parameters: str, line: str) -> None:
    (finding,) = said(file, f"{HEAD}parameters: {parameters}")
    assert finding.startswith("error: FILE: ")
    assert line in finding


@pytest.mark.parametrize(
    "parameters",
    [
        "{batch_size: {min: 8, max: 64}}",
        "{batch_size: {distribution: q_uniform, min: 8, max: 64, q: 8}}",
        "{lr: {mu: 1, sigma: 0.1}}",
    ],
)
def test_distributions_that_give_only_fitting_values_are_clean(file: Path, parameters: str) -> None:
    assert said(file, f"{HEAD}parameters: {parameters}") == []


def test_text_that_looks_like_a_number_and_bounds_without_room_are_warnings(file: Path) -> None:
    first, second = said(file, f"{HEAD}parameters: {{lr: {{values: [1e-5]}}, warmup: {{min: 0.1, max: 0.1}}}}")
    assert first.startswith("warning: FILE: parameters.lr.values[0]: got '1e-5'; YAML reads this as text")
    assert second.startswith("warning: FILE: parameters.warmup: got 0.1; min and max are the same")


def test_the_metric_must_be_logged_and_should_point_the_right_way(file: Path) -> None:
    space = "\nparameters: {lr: {value: 1.0}}"
    (finding,) = said(file, f"method: random\nmetric: {{name: val/mcc}}{space}")
    assert finding == "error: FILE: metric.name: got 'val/mcc'; no trial logs this metric; did you mean 'valid/mcc'?"
    (finding,) = said(file, f"method: random\nmetric: {{name: valid/mcc}}{space}")
    assert finding.startswith("warning: FILE: metric.goal: got 'minimize'")


def test_a_file_that_cannot_be_read_is_one_error(file: Path) -> None:
    (finding,) = said(file, "method: [")
    assert finding.startswith("error: FILE:1: is not YAML")
    assert "cannot be read" in str(check(file.with_name("none.yaml"))[0])


def test_exit_codes_and_output(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{HEAD}parameters: {{lr: {{value: 1.0}}}}")
    assert main(Namespace(files=[file])) == 0
    assert capsys.readouterr().out == f"{file}: ok\n"
    file.write_text(f"{HEAD}parameters: {{lrr: {{value: 1.0}}}}")
    assert main(Namespace(files=[file])) == 2
    assert capsys.readouterr().err.startswith(f"error: {file}: ")
