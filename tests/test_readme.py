"""Every command, target, file and setting that the README names is there and answers."""

import dataclasses
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from cola_sweep.cli import main
from cola_sweep.config import TrialConfig
from cola_sweep.metric_names import METRIC_NAMES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]


def words(command: str) -> list[str]:
    """The command without the variables that are set before it."""
    parts = shlex.split(command)
    while "=" in parts[0]:
        parts.pop(0)
    return parts


@cache
def helped(program: str, *rest: str) -> str:
    """What a program says to these words and `--help`; ours in this process, which has it imported."""
    if program == "cola-sweep":
        with pytest.raises(SystemExit) as end, redirect_stdout(StringIO()) as out:
            main([*rest, "--help"])
        assert end.value.code == 0
        return out.getvalue()
    start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    done = subprocess.run([*start, *rest, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("make ")])
def test_make_targets_can_be_made(command: str) -> None:
    done = subprocess.run(["make", "-n", *shlex.split(command)[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [c for c in COMMANDS if words(c)[0] in ("cola-sweep", "wandb", "python")])
def test_commands_take_the_flags_they_are_shown_with(command: str) -> None:
    program, *rest = words(command)
    shown = helped(program, *rest)
    assert all(flag in shown for flag in rest if flag.startswith("--"))


def test_flags_of_the_report_are_there() -> None:
    named = re.findall(r"`(--[a-z]+)", README.split("| `cola-sweep report` with")[1].split("\n\n")[0])
    shown = helped("cola-sweep", "report")
    assert named
    assert all(flag in shown for flag in named)


def test_every_command_is_of_a_kind_that_is_tested_here() -> None:
    kinds = {words(c)[0] for c in COMMANDS if not c.startswith(("export ", "source "))}
    assert kinds == {"make", "cola-sweep", "wandb", "python"}


def test_paths_named_in_the_text_exist() -> None:
    for path in re.findall(r"`((?:sweeps|tests|\.ci)/[\w./]*)`", README):
        assert (ROOT / path).exists(), path
    layout = README.split("## Layout")[1].split("```")[1]
    for name in re.findall(r"\w+\.py\b", layout):
        assert (ROOT / "cola_sweep" / name).exists(), name


def test_sweep_files_and_metrics_are_listed_whole() -> None:
    for path in (ROOT / "sweeps").glob("*.yaml"):
        assert f"`sweeps/{path.name}`" in README
    for name in METRIC_NAMES:
        assert f"`{name}`" in README


def test_every_make_target_is_explained_by_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    explained = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\w+)", explained, re.MULTILINE)) == targets


def test_every_setting_has_a_line_of_help() -> None:
    shown = helped("python", "-m", "cola_sweep.train")
    for field in dataclasses.fields(TrialConfig):
        assert f"--{field.name.replace('_', '-')} " in shown
        assert field.metadata["help"]
