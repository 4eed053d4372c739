"""The demo's own steps; the whole of it runs as `make demo`."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cola_sweep import demo
from cola_sweep.demo import client_environment, create_sweep, main
from cola_sweep.errors import UserError


def test_no_other_wandb_setting_reaches_the_clients(tmp_path: Path) -> None:
    theirs = {"WANDB_API_KEY": "mine", "WANDB_MODE": "offline", "WANDB_PROJECT": "secret", "HOME": "/home/me"}
    env = client_environment(theirs, tmp_path, "http://127.0.0.1:1", "local-key")
    assert (env["WANDB_BASE_URL"], env["WANDB_API_KEY"]) == ("http://127.0.0.1:1", "local-key")
    assert "WANDB_MODE" not in env
    assert "WANDB_PROJECT" not in env
    assert env["HOME"] == "/home/me"
    assert all(
        Path(env[name]).is_relative_to(tmp_path) for name in ("WANDB_DIR", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR")
    )
    assert theirs["WANDB_API_KEY"] == "mine"


def stand_in(folder: Path, said: str) -> dict[str, str]:
    """An environment in which `python -m wandb` says this."""
    (folder / "wandb.py").write_text(f"print({said!r})")
    return {"PYTHONPATH": str(folder), "PATH": str(Path(sys.executable).parent)}


def test_the_sweeps_path_is_read_from_what_wandb_prints(tmp_path: Path) -> None:
    said = "wandb: Run sweep agent with: \x1b[33mwandb agent me/cola-sweep/ab12cd34\x1b[0m"
    assert create_sweep(Path("x.yaml"), stand_in(tmp_path, said)) == "me/cola-sweep/ab12cd34"


def test_a_refused_sweep_is_one_line_with_wandbs_own_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.yaml: wandb sweep refused it: Error: no such method") as refusal:
        create_sweep(Path("x.yaml"), stand_in(tmp_path, "Creating\nError: no such method"))
    assert "cola-sweep check x.yaml" in str(refusal.value)


def test_it_says_where_to_stand_when_the_sweep_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--sweep: got '.*none\.yaml'; is no file"):
        main(Namespace(sweep=tmp_path / "none.yaml", n=2))


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The demo with made-up steps: how its agents and its report end, and the states that its report lists."""

    def run(*, agents: int = 0, report: int = 0, states: tuple[str, ...] = ("finished",)) -> int:
        (tmp_path / "x.yaml").touch()
        (tmp_path / "reports" / "s1").mkdir(parents=True)
        (tmp_path / "reports" / "s1" / "runs.csv").write_text("\n".join(("state", *states)))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(demo, "server", lambda _: nullcontext(dict(os.environ)))
        monkeypatch.setattr(demo, "create_sweep", lambda *_: "e/p/s1")
        monkeypatch.setattr(demo.agents, "run", lambda *_, **__: agents)
        monkeypatch.setattr(demo, "cola_sweep", lambda *_: [sys.executable, "-c", f"raise SystemExit({report})"])
        return main(Namespace(sweep=Path("x.yaml"), n=2))

    return run


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ({}, 0),
        ({"states": ("failed", "finished")}, 0),
        ({"states": ("failed",)}, 1),
        ({"states": ()}, 1),
        ({"agents": 1}, 0),
        ({"agents": 130}, 130),
        ({"report": 2}, 2),
    ],
)
def test_the_exit_code_tells_whether_a_trial_finished_and_every_step_was_done(
    steps: Callable[..., int], ends: dict[str, Any], code: int
) -> None:
    assert steps(**ends) == code


def test_no_agent_is_no_demo() -> None:
    with pytest.raises(UserError, match="--n: got 0; must be at least 1"):
        main(Namespace(sweep=Path("x.yaml"), n=0))
