"""The command line as a person meets it: help, typos, exit codes."""

import subprocess
import sys
from pathlib import Path

import pytest

from cola_sweep import __version__
from cola_sweep.cli import COMMANDS, main


def cola_sweep(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "cola_sweep", *words], capture_output=True, text=True)


def test_version() -> None:
    assert cola_sweep("--version").stdout.strip() == f"cola-sweep {__version__}"


@pytest.mark.parametrize("command", COMMANDS)
def test_half_a_flag_is_no_flag(command: str) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--hel"])
    assert end.value.code == 2


def test_every_parser_is_one_of_ours() -> None:
    """Whose mistakes are one line, and which takes no half flags."""
    package = Path(__file__).parents[1] / "cola_sweep"
    stock = [path.name for path in package.rglob("*.py") if "argparse.ArgumentParser(" in path.read_text("utf-8")]
    assert stock == [], "errors.py makes it a class"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "COMMAND"),
        (["agnts"], "'agnts'"),
        (["agents"], "sweep"),
        (["agents", "e/p/s", "--nn", "2"], "--nn"),
        (["agents", "e/p/s", "--n", "0"], "--n: got 0; must be at least 1; write --n 1"),
        (["agents", "e/p/s", "--count", "-3"], "--count: got -3"),
    ],
)
def test_a_typo_is_one_line_and_exit_code_2(words: list[str], says: str) -> None:
    done = cola_sweep(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr
