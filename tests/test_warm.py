"""Trials through a warm server against cold ones; the trial is a stand-in, the server preloads next to nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cola_sweep import warm, warm_server
from cola_sweep.errors import UserError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the warm server is for Linux alone")

# Says what it can see of itself, then does what its first argument says.
TRIAL = """
if __name__ == "__main__":
    from cola_sweep import warm
    warm.hand_over()

import atexit, json, os, random, resource, select, signal, sys, tempfile, threading, time
seen = {
    "argv": sys.argv, "orig_argv": sys.orig_argv, "path": sys.path, "cwd": os.getcwd(), "env": dict(os.environ),
    "umask": os.umask(0), "name": __name__, "spec": __spec__.name, "file": __file__,
    "threads": threading.active_count(), "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "signals": {n: str(signal.getsignal(n)) for n in signal.valid_signals()}, "tmp": tempfile.gettempdir(),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "stdout": [sys.stdout.encoding, sys.stdout.line_buffering, sys.stdout.write_through, sys.stdout.isatty()],
    "main": sys.modules["__main__"].__dict__ is globals(), "leader": os.getpgid(0) == os.getpid(), "random": None,
}
def wait():
    print("waiting", flush=True)
    while not select.select([0], [], [], 0.1)[0]:
        pass  # a signal that came just before a read would be handled only after it
    return sys.stdin.readline()
def said(number, _):
    print("signal", number, flush=True)
what = sys.argv[1]
if what == "see":
    print(json.dumps([warm.inside, random.random(), seen] if "warm" in globals() else [False, 0, seen]))
    print("to stderr", file=sys.stderr)
    print("read", sys.stdin.read())
elif what == "raise":
    raise ValueError("mine")
elif what == "exit":
    sys.exit(int(sys.argv[2]) if len(sys.argv) > 2 else "some words")
elif what == "crash":
    os.kill(os.getpid(), int(sys.argv[2]))
elif what == "handle":
    for number in map(int, sys.argv[2:]):
        signal.signal(number, said)
    while wait() == "":  # a signal leaves readline as it is; the end of stdin comes as an empty line
        time.sleep(0.01)
    sys.exit(9)
elif what == "wait":
    atexit.register(lambda: (time.sleep(0.1), print("inside", warm.inside)))
    wait()
    sys.exit(9)
"""


class Place:
    """A folder with a copy of the modules that matter, so that nobody's edit makes a trial cold but a test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "private" / "socket"
        package = folder / "cola_sweep"
        package.mkdir()
        for module in ("__init__", "errors", "warm", "warm_server", "warm_trial"):
            shutil.copy(Path(warm.PACKAGE, f"{module}.py"), package)
        (folder / "trial.py").write_text(TRIAL)
        (folder / "elsewhere").mkdir()
        self.env = {**os.environ, "COLA_SWEEP_WARM": str(self.socket), "PYTHONPATH": str(folder)}

    def serve(self, *words: str, preload: str = "json") -> "subprocess.Popen[str]":
        """A server that is ready, or has ended."""
        command = [sys.executable, "-m", "cola_sweep.warm_server", "--socket", str(self.socket), *words]
        server = subprocess.Popen(
            [*command, "--preload", preload], cwd=self.folder, env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0,
        )  # fmt: skip
        assert server.stdout
        if server.stdout.readline() != "warm: ready\n":
            server.wait(300)
        return server

    def start(self, *words: str, program: str = "trial", **changes: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", program, *words], cwd=self.folder / "elsewhere", env=self.env | changes,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
        )  # fmt: skip

    def waiting(self, *words: str) -> "subprocess.Popen[str]":
        """A trial that has said that it waits."""
        trial = self.start(*words)
        assert trial.stdout
        assert trial.stdout.readline() == "waiting\n"
        return trial

    def run(self, *words: str, program: str = "trial", **changes: str) -> tuple[int, str, str]:
        trial = self.start(*words, program=program, **changes)
        out, err = trial.communicate("typed", timeout=300)
        return trial.returncode, out, err

    def is_warm(self, **changes: str) -> bool:
        code, out, err = self.run("see", **changes)
        assert code == 0, err
        return json.loads(out.splitlines()[0])[0] is True


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate(timeout=300)


def rest_after_kill(trial: "subprocess.Popen[str]") -> str:
    """What a trial still says after its client was killed; read to the end, so the trial is gone too."""
    assert trial.stdout
    trial.kill()
    trial.wait(300)
    rest = trial.stdout.read()
    trial.communicate()
    return rest


@pytest.fixture(autouse=True, scope="module")
def no_signal_is_ignored() -> Iterator[None]:
    """Programs inherit what is ignored, as under `nohup` or behind a shell's `&`; a handler is not inherited."""
    ignored = [n for n in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("warm"))
    server = place.serve()
    yield place
    server.terminate()
    assert server.communicate(timeout=300)[0] is not None
    assert server.returncode == 0
    assert not place.socket.exists()


@pytest.fixture
def own_place(tmp_path: Path) -> Place:
    """One whose server the test starts, and ends or breaks."""
    return Place(tmp_path)


def test_a_warm_trial_sees_what_a_cold_one_sees(place: Place) -> None:
    def see(**changes: str) -> tuple[object, object, object, dict[str, object], str, str]:
        code, out, err = place.run("see", "--lr", "1e-5", "", "\udcff", X="Zoë", **changes)
        first, rest = out.split("\n", 1)
        inside, drawn, seen = json.loads(first)
        seen["env"].pop("COLA_SWEEP_WARM")
        return inside, drawn, code, seen, rest, err

    before = os.umask(0o027)
    try:
        cold, warm_one, again = see(COLA_SWEEP_WARM="0"), see(), see()
    finally:
        os.umask(before)
    assert (cold[0], warm_one[0]) == (False, True)
    assert cold[2:] == warm_one[2:]
    assert cold[3]["umask"] == 0o027
    assert warm_one[4] == "read typed\n"
    assert warm_one[1] != again[1], "two trials drew the same random number"


def test_signals_that_whoever_started_it_ignores_stay_ignored(place: Place) -> None:
    ignoring = ["sh", "-c", f"trap '' HUP; exec {sys.executable} -m trial see"]
    for choice in ({"COLA_SWEEP_WARM": "0"}, {}):
        done = subprocess.run(
            ignoring, cwd=place.folder, env=place.env | choice, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        inside, _, seen = json.loads(done.stdout.splitlines()[0])
        assert inside is not bool(choice)
        assert seen["signals"][str(int(signal.SIGHUP))] == "1"


@pytest.mark.parametrize(
    "words", [["exit", "0"], ["exit", "7"], ["exit", "-1"], ["exit"], ["crash", "6"], ["crash", "9"], ["crash", "15"]]
)
def test_it_ends_as_the_cold_one_ends(place: Place, words: list[str]) -> None:
    assert place.run(*words) == place.run(*words, COLA_SWEEP_WARM="0")


def test_an_exception_has_its_traceback(place: Place) -> None:
    code, _, err = place.run("raise")
    assert code == 1
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("ValueError: mine\n")


def test_signals_reach_the_trial_and_the_trials_end_is_the_clients(place: Place) -> None:
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT]
    trial = place.waiting("handle", *(str(int(number)) for number in numbers))
    assert trial.stdout
    for number in numbers:
        trial.send_signal(number)
        assert trial.stdout.readline() == f"signal {int(number)}\n"
    trial.communicate("go on\n", timeout=300)
    assert trial.returncode == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2])
def test_a_signal_that_the_trial_does_not_handle_ends_both(place: Place, number: int) -> None:
    trial = place.waiting("wait")
    trial.send_signal(number)
    assert trial.wait(300) == -number
    trial.communicate(timeout=300)


def test_a_stopped_trial_goes_on_when_it_is_told_to(place: Place) -> None:
    trial = place.waiting("wait")
    trial.send_signal(signal.SIGTSTP)
    os.waitid(os.P_PID, trial.pid, os.WSTOPPED)
    trial.send_signal(signal.SIGCONT)
    assert trial.communicate("\n", timeout=300)[0] == "inside True\n"
    assert trial.returncode == 9


def test_a_killed_client_takes_its_trial_along(place: Place) -> None:
    trial = place.waiting("wait")
    assert rest_after_kill(trial) == ""
    assert place.is_warm()


def test_trials_run_side_by_side(place: Place) -> None:
    first, second = place.waiting("wait"), place.waiting("wait")
    assert second.communicate("\n", timeout=300)[0] == "inside True\n"
    assert first.communicate("\n", timeout=300)[0] == "inside True\n"
    assert (first.returncode, second.returncode) == (9, 9)


def test_a_trial_outlives_its_server_and_still_says_how_it_ended(own_place: Place) -> None:
    server = own_place.serve()
    going, killed, orphan = (own_place.waiting("wait") for _ in range(3))
    end(server)
    assert going.communicate("\n", timeout=300)[0] == "inside True\n"
    assert going.returncode == 9
    assert rest_after_kill(orphan) == ""
    killed.send_signal(signal.SIGTERM)
    assert killed.wait(300) == 1
    _, err = killed.communicate(timeout=300)
    assert err == "error: the trial ended without an exit code, as did its warm server\n"
    assert not own_place.is_warm(), "the dead server's socket is still there"
    again = own_place.serve()
    assert own_place.is_warm()
    end(again)


def test_a_temporary_folder_of_an_import_is_each_trials_own(own_place: Place) -> None:
    (own_place.folder / "scratch.py").write_text("import tempfile\nfolder = tempfile.TemporaryDirectory()\n")
    (own_place.folder / "scratching.py").write_text(
        TRIAL[: TRIAL.index("import atexit")]
        + "import os, scratch\nprint(scratch.folder.name, os.listdir(scratch.folder.name))"
    )
    server = own_place.serve(preload="scratch")
    said = {own_place.run(program="scratching")[1] for _ in range(2)}
    assert len(said) == 2
    for line in said:
        folder, content = line.split(" ", 1)
        assert content == "[]\n"
        assert not Path(folder).exists(), "left behind"
    server.terminate()
    server.communicate(timeout=300)


def test_a_server_ends_with_its_owner_and_after_its_trials(own_place: Place) -> None:
    server = own_place.serve("--until-eof")
    assert server.stdin
    assert server.stdout
    trial = own_place.waiting("wait")
    server.stdin.close()
    assert server.stdout.readline() == "warm: waiting for 1 running trials\n"
    assert not own_place.is_warm()
    trial.communicate("\n", timeout=300)
    assert trial.returncode == 9
    assert server.wait(300) == 0
    server.stdout.close()


def test_a_server_asked_twice_leaves_at_once_and_its_trials_go_on(own_place: Place) -> None:
    server = own_place.serve()
    assert server.stdout
    trial = own_place.waiting("wait")
    server.terminate()
    assert server.stdout.readline().startswith("warm: waiting")
    server.terminate()
    server.communicate(timeout=300)
    trial.communicate("\n", timeout=300)
    assert (server.returncode, trial.returncode) == (0, 9)


def change_code(place: Place) -> None:
    (place.folder / "cola_sweep" / "errors.py").touch()


@pytest.mark.parametrize(
    ("changes", "act", "reason"),
    [
        ({}, change_code, "not the same: the code"),
        ({"OMP_NUM_THREADS": "7"}, lambda _: None, "not the same: OMP_NUM_THREADS"),
        ({"PYTHONOPTIMIZE": "1"}, lambda _: None, "not the same: the interpreter, PYTHONOPTIMIZE"),
    ],
)
def test_what_differs_at_the_start_makes_a_trial_cold(
    own_place: Place, changes: dict[str, str], act: Callable[[Place], None], reason: str
) -> None:
    server = own_place.serve()
    assert own_place.is_warm()
    act(own_place)
    assert not own_place.is_warm(**changes)
    server.terminate()
    said = server.communicate(timeout=300)[0]
    assert said == f"warm: a trial starts cold: {reason}\n"


def test_other_limits_make_a_trial_cold(place: Place) -> None:
    limited = f"ulimit -n 99; exec {sys.executable} -m trial see"
    done = subprocess.run(["sh", "-c", limited], cwd=place.folder, env=place.env, capture_output=True, text=True)
    inside, _, seen = json.loads(done.stdout.splitlines()[0])
    assert inside is False
    assert seen["limits"][0] == 99


def test_a_file_or_nothing_where_the_socket_should_be_is_a_cold_start(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not place.is_warm(COLA_SWEEP_WARM=str(tmp_path / "file"))
    assert not place.is_warm(COLA_SWEEP_WARM=str(tmp_path / "nothing"))
    assert not place.is_warm(COLA_SWEEP_WARM=str(tmp_path / ("long" * 50)))


def test_a_server_that_speaks_otherwise_is_a_cold_start(place: Place, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "other"))
        listener.listen()
        trial = place.start("see", COLA_SWEEP_WARM=str(tmp_path / "other"))
        connection, _ = listener.accept()
        with connection:
            for fd in warm.receive(connection, fds=4)[1]:
                os.close(fd)
            connection.sendall(b"\0\0\0\2[]")
        assert json.loads(trial.communicate("", timeout=300)[0].splitlines()[0])[0] is False


def test_a_client_that_gave_up_does_not_get_a_trial(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place.socket))
        warm.send(client, {"terms": {}})
        assert "refused" in warm.receive(client)[0]
    assert place.is_warm()


def test_a_folder_that_others_may_enter_and_a_second_server_are_refused(place: Place, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(UserError, match="a folder of yours that nobody else enters; chmod 700"):
        warm_server.listen(tmp_path / "socket")
    with pytest.raises(UserError, match="a warm server listens here already"):
        warm_server.listen(place.socket)


def test_an_import_that_starts_a_thread_is_no_warm_server(own_place: Place) -> None:
    (own_place.folder / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()"
    )
    server = own_place.serve(preload="threaded")
    assert server.returncode == 2
    server.communicate()
    assert not own_place.is_warm()
