"""What `make` does before there is an environment."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# As typed in a shell, whatever `make` runs these tests.
ENV = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}


def test_bytecode_is_written_whatever_the_environment_says() -> None:
    """Else each process of a trial or a test compiles torch and all it needs again."""
    done = subprocess.run(
        ["make", "--silent", "-f", "Makefile", "-f", "-", "all"], cwd=ROOT, input="all: ; @env\n", capture_output=True,
        env=ENV | {"PYTHONDONTWRITEBYTECODE": "1"}, text=True, check=True,
    )  # fmt: skip
    assert "PATH=" in done.stdout
    assert "PYTHONDONTWRITEBYTECODE" not in done.stdout


@pytest.mark.parametrize("python", ["", "false", "/nowhere/python3"])
def test_without_a_python_that_is_new_enough_nothing_is_made(tmp_path: Path, python: str) -> None:
    venv = tmp_path / "venv"
    command = ["make", "install", f"PYTHON={python}", f"VENV={venv}"]
    done = subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: PYTHON: got '{python}'; must be Python 3.11 or newer; ")
    assert not venv.exists()


@pytest.mark.parametrize("failing", [None, "python", "ruff", "mypy"])
def test_tests_and_lint_run_side_by_side_and_each_may_fail_the_whole(tmp_path: Path, failing: str | None) -> None:
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "ruff", "mypy"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$1" >> {tmp_path}/said; exit {int(name == failing)}\n')
        (programs / name).chmod(0o755)
    (tmp_path / "venv" / "installed").touch()
    command = ["make", "test", f"VENV={os.path.relpath(tmp_path / 'venv', ROOT)}"]
    done = subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True)
    assert (done.returncode != 0) is bool(failing), done.stderr
    said = (tmp_path / "said").read_text()
    assert "python -m" in said
    assert failing or {"python -m", "ruff check", "ruff format", "mypy --no-error-summary"} == set(said.splitlines())
