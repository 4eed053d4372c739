"""A sweep as an Optuna study, and the command that serves it."""

import builtins
import json
import socket
import threading
import urllib.request
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from cola_sweep import dashboard, snapshot
from cola_sweep.cli import main
from cola_sweep.errors import UserError
from cola_sweep.records import Record
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeSweep, fake_runs


def record(number: int, state: str = "finished", mcc: float | None = 0.5, **config: Any) -> Record:
    epochs = [] if mcc is None else [{"epoch": 1, "step": 3, "valid/mcc": mcc / 2}, {"epoch": 2, "valid/mcc": mcc}]
    created = f"2026-11-20T10:0{number}:00Z"
    return Record(
        f"r{number}", f"run {number}", state, created, f"http://x/r{number}", config, {"_runtime": 60}, epochs
    )


def taken(*found: Record, **parameters: Any) -> snapshot.Snapshot:
    config = {**CONFIG, "parameters": parameters or CONFIG["parameters"]}
    return snapshot.Snapshot(PATH, "lr", "http://x", "finished", config, "valid/mcc", "maximize", found, {}, (), ())


def test_each_run_is_a_trial() -> None:
    lr = {"batch_size": 16, "checkpoint": "c", "epochs": 4}
    study = dashboard.study_of(
        taken(
            record(0, mcc=0.25, lr=1e-4, **lr), record(1, "killed", lr=2e-4, **lr), record(2, "crashed", lr=3e-4, **lr),
            record(3, "running", lr=4e-4, **lr), record(4, mcc=None, lr=5e-4, **lr), record(5),
        )
    )  # fmt: skip
    assert study.study_name == "lr (k3x9a1bc)"
    assert study.user_attrs == {"metric": "valid/mcc", "sweep": "http://x"}
    states = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.FAIL]
    assert [trial.state for trial in study.trials] == [*states, TrialState.COMPLETE]
    first = study.trials[0]
    assert first.params == {"lr": 1e-4, "batch_size": 16, "checkpoint": "c"}
    assert (first.value, first.intermediate_values) == (0.25, {1: 0.125, 2: 0.25})
    assert first.duration is not None
    assert first.duration.total_seconds() == 60
    assert first.user_attrs == {"run": "run 0", "page": "http://x/r0", "state": "finished"}
    assert study.trials[5].params == {}, "what a run does not have is not made up"
    assert study.best_value == 0.5


def test_a_parameter_is_what_it_can_be_and_was() -> None:
    found = [
        record(0, lr=1e-4, layers=2, loss="focal", nested={"depth": 3}, gate=True, wide=[1, 2], beyond=9.0),
        record(1, lr=5.0, layers=4, loss="plain", nested={"depth": 4}, gate=False, wide=None, beyond=0.5),
    ]
    study = dashboard.study_of(
        taken(
            *found,
            lr={"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3},
            layers={"min": 1, "max": 6}, loss={"values": ["plain", "focal"]}, gate={"values": [True, False]},
            nested={"parameters": {"depth": {"distribution": "normal", "mu": 3, "sigma": 1}}},
            wide={"values": [[1, 2], [3]]}, beyond={"min": 0.0, "max": 1.0},
            fixed={"value": 3}, never={"values": [1, 2]},
        )
    )  # fmt: skip
    assert study.trials[0].distributions == {
        "lr": FloatDistribution(1e-5, 5.0, log=True),
        "layers": IntDistribution(1, 6),
        "loss": CategoricalDistribution(["plain", "focal"]),
        "gate": CategoricalDistribution(["true", "false"]),
        "nested.depth": IntDistribution(3, 4),
        "wide": CategoricalDistribution(["[1, 2]", "[3]"]),
        "beyond": FloatDistribution(0.0, 9.0),
    }
    assert study.trials[0].params["wide"] == "[1, 2]"
    assert "wide" not in study.trials[1].params


@pytest.fixture
def pulled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dashboard, "connect", lambda: FakeApi([FakeSweep()], fake_runs(12, sentences=4)))
    monkeypatch.setattr(dashboard.kept, "default_folder", lambda: tmp_path)


@pytest.fixture
def wsgi_port(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """optuna-dashboard's own application, on a free port, until it was asked once."""
    import optuna_dashboard

    class Silent(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    ports: list[Any] = []

    def run_server(storage: Any, host: str, port: int) -> None:
        with make_server(host, 0, optuna_dashboard.wsgi(storage), handler_class=Silent) as http:
            ports.append(http.server_port)
            thread = threading.Thread(target=ask, args=(http.server_port,))
            thread.start()
            http.handle_request()
            thread.join()

    def ask(port: int) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/studies", timeout=300) as answer:
            ports.append(json.load(answer)["study_summaries"][0]["study_name"])

    monkeypatch.setattr(optuna_dashboard, "run_server", run_server)
    return ports


def test_the_dashboard_shows_the_sweep(pulled: None, wsgi_port: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", PATH]) == 0
    assert wsgi_port[1] == "lr and batch size (k3x9a1bc)"
    assert "12 trials at http://127.0.0.1:8081/" in capsys.readouterr().out


def test_a_port_that_is_taken_is_one_line(pulled: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken_port:
        port = str(taken_port.getsockname()[1])
        with pytest.raises(UserError, match=r"--port: got .*; cannot be used .*in use"):
            main(["dashboard", PATH, "--port", port])


def test_without_the_extra_the_command_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "optuna_dashboard":
            raise ImportError("No module named 'optuna_dashboard'")
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"needs optuna-dashboard .*pip install 'cola-sweep\[dashboard\]'"):
        main(["dashboard"])
