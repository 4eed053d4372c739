"""Agents as SLURM jobs, through submitit's executor for this machine; a whole sweep so is in tests/system."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cola_sweep.errors import UserError
from cola_sweep.launch import far, slurm
from cola_sweep.launch.slurm import Task

pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
ENV = {"WANDB_BASE_URL": "https://w.example", "WANDB_API_KEY": "k" * 40}
HERE = {"cluster": "local", "gpus_per_node": "0"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_each_job_runs_the_command_and_no_file_of_it_holds_the_key(folder: Path) -> None:
    before = dict(os.environ)
    jobs = slurm.submit(Task(["--version"]), 2, ENV, HERE)
    assert [job.result() for job in jobs] == [0, 0]
    assert "cola-sweep" in jobs[0].stdout()
    assert dict(os.environ) == before
    assert not any(b"kkkk" in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_it_says_what_slurm_has_and_leaves_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken: list[Task] = []
    paths = type("Paths", (), {"stdout": folder / "7" / "7_log.out"})
    job = type("Job", (), {"job_id": "7", "paths": paths})

    def submit(task: Task, n: int, env: Any, settings: Any) -> list[Any]:
        taken.append(task)
        return [job] * n

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slurm, "submit", submit)
        assert slurm.run("e/p/s", env=ENV, n=2, per_device=3, count=4, cold=True) == 0
    assert taken[0].words == ["agents", "e/p/s", "--per-device", "3", "--count", "4", "--cold"]
    assert capsys.readouterr().out.splitlines()[0] == "agents: SLURM has 2 jobs: 7, 7"


def test_a_job_that_has_to_go_stops_its_trials_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (  # a handler could run just before a call that waits for the signal, and that would wait for ever
        "import signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print(1, flush=True)\n"
        "signal.sigwaitinfo([signal.SIGTERM]); sys.exit(143)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as agents:
        assert agents.stdout
        agents.stdout.readline()
        monkeypatch.setattr(far, "start", lambda words, env: agents)
        task = Task(["agents", "e/p/s"])
        seen: list[Any] = []

        def interrupted(*words: Any) -> Any:
            """As submitit does it: in a signal's handler, while the task waits."""
            monkeypatch.setattr(os, "waitid", waitid)
            seen.append(task.checkpoint())
            return waitid(*words)

        waitid = os.waitid
        monkeypatch.setattr(os, "waitid", interrupted)
        with pytest.raises(RuntimeError, match=r"^cola-sweep agents e/p/s ended with 143$"):
            task()
    again = pickle.loads(pickle.dumps(seen[0])).function
    assert (again.words, again._agents) == (["agents", "e/p/s"], None)


@pytest.mark.parametrize(
    ("env", "settings", "says"),
    [
        (ENV | {"WANDB_BASE_URL": "http://127.0.0.1:8080"}, {}, "WANDB_BASE_URL: .*other machines cannot reach it"),
        (ENV, {}, "--on slurm: there is no sbatch here"),
        (ENV, HERE | {"gpu": "1"}, "--slurm: "),
        (ENV, {"cluster": "none"}, "--slurm: "),
    ],
)
def test_what_slurm_cannot_take_is_one_line(env: dict[str, str], settings: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=f"^{says}"):
        slurm.submit(Task([]), 1, env, settings)


def test_without_submitit_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"run pip install 'cola-sweep\[slurm\]'"):
        slurm.submit(Task([]), 1, ENV, {})


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells children")
def test_agents_are_stopped_when_their_starter_is_gone(folder: Path) -> None:
    """As on a machine that is taken away, so that trials save."""
    stand_in = folder / "cola_sweep"
    stand_in.mkdir()
    said = folder / "said"
    (stand_in / "__init__.py").write_text("")
    (stand_in / "__main__.py").write_text(
        "import os, signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        "print(os.environ.get('WANDB_SERVICE'), flush=True)\n"
        f"signal.sigwaitinfo([signal.SIGTERM])\nopen({str(said)!r}, 'w').write('stopped')\n"
    )
    script = (
        f"import os, sys; sys.path.insert(0, {str(Path(far.__file__).parents[2])!r})\n"
        f"from cola_sweep.launch import far; far.start([], {{'PYTHONPATH': {str(folder)!r}}}).wait()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        cwd=folder.parent,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"WANDB_SERVICE": "of the process that handed the job over"},
    ) as starter:
        assert starter.stdout
        assert starter.stdout.readline() == b"None\n"
        starter.send_signal(signal.SIGKILL)
        starter.stdout.read()  # to its end, which the agents hold open as long as they run
    assert said.read_text() == "stopped"
