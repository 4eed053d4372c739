"""The state on disk; that a trial goes on from it to the same end, tests/system/test_interrupted_trials.py shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from cola_sweep.errors import UserError
from cola_sweep.resume import STATE, Saved, commit, find

IDENTITY = {"config.lr": 1e-5, "config.dropout": None, "data": "d" * 64}
ROWS = [({"valid/mcc": 0.1 + 0.2}, 6)]


def write(folder: Path, epoch: int = 2, best: int = 1) -> Path:
    """A state of two parts, as a trial writes it."""
    checkpoint, model = folder / f"epoch-{epoch}.ckpt", folder / f"model-{best}"
    checkpoint.write_text(f"checkpoint {epoch}")
    model.mkdir(exist_ok=True)
    (model / "weights").write_text(f"weights {best}")
    commit(folder, epoch, IDENTITY, [checkpoint, model], ROWS, "bf16")
    return checkpoint


def test_what_was_written_is_found(tmp_path: Path) -> None:
    checkpoint = write(tmp_path)
    assert find(tmp_path, IDENTITY) == Saved(checkpoint, [[{"valid/mcc": 0.1 + 0.2}, 6]], "bf16")


def test_without_a_state_a_trial_begins_anew(tmp_path: Path, said: list[str]) -> None:
    assert find(tmp_path, IDENTITY) == find(tmp_path / "nowhere", IDENTITY) == Saved()
    assert said == []


def test_the_next_state_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, epoch=3, best=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-3.ckpt", "model-2", STATE]


def test_a_kill_between_two_states_leaves_the_first(tmp_path: Path) -> None:
    checkpoint = write(tmp_path)
    (tmp_path / "epoch-3.ckpt").write_text("half of a check")
    (tmp_path / f"{STATE}.123").write_text('{"epoch"')
    assert find(tmp_path, IDENTITY).checkpoint == checkpoint


@pytest.mark.parametrize(
    ("damage", "content"),
    [
        ("epoch-2.ckpt", b""),
        ("model-1/weights", None),
        (STATE, b""),
        (STATE, b"\xff{}"),
        (STATE, b"{}"),
        (STATE, b"[]"),
    ],
)
def test_a_damaged_state_is_no_state_and_is_said(
    tmp_path: Path, said: list[str], damage: str, content: bytes | None
) -> None:
    write(tmp_path)
    (tmp_path / damage).unlink() if content is None else (tmp_path / damage).write_bytes(content)
    assert find(tmp_path, IDENTITY) == Saved()
    assert "damaged" in said[0]
    assert not tmp_path.exists()


@pytest.mark.parametrize("name", list(IDENTITY))
def test_a_trial_that_differs_does_not_go_on(tmp_path: Path, name: str) -> None:
    write(tmp_path)
    other: dict[str, Any] = IDENTITY | {name: "other"}
    with pytest.raises(UserError, match=f"^{name}: got 'other'; the run was begun with "):
        find(tmp_path, other)
    assert json.loads((tmp_path / STATE).read_text())["epoch"] == 2, "it is not for us to remove"
