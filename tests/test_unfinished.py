"""The trial's folder and its way through a run's files; with the real server: system/test_interrupted_trials.py."""

import os
import shutil
import time
import zipfile
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cola_sweep import unfinished
from cola_sweep.endings import Stopped, TrialFailed
from cola_sweep.resume import STATE, commit, read_state
from cola_sweep.unfinished import ABANDONED_SECONDS, receive, remove_abandoned, send, trial_folder


class Files:
    """What a run has among its files, in a folder that stands for the server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def upload_file(self, path: str, root: str) -> None:
        target = self.folder / Path(path).relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)

    def files(self, pattern: str) -> list[Any]:
        return [self.file(path) for path in self.folder.glob(pattern.replace("%", "*"))]

    def file(self, path: Path) -> Any:
        name = str(path.relative_to(self.folder))

        def download(root: str) -> Any:
            (Path(root) / name).parent.mkdir()
            return Path(shutil.copy(path, Path(root) / name)).open()

        return SimpleNamespace(name=name, download=download, delete=path.unlink)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    found = Files(tmp_path / "server")
    monkeypatch.setattr(unfinished, "_public", lambda run: found)
    return found


def run_of(folder: Path, *, resumed: bool) -> Any:
    return SimpleNamespace(
        settings=SimpleNamespace(wandb_dir=str(folder)), id="abc", resumed=resumed, offline=False, sweep_id=None
    )


def write(folder: Path, epoch: int) -> None:
    """A state of a checkpoint and a model, as a trial keeps it."""
    (folder / "model-0").mkdir(parents=True, exist_ok=True)
    (folder / "model-0" / "weights").write_text(f"of {epoch}")
    (folder / f"epoch-{epoch}.ckpt").write_text(f"checkpoint {epoch}")
    commit(folder, epoch, {}, [folder / f"epoch-{epoch}.ckpt", folder / "model-0"])


def epoch_in(folder: Path) -> int | None:
    state = read_state(folder)
    return state["epoch"] if state else None


def test_a_state_that_is_sent_is_received_whole_on_another_machine(
    tmp_path: Path, files: Files, said: list[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    write(here, 2)
    send(run_of(tmp_path, resumed=False), here)
    assert not here.exists(), "from now on the run's files are the one place to look"
    assert [file.name for file in files.files("resume/%")] == ["resume/epoch-00002.zip"]
    receive(run_of(tmp_path, resumed=True), there)
    assert (epoch_in(there), said) == (2, [])
    assert (there / "model-0" / "weights").read_text() == "of 2"


@pytest.mark.parametrize(("mine", "sent", "found"), [(None, 3, 3), (2, 3, 3), (3, 3, 3), (10, 9, 10), (2, None, 2)])
def test_the_newest_state_is_the_one_that_counts(
    tmp_path: Path, files: Files, said: list[str], mine: int | None, sent: int | None, found: int
) -> None:
    if sent is not None:
        write(tmp_path / "other", sent)
        send(run_of(tmp_path, resumed=False), tmp_path / "other")
    if mine is not None:
        write(tmp_path / "mine", mine)
    receive(run_of(tmp_path, resumed=True), tmp_path / "mine")
    assert (epoch_in(tmp_path / "mine"), said) == (found, [])


def test_what_cannot_be_sent_stays_and_is_said(
    tmp_path: Path, files: Files, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    def refuse(path: str, root: str) -> None:
        raise ConnectionError("no way there")

    monkeypatch.setattr(files, "upload_file", refuse)
    write(tmp_path / "here", 2)
    send(run_of(tmp_path, resumed=False), tmp_path / "here")
    assert epoch_in(tmp_path / "here") == 2
    (line,) = said
    assert "from this machine alone" in line
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == ["epoch-2.ckpt", "model-0", "state.json"]


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (None, False),
        (TrialFailed("diverged"), False),
        (Stopped(15, by_server=True), False),
        (Stopped(15), True),
        (KeyboardInterrupt(), True),
        (ZeroDivisionError(), True),
    ],
)
def test_the_folder_goes_when_the_trial_has_come_to_its_end(
    tmp_path: Path, files: Files, error: BaseException | None, stays: bool
) -> None:
    write(tmp_path / "other", 1)
    send(run_of(tmp_path, resumed=False), tmp_path / "other")
    with suppress(BaseException), trial_folder(run_of(tmp_path, resumed=True)) as folder:
        if error:
            raise error
    assert folder.exists() is stays
    assert bool(files.files("resume/%")) is stays


def test_folders_that_nobody_came_back_to_go_after_a_week(tmp_path: Path) -> None:
    for name, age in (("old", ABANDONED_SECONDS + 60), ("young", ABANDONED_SECONDS - 3600)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / "gone").symlink_to("nowhere")  # there when it was listed, and no longer when it is looked at
    remove_abandoned(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone", "young"]


@pytest.mark.parametrize("mine", [None, 2])
def test_what_was_sent_and_cannot_be_unpacked_leaves_what_is_here(
    tmp_path: Path, files: Files, said: list[str], mine: int | None
) -> None:
    packed = files.folder / "resume" / "epoch-00005.zip"
    packed.parent.mkdir(parents=True)
    packed.write_bytes(b"half of a zip")
    if mine is not None:
        write(tmp_path / "here", mine)
    receive(run_of(tmp_path, resumed=True), tmp_path / "here")
    assert epoch_in(tmp_path / "here") == mine
    (line,) = said
    assert "no checkpoint was taken" in line


def test_what_was_sent_and_is_not_whole_leaves_what_is_here(tmp_path: Path, files: Files, said: list[str]) -> None:
    write(tmp_path / "other", 5)
    state = (tmp_path / "other" / STATE).read_text()
    (files.folder / "resume").mkdir(parents=True)
    with zipfile.ZipFile(files.folder / "resume" / "epoch-00005.zip", "w") as file:
        file.writestr(STATE, state)  # and none of the files that it names
    write(tmp_path / "trials" / "abc", 2)
    receive(run_of(tmp_path, resumed=True), tmp_path / "trials" / "abc")
    assert epoch_in(tmp_path / "trials" / "abc") == 2
    (line,) = said
    assert "damaged" in line
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["abc"], "nothing is left beside it"
