"""A warm server's child: how it becomes the process that its client would have been, and runs the client's program.

Imports warm.
"""

import fcntl
import importlib
import os
import runpy
import signal
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cola_sweep import warm

REQUEST_SECONDS = 10.0


@dataclass(frozen=True)
class Inherited:
    """What a child has from its server, and has to know of."""

    terms: dict[str, Any]  # `warm.terms` of the server
    environment: dict[str, str]  # what imports put there
    folders: "list[tempfile.TemporaryDirectory[str]]"  # what imports made, the server's to use and to remove


@dataclass(frozen=True)
class Trial:
    """What a child has to run, when everything else of it is as the client asked."""

    program: str
    connection: socket.socket
    lifeline: int  # kept open: the kernel watches it


def take_over(connection: socket.socket, inherited: Inherited) -> Trial:
    """In a child: become the process that the client would have been, or end if that cannot be."""
    try:
        connection.settimeout(REQUEST_SECONDS)
        request, fds = warm.receive(connection, fds=4)
        if reason := refusal(inherited.terms, request["terms"]):
            print(f"warm: a trial starts cold: {reason}", flush=True)
            warm.send(connection, {"refused": reason})
            os._exit(0)
        _become(request, fds, inherited)
        connection.settimeout(None)
        warm.send(connection, {"ready": True}, [os.pidfd_open(os.getpid())])
        warm.receive(connection)  # the client's "go", without which it has begun to run the trial itself
    except (OSError, ValueError):
        os._exit(0)
    return Trial(request["program"], connection, fds[3])


def refusal(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """Why a process of `theirs` cannot be a fork of one of `ours`, in words; empty if it can."""
    names = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
    return f"not the same: {', '.join(names)}" if names else ""


def _become(request: dict[str, Any], fds: list[int], inherited: Inherited) -> None:
    os.setsid()  # as in the agent's own: a terminal's Ctrl-C comes through the client, once
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    os.environ.clear()
    os.environ.update({**inherited.environment, **request["env"]})
    sys.argv, sys.orig_argv, sys.path[:] = request["argv"], request["orig_argv"], request["path"]
    importlib.invalidate_caches()
    tempfile.tempdir = None
    for folder in inherited.folders:
        folder._finalizer.detach()  # type: ignore[attr-defined]
        folder.__init__(suffix="-warm")  # type: ignore[misc]
    sys.stdout.flush()
    sys.stderr.flush()
    for number, fd in enumerate(fds[:3]):
        os.dup2(fd, number)
        os.close(fd)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError):  # the C library keeps two for itself
            signal.signal(number, signal.SIG_IGN if number in request["ignored"] else _default(number))
    _die_with(fds[3])
    _reseed()
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])


def _default(number: int) -> Any:
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _die_with(lifeline: int) -> None:
    """Let the kernel kill this process when nobody can write to the pipe any more: no thread, no poll, no parent."""
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)


def _reseed() -> None:
    """Python's own generator does this itself after a fork; torch's begins with a constant in any process."""
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()


def run(trial: Trial) -> None:
    """Run the program as `python -m` would, to the exit of this process.

    Raises:
        BaseException: whatever the program ends with.
    """
    warm.inside = True
    code = 1
    try:
        runpy.run_module(trial.program, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    finally:
        # The server says how this process ended, and knows it better; if it is gone by then, this has to do.
        with suppress(OSError):
            warm.send(trial.connection, {"exiting": code & 0xFF})
        trial.connection.detach()  # closed by the kernel, when exit handlers are through and this process is gone
