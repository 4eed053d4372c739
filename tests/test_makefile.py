"""What `make` does before there is an environment."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("python", ["", "false", "/nowhere/python3"])
def test_without_a_python_that_is_new_enough_nothing_is_made(tmp_path: Path, python: str) -> None:
    venv = tmp_path / "venv"
    command = ["make", "install", f"PYTHON={python}", f"VENV={venv}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: PYTHON: got '{python}'; must be Python 3.11 or newer; ")
    assert not venv.exists()
