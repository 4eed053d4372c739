"""Hand a trial over to a warm server: a process with every import done, which forks a child for it.

`hand_over` is the first thing that `python -m cola_sweep.train` does. If a server of this user answers, and whatever
a process takes in while it starts is the same there (`terms`), the child runs the trial with this process's arguments,
environment, working directory, umask and open files. This process passes on signals, and ends as the child ends.
In every other case nothing happens, and the trial starts cold.

    cola-sweep warm             # a server, for the agents of other terminals
    COLA_SWEEP_WARM=PATH        # the socket of another server, as `cola-sweep agents` sets it; 0: none

Linux alone. Imports nothing of ours and little of the standard library: it is the whole start-up of a warm trial.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

VARIABLE = "COLA_SWEEP_WARM"
PACKAGE = os.path.dirname(os.path.abspath(__file__))
# A server that has just been started answers when its imports are done: sooner than a cold start, which begins now.
# One that ends meanwhile is noticed at once, so this is for a server that hangs.
ANSWER_SECONDS = 120.0
# Read by the loader, the interpreter or a library before a trial could change them in a process that runs already.
EARLY_VARIABLES = (
    "ARROW_", "ATEN_", "CUDA_HOME", "CUDA_MODULE_LOADING", "CUBLAS_", "DATASETS_", "DNNL_", "GLIBC_", "GOMP_",
    "GOTO_", "HF_", "HOME", "HUGGINGFACE_", "JE_", "KMP_", "LANG", "LC_", "LD_", "MALLOC_", "MKL_", "MPL",
    "NUMEXPR_", "NVIDIA_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYARROW_", "PYTHON", "PYTORCH_", "SCIPY_", "SKLEARN_",
    "TEMP", "TMP", "TOKENIZERS_", "TORCH", "TRANSFORMERS_", "TRITON_", "TZ", "USE_TF", "USE_TORCH", "XDG_",
)  # fmt: skip
# Faults are a process's own, and what stops it is passed on in another way.
NOT_FORWARDED = {
    signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL,
    signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS, signal.SIGPIPE, signal.SIGTTIN, signal.SIGTTOU,
}  # fmt: skip

inside = False  # true in a trial's process, where there is nothing to hand over any more


def hand_over() -> None:
    """End as the warm server's child ends; return if this trial has to start cold.

    To be called by a program that was started with `python -m`, before it imports anything else.
    """
    spec = sys.modules["__main__"].__spec__
    if inside or spec is None or sys.platform != "linux" or os.environ.get(VARIABLE) == "0":
        return
    try:
        conversation = _Conversation(os.environ.get(VARIABLE) or socket_path(), spec.name)
    except (OSError, ValueError):
        return  # no server, not ours, gone, or it has refused
    _end_like(conversation.outcome())


def socket_path() -> str:
    """Where a server started by hand listens: in a folder of this user's, by interpreter and place of the code."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/cola-sweep-{os.getuid()}"
    return os.path.join(folder, f"cola-sweep-warm-{zlib.crc32(f'{sys.prefix} {PACKAGE}'.encode()):08x}")


class _Conversation:
    """One trial with a server: accepted when this is made, over when `outcome` returns.

    Raises:
        OSError, ValueError: the trial has to start cold.
    """

    def __init__(self, path: str, program: str) -> None:
        # The kernel kills the trial when the last writer of this pipe is gone, which is this process.
        lifeline, self._held = os.pipe()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.connect(path)
            if peer_user(self._socket) != os.getuid():
                raise PermissionError(path)
            send(self._socket, _request(program), [0, 1, 2, lifeline])
            answer, fds = receive(self._socket, fds=1)
            if "ready" not in answer:
                raise ValueError(answer)
            self._child = fds[0]
            # Only now may the trial begin: had this process given up before, it would run twice.
            send(self._socket, {"go": True})
            self._socket.settimeout(None)
        except BaseException:
            self._socket.close()
            os.close(self._held)
            raise
        finally:
            os.close(lifeline)
        self._forward_signals()

    def outcome(self) -> int:
        """The exit code of the trial, negative for a signal as subprocess has it, once it has ended."""
        announced = None
        with suppress(OSError, ValueError):
            while True:
                self._await_answer()
                answer, _ = receive(self._socket)
                if "status" in answer:
                    return os.waitstatus_to_exitcode(answer["status"])
                announced = answer["exiting"]
        if announced is None:
            # Both are gone: only the server could have known by which signal.
            print("error: the trial ended without an exit code, as did its warm server", file=sys.stderr)
        return 1 if announced is None else announced

    def _await_answer(self) -> None:
        # A signal that came just before `receive` blocked would be forwarded only after it: this wakes up for each.
        answers = self._socket.fileno()
        while answers not in select.select([answers, self._signalled], [], [])[0]:
            os.read(self._signalled, 4096)

    def _forward_signals(self) -> None:
        self._signalled, notice = os.pipe()
        os.set_blocking(notice, False)
        signal.set_wakeup_fd(notice, warn_on_full_buffer=False)
        for number in signal.valid_signals() - NOT_FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                with suppress(OSError):
                    signal.signal(number, self._forward)

    def _forward(self, number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            # The child has a session of its own, where the terminal's stop means nothing.
            signal.pidfd_send_signal(self._child, signal.SIGSTOP if number == signal.SIGTSTP else number)
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)


def _request(program: str) -> dict[str, Any]:
    umask = os.umask(0o077)
    os.umask(umask)
    return {
        "terms": terms(),
        "program": program,
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "path": sys.path,
        "env": dict(os.environ),
        "cwd": os.getcwd(),
        "umask": umask,
        "ignored": [n for n in signal.valid_signals() if signal.getsignal(n) is signal.SIG_IGN],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }


def _end_like(code: int) -> None:
    """End by the same exit code or the same signal, so that whoever waits sees no difference."""
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the trial has left the core, if any is wanted
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [-code])
        os.kill(os.getpid(), -code)
    sys.exit(code if code >= 0 else 128 - code)


def terms() -> dict[str, Any]:
    """What a process takes in as it starts, by name: a trial may only run where all of it is the same. JSON values."""
    import resource

    limits = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    return {
        "the interpreter": [sys.prefix, sys.version, list(sys.flags), sys.warnoptions, sorted(sys._xoptions.items())],
        "the user": [os.getresuid(), os.getresgid(), sorted(os.getgroups())],
        "the code": [PACKAGE, sorted(_sources(PACKAGE))],
        "the installed packages": [[path, os.stat(path).st_mtime_ns] for path in _installed()],
        "the namespaces or cgroup": [
            *(os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "pid", "user")),
            _read("/proc/self/cgroup"),
        ],
        "the resource limits": [
            {name: resource.getrlimit(getattr(resource, name)) for name in limits},
            os.getpriority(os.PRIO_PROCESS, 0),
            sorted(os.sched_getaffinity(0)),
        ],
        **{name: value for name, value in os.environ.items() if name.startswith(EARLY_VARIABLES)},
    }


def _sources(folder: str) -> Iterator[list[Any]]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _sources(entry.path)
        elif entry.name.endswith(".py"):
            stat = entry.stat()
            yield [entry.path, stat.st_mtime_ns, stat.st_size]


def _installed() -> Iterable[str]:
    """Folders that change when a package is installed or removed."""
    return [path for path in sys.path if path.startswith(sys.prefix) and os.path.isdir(path)]


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def peer_user(connection: socket.socket) -> int:
    """The user id of the process at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    user: int = struct.unpack("3i", credentials)[1]
    return user


def send(connection: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """One message: its length in four bytes, then JSON; open files travel with its first byte."""
    body = json.dumps(message).encode()
    data = struct.pack("!I", len(body)) + body
    sent = socket.send_fds(connection, [data], fds) if fds else 0
    connection.sendall(data[sent:])


def receive(connection: socket.socket, fds: int = 0) -> tuple[dict[str, Any], list[int]]:
    """The next message, and the open files that came with it, `fds` at most.

    Raises:
        OSError: the other end is gone or does not answer in time.
        ValueError: that was no message, or there were not so many files with it.
    """
    header, received, _, _ = socket.recv_fds(connection, 4, fds)
    if len(header) < 4:
        raise ConnectionError("closed")
    (left,) = struct.unpack("!I", header)
    body = bytearray()
    while len(body) < left:
        part = connection.recv(left - len(body))
        if not part:
            raise ConnectionError("closed")
        body += part
    return json.loads(body), received
