"""Agents on one machine: shares, joined output, exit codes, signals; the agent itself is a stand-in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cola_sweep.launch import local
from cola_sweep.launch.local import run, trials_of, warm_trials

# Says who it is and how it ends; `wait` makes it a trial that runs until it is asked twice to stop.
STAND_IN = """
import os, signal, sys, threading
TRIAL = '''
import os, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("trial", os.getpid())
signal.sigwaitinfo([signal.SIGTERM])
sys.exit("stopped")
'''
sweep = sys.argv[-1]
asked = threading.Semaphore(0)
signal.signal(signal.SIGINT, lambda *_: asked.release())
print("args", *sys.argv[1:], "threads", os.environ["OMP_NUM_THREADS"], flush=True)
if sweep in ("trial", "left"):  # as the agent does: a trial in a group of its own
    import subprocess
    trial = subprocess.Popen([sys.executable, "-uc", TRIAL], process_group=0)
    if sweep == "left":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(trial.wait())  # at once: an interpreter on its way out has given its signal handlers back
if sweep == "wait":
    asked.acquire(); print("asked once", flush=True)
    asked.acquire(); print("asked twice", flush=True)
sys.exit(3 if sweep == "fails" else 0)
"""


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """An environment in which `python -m wandb` is the stand-in."""
    (tmp_path / "wandb.py").write_text(STAND_IN)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}


def test_output_is_joined_by_agent(stand_in: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run("e/p/s", n=2, count=3, env=stand_in, cold=True) == 0
    lines = sorted(capfd.readouterr().out.splitlines())
    assert lines == [f"agent {i} | args agent --count 3 e/p/s threads 1" for i in (1, 2)]


def test_a_failing_agent_gives_its_exit_code(stand_in: dict[str, str]) -> None:
    assert run("fails", n=2, env=stand_in, cold=True) == 3


def test_interrupts_reach_the_agents_one_by_one(stand_in: dict[str, str]) -> None:
    child = start("wait", stand_in)
    assert child.stdout
    assert "args" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert "asked once" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert "asked twice" in child.stdout.readline()
    child.communicate(timeout=300)
    assert child.returncode == 130


def test_the_agent_that_starts_during_an_interrupt_hears_it_and_none_starts_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []

    class Agent:
        pid = None

        def __init__(self, *_: object, **__: object) -> None:
            group.interrupt(1)

        def poll(self) -> None: ...

        def send_signal(self, number: int) -> None:
            told.append(number)

    monkeypatch.setattr(subprocess, "Popen", Agent)
    monkeypatch.setattr(local, "_relay", lambda agent, label: None)
    group = local._Agents("e/p/s", None)
    group.start({})
    group.start({})
    assert len(group.started) == 1
    assert told == [signal.SIGINT]


def test_an_interrupt_that_answers_the_line_of_another_is_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    group = local._Agents("e/p/s", None)
    said: list[str] = []

    def answered(line: str, **_: object) -> None:
        said.append(line)
        if len(said) == 1:
            group.hear(signal.SIGINT)

    monkeypatch.setattr(local, "print", answered, raising=False)
    group.hear(signal.SIGTERM)
    group.hear(signal.SIGINT)
    assert said == [f"agents: {local.STEPS[step]}" for step in (1, 2, 2)]


def start(sweep: str, env: dict[str, str]) -> "subprocess.Popen[str]":
    """`run` in a process of its own, that signals can be sent to."""
    ending = f"raise SystemExit(run({sweep!r}, n=1, env=os.environ, cold=True))"
    main = f"import os; from cola_sweep.launch.local import run; {ending}"
    return subprocess.Popen(
        [sys.executable, "-c", main], env=env, text=True, bufsize=1, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def trial_of(child: "subprocess.Popen[str]") -> int:
    """The trial's process, once it has said who it is."""
    assert child.stdout
    assert "args" in child.stdout.readline()
    return int(child.stdout.readline().split()[-1])


@linux
@pytest.mark.parametrize("sweep", ["trial", "left"])
def test_sigterm_stops_the_trials_of_a_living_agent_and_of_a_killed_one(stand_in: dict[str, str], sweep: str) -> None:
    child = start(sweep, stand_in)
    trial_of(child)
    child.send_signal(signal.SIGTERM)
    said = child.communicate(timeout=300)[0]  # to the end, which the trial holds open as long as it runs
    assert "stopped" in said
    assert child.returncode == (1 if sweep == "trial" else 128 + signal.SIGKILL)


@linux
def test_the_third_step_kills(stand_in: dict[str, str]) -> None:
    child = start("left", stand_in)
    trial = trial_of(child)
    os.kill(trial, signal.SIGSTOP)  # as one that hangs
    child.send_signal(signal.SIGTERM)
    assert child.stderr
    assert child.stderr.readline() == "agents: stopping trials; interrupt again to kill\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=300)[1] == "agents: killing\n"


@linux
def test_agents_whose_starter_is_killed_are_interrupted(stand_in: dict[str, str]) -> None:
    child = start("wait", stand_in)
    assert child.stdout
    assert "args" in child.stdout.readline()
    child.kill()
    child.wait()
    assert child.stdout.read() == ""  # its end of the pipe is the only one: the agents' goes through it
    child.communicate()


@linux
def test_only_what_leads_a_group_in_the_agents_session_is_a_trial() -> None:
    script = """if True:
        import subprocess, sys
        subprocess.Popen(["sleep", "60"])
        subprocess.Popen(["sleep", "60"], process_group=0)
        print(1, flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as agent:
        assert agent.stdout
        agent.stdout.read(1)
        (trial,) = trials_of(agent.pid)
        os.kill(trial, signal.SIGKILL)
        os.killpg(agent.pid, signal.SIGKILL)


@linux
def test_what_a_trial_leaves_behind_is_ended_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """An agent whose trial ends while a child of it would stay, and hold the agent's output, for an hour."""
    package = tmp_path / "wandb"
    package.mkdir()
    (package / "__init__.py").write_text("")
    trial = "import subprocess; print(subprocess.Popen(['sleep', '3600']).pid, flush=True)"
    agent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {trial!r}], process_group=0).wait()"
    (package / "__main__.py").write_text(agent)
    child = start("trial", os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"})
    said, _ = child.communicate(timeout=300)
    assert child.returncode == 0
    left = int(said.split()[-1])
    assert not Path(f"/proc/{left}").exists() or "Z" in Path(f"/proc/{left}/stat").read_text().split()[2]


class Trials:
    """Stands for time: at each look, free memory and the trials that run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: list[int | None]) -> None:
        self.free = iter(free)
        monkeypatch.setattr(local, "free_memory", lambda gpu: next(self.free))


@pytest.mark.parametrize(
    ("free", "trials", "wanted", "more"),
    [
        ([100, 100, 90, 80, 90], [[], [1], [1], []], 9, 3),  # it took 20 of 100, 80 were left: 3 more and a tenth
        ([100, 100, 90, 80, 90], [[], [1], [1], []], 2, 2),
        ([100, 40, 90], [[1], []], 9, 0),
        ([None, 50], [[1]], 9, 0),
    ],
)
def test_agents_are_added_when_the_first_trial_has_shown_what_it_takes(
    monkeypatch: pytest.MonkeyPatch, free: list[int | None], trials: list[list[int]], wanted: int, more: int
) -> None:
    Trials(monkeypatch, free)
    probe = local._Probe(None)
    answers = [probe.room(running, wanted) for running in trials]
    assert answers == [None] * (len(trials) - 1) + [more]


def test_a_long_first_trial_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    Trials(monkeypatch, [100, 90, 80])
    monkeypatch.setattr(local, "PROBE_SECONDS", 0.0)
    probe = local._Probe("0")
    assert probe.room([1], 5) == 5


def test_further_agents_of_a_device_start_after_the_probe(
    stand_in: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(local, "visible_gpus", lambda env: ["GPU-a", "GPU-b"])
    monkeypatch.setattr(local._Probe, "room", lambda probe, trials, wanted: 1)
    assert run("e/p/s", per_device=3, env=stand_in, cold=True) == 0
    assert len(capfd.readouterr().out.splitlines()) == 4, "two first agents, and one more on each GPU"


@linux
def test_a_warm_server_lives_as_long_as_the_agents(stand_in: dict[str, str]) -> None:
    with warm_trials(stand_in, cold=False) as choice:
        folder = Path(choice["COLA_SWEEP_WARM"]).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()
    with warm_trials(stand_in, cold=True) as choice:
        assert choice == {"COLA_SWEEP_WARM": "0"}
    with warm_trials(stand_in | {"COLA_SWEEP_WARM": "/run/theirs"}, cold=False) as choice:
        assert choice == {}, "the user's own serves them"
