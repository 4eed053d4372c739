"""The demo's own steps; the whole of it runs as `make demo`."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest

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
