"""The server's process: one per data folder; run it, start it in the background, find it, stop it."""

import ctypes
import fcntl
import json
import logging
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from cola_sweep.errors import UserError

START_SECONDS = 900.0  # only ends what hangs: records of an older version, many GB of them, may have to be rewritten
SILENT_SECONDS = 5.0
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.02
_LOCK_SECONDS = 0.3
_IN_FLIGHT_SECONDS = 5  # that a stop leaves to requests under way
# A request lets go of the interpreter at every step of SQLite or of the loop; beside a search that computes, it would
# wait Python's usual 5 ms each time to get it back.
_SWITCH_SECONDS = 0.0005
_M_ARENA_MAX = -8  # of glibc's malloc.h
_MOST_FILES = 2**16  # an agent and its trial keep a handful of connections open
_KEEP_ALIVE_SECONDS = 75  # beyond any pause of the client, which would otherwise post into a closing connection


@dataclass(frozen=True)
class Address:
    """A running server, as its data folder names it."""

    pid: int
    base_url: str
    user: str
    api_key: str
    login_url: str


@dataclass(frozen=True)
class Options:
    """What a server is started with."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    allow_remote: bool = False
    search_seed: int | None = None
    provisioning: bool = False


def run(options: Options) -> None:
    """Serve until SIGTERM or Ctrl-C, then close the records.

    Raises:
        UserError: the folder, the port or the host cannot be used.
    """
    # Imported here, so that --status and --stop need not wait for it.
    import uvicorn

    from cola_sweep.server import auth
    from cola_sweep.server.app import create_app
    from cola_sweep.server.blobs import Blobs
    from cola_sweep.server.store import Store, users
    from cola_sweep.server.store.failures import DatabaseError

    address_file = options.data_dir / "server.json"
    with _locked(options.data_dir), _listening(options) as (listener, base_url):
        # One that was killed leaves its address; its process id may be anyone's by now.
        address_file.unlink(missing_ok=True)
        try:
            store = Store(options.data_dir / "server.db", steady=time.monotonic)
        except DatabaseError as error:
            raise UserError(
                f"--data-dir {options.data_dir}",
                rule=f"its database cannot be opened: {error}",
                fix="make room if its disk is full, or name another folder",
            ) from None
        try:
            app = create_app(
                store, Blobs(options.data_dir), search_seed=options.search_seed, provisioning=options.provisioning
            )
            owner = users.first(store)
            login_url = f"{base_url}/login?token={auth.new_login_token(store)}"
            _write_private(address_file, Address(os.getpid(), base_url, owner.name, owner.api_key, login_url))
            config = uvicorn.Config(
                app,
                http="h11",
                ws="none",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=_IN_FLIGHT_SECONDS,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            )
            logging.getLogger(__name__).info("serving %s as %s", base_url, owner.name)
            signal.signal(signal.SIGTERM, _leave)
            sys.setswitchinterval(_SWITCH_SECONDS)
            _share_memory()
            _allow_files()
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            pass
        finally:
            address_file.unlink(missing_ok=True)
            store.close()


def start(options: Options) -> Address:
    """Start a server in the background and return when it answers. One that runs there already is kept.

    Raises:
        UserError: it did not start; its own last words are in the message.
    """
    if running := find(options.data_dir):
        return running
    log = options.data_dir / "server.log"
    _make_folder(options.data_dir)
    words = [sys.executable, "-m", "cola_sweep.server", "--data-dir", str(options.data_dir)]
    words += ["--host", options.host, "--port", str(options.port)]
    words += ["--allow-remote"] if options.allow_remote else []
    words += ["--seed", str(options.search_seed)] if options.search_seed is not None else []
    words += ["--allow-provisioning"] if options.provisioning else []
    begin = log.stat().st_size if log.exists() else 0
    pid = _spawn(words, log)
    began, told = time.monotonic(), False
    while not _ended(pid):
        address = _read(options.data_dir / "server.json")
        if address and address.pid == pid and ready(address.base_url):
            return address
        waited = time.monotonic() - began
        if waited > SILENT_SECONDS and not told:
            told = True
            print(f"still starting; what it does is said in {log}", file=sys.stderr, flush=True)
        if waited > START_SECONDS:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
    said = log.read_bytes()[begin:].decode(errors="replace").strip().splitlines() or ["it ended without a word"]
    raise UserError("cola-sweep serve", rule=said[-1].removeprefix("error: "), fix=f"its log is {log}")


def find(data_dir: Path) -> Address | None:
    """The server that runs on a data folder, or None."""
    try:
        with (data_dir / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except BlockingIOError:
        return _read(data_dir / "server.json")
    return None


def stop(data_dir: Path) -> Address | None:
    """End the server of a data folder; returns the one that ended, or None where none ran."""
    address = find(data_dir)
    if address is None:
        return None
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(address.pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while not (gone := _ended(address.pid)) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if gone:
            break
    (data_dir / "server.json").unlink(missing_ok=True)
    return address


def unknown_fields(data_dir: Path) -> dict[str, int]:
    """How often clients asked for each field that the server of a data folder does not know."""
    from cola_sweep.server.store import Store, settings

    store = Store(data_dir / "server.db")
    try:
        return settings.unknown_fields(store)
    finally:
        store.close()


def ready(base_url: str) -> bool:
    """Whether a server answers there."""
    # Imported here, so that a server, which never asks, need not wait for it.
    from urllib.request import ProxyHandler, build_opener

    try:
        with build_opener(ProxyHandler({})).open(f"{base_url}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`.

    Raises:
        OSError: there is no such host.
    """
    found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    return all(ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found)


@contextmanager
def _locked(data_dir: Path) -> Iterator[None]:
    """Hold the folder's lock; the system drops it however the process ends."""
    _make_folder(data_dir)
    with (data_dir / "lock").open("a") as lock:
        if not _lock(lock):
            running = find(data_dir)
            raise UserError(
                f"--data-dir {data_dir}",
                rule=f"a server runs on it already{f' at {running.base_url}' if running else ''}",
                fix="stop it with cola-sweep serve --stop, or name another folder",
            )
        yield


def _lock(lock: IO[str]) -> bool:
    # `find` holds a lock for a moment, too: only one that stays is a server's.
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
        time.sleep(_POLL_SECONDS)


@contextmanager
def _listening(options: Options) -> Iterator[tuple[socket.socket, str]]:
    if not 0 <= options.port <= 65535:
        raise UserError("--port", got=options.port, rule="must be 0 to 65535", fix="use --port 0 for a free one")
    try:
        if not is_loopback(options.host):
            if not options.allow_remote:
                fix = "use 127.0.0.1, or add --allow-remote if that is what you want"
                raise UserError("--host", got=options.host, rule="other machines could reach it", fix=fix)
            if options.provisioning:
                raise UserError("--allow-provisioning", rule="other machines could make accounts", fix="leave it out")
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family)
    except OSError as error:
        where = f"--host {options.host} --port {options.port}"
        fix = "use another --port, or --port 0 for a free one"
        raise UserError(where, rule=f"cannot listen there: {error}", fix=fix) from None
    with listener:
        port = listener.getsockname()[1]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)
        yield listener, f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _spawn(words: list[str], log: Path) -> int:
    """Start a process that outlives this one, in a session of its own; returns its id."""
    to_log = (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    from_nothing = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions = [from_nothing, to_log, (os.POSIX_SPAWN_DUP2, 1, 2)]
    return os.posix_spawn(words[0], words, os.environ, file_actions=actions, setsid=True)


def _ended(pid: int) -> bool:
    """Whether a process is gone; one that this process started is laid to rest."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _make_folder(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (data_dir / "lock").touch()
    except OSError as error:
        raise UserError(
            f"--data-dir {data_dir}", rule=f"must be a folder that can be written: {error}", fix="name another"
        ) from None


def _write_private(path: Path, address: Address) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(address), file, indent=2)
    fresh.replace(path)


def _read(path: Path) -> Address | None:
    try:
        return Address(**json.loads(path.read_text()))
    except FileNotFoundError:
        return None


def _share_memory() -> None:
    """Let all threads allocate from one place: each would keep what its largest answer took as long as it lives."""
    with suppress(AttributeError, OSError):  # another C library than glibc
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _allow_files() -> None:
    """Let as many clients stay connected as this user may have files open; the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a system that allows less than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _leave(number: int, frame: object) -> None:
    # uvicorn raises the signal again when it has shut down; its default action would skip our clean-up.
    raise SystemExit(0)
