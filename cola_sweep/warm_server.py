"""The warm server: imports everything that a trial needs, then forks a child for each trial that `warm` hands over.

    cola-sweep warm                      # by hand, until Ctrl-C
    python -m cola_sweep.warm_server     # the process itself; `cola-sweep agents` starts one

A child is to be as a fresh process, so this one never starts a thread, never touches a GPU, and draws no random
number. What it cannot give a child in the same way, such as other environment variables read at import, it refuses.
Whatever happens to it, its trials go on. Imports warm, warm_trial and the error; what it preloads, by name.
"""

import argparse
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cola_sweep import warm
from cola_sweep.errors import ArgumentParser, UserError, run_main
from cola_sweep.warm_trial import Inherited, Trial, run, take_over

# What a trial imports, but `cola_sweep.train`, which is the trial; architectures are those that README names.
PRELOAD = (
    "torch", "torch.profiler._cupti_monitor", "torch.utils.serialization.config",
    "pytorch_lightning", "pytorch_lightning.loggers", "fsspec.implementations.chained",
    "transformers", "transformers.data.data_collator", "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert", "transformers.models.distilbert.modeling_distilbert",
    "transformers.models.electra.modeling_electra", "transformers.models.mpnet.modeling_mpnet",
    "wandb", "wandb.apis._generated", "wandb.apis.public.api", "wandb.apis.public.runs", "wandb.integration.sklearn",
    "wandb.sdk.artifacts._generated", "wandb.sdk.artifacts._generated.artifact_by_id",
    "wandb.sdk.artifacts._generated.artifact_membership_by_name", "wandb.sdk.artifacts._generated.artifact_type",
    "wandb.sdk.artifacts._generated.artifact_type_artifact_collections", "wandb.sdk.artifacts._internal_artifact",
    "wandb.sdk.artifacts._models.pagination", "wandb.sdk.artifacts.artifact", "wandb.sdk.launch.inputs.internal",
    "wandb.sdk.wandb_run", "requests", "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter", "opentelemetry.sdk._logs.export",
    "matplotlib.backends.backend_agg", "seaborn", "sklearn.calibration", "sklearn.metrics", "pyarrow.pandas_compat",
    "pyarrow.vendored.version", "cola_sweep.artifacts", "cola_sweep.callbacks", "cola_sweep.checkpoints",
    "cola_sweep.connection", "cola_sweep.cost", "cola_sweep.data", "cola_sweep.early_stopping", "cola_sweep.inputs",
    "cola_sweep.model", "cola_sweep.past", "cola_sweep.plots", "cola_sweep.precision", "cola_sweep.provenance",
    "cola_sweep.replay", "cola_sweep.resume", "cola_sweep.samples", "cola_sweep.tracking", "cola_sweep.trainer",
    "cola_sweep.unfinished",
)  # fmt: skip
# Keep numpy's and Arrow's libraries from starting threads when they are loaded. The trial's own values come back
# with its environment, too late for these two: its numpy stays at one thread, which torch has nothing to do with.
THREADLESS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--socket", type=Path, default=Path(warm.socket_path()), help="default: %(default)s")


def main(args: argparse.Namespace) -> int:
    """`cola-sweep warm`: become the server, a program of its own, so that a trial's end is its end.

    Raises:
        UserError: this is not Linux.
    """
    if sys.platform != "linux":
        raise UserError("cola-sweep warm", got=sys.platform, rule="is for Linux alone", fix="let trials start cold")
    os.execv(sys.executable, [sys.executable, "-m", __name__, "--socket", str(args.socket)])


def serve(path: Path, preload: Sequence[str], *, until_eof: bool) -> Trial | None:
    """Serve until SIGTERM, SIGINT or SIGHUP, or the end of stdin if asked; then wait for the trials that run.

    Returns None in the server when it is over, and in each child its trial.

    Raises:
        UserError: the socket's folder is not private, another server listens there, or something preloaded leaves
            threads or a GPU in use.
    """
    terms = json.loads(json.dumps(warm.terms()))  # before the imports: a file that changes meanwhile has changed
    before = dict(os.environ)
    with listen(path) as listener:
        inode = path.stat().st_ino
        import_all(preload)
        fill_caches()
        # What libraries put into the environment while they were imported, they put there in a fresh process too.
        added = {name: value for name, value in os.environ.items() if before.get(name) != value}
        inherited = Inherited(terms, added, _temporary_folders())
        gc.freeze()  # a collection in a child need not touch, and so copy, what lies here
        print("warm: ready", flush=True)
        server = _Server(listener, inherited, until_eof=until_eof)
        trial = server.run()
        if trial is None:
            _remove(path, inode)
        return trial


def listen(path: Path) -> socket.socket:
    """A socket at `path`, in a folder that is this user's alone; a dead server's socket is replaced."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = path.parent.lstat()
    if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != os.getuid() or folder.st_mode & 0o077:
        raise UserError(
            str(path.parent), rule="must be a folder of yours that nobody else enters", fix=f"chmod 700 {path.parent}"
        )
    with socket.socket(socket.AF_UNIX) as probe, suppress(FileNotFoundError, ConnectionRefusedError):
        probe.connect(str(path))
        raise UserError(str(path), rule="a warm server listens here already", fix="end it first, or give --socket")
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    # From here on clients wait for the imports rather than begin their own.
    listener.listen(128)
    return listener


def import_all(names: Sequence[str]) -> None:
    """Import modules, and see that a fork still gives all of this process: one thread, no GPU.

    Raises:
        UserError: it does not.
    """
    given = {name: os.environ.get(name) for name in THREADLESS}
    os.environ.update(THREADLESS)
    for name in names:
        importlib.import_module(name)
    for name, value in given.items():
        del os.environ[name]
        if value is not None:
            os.environ[name] = value
    threads = [Path(task, "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    torch = sys.modules.get("torch")
    if len(threads) > 1 or (torch and torch.cuda.is_initialized()):
        raise UserError(
            "warm server", got=", ".join(threads), rule="an import started a thread or a GPU, which no fork survives",
            fix="run trials cold, with --cold",
        )  # fmt: skip


def fill_caches() -> None:
    """Let what was imported work out now what it keeps, and what comes out the same in every trial.

    The installed packages, which wandb lists for each run, are among the `terms`.
    """
    if conversions := sys.modules.get("transformers.conversion_mapping"):
        conversions.get_checkpoint_conversion_mapping("bert")  # whatever is asked for, all of them are made
    if corpus := sys.modules.get("cola_sweep.corpus"):
        corpus.synthetic_corpus()
    util: Any = sys.modules.get("wandb.util")
    if util:
        packages = tuple(util.working_set())
        util.working_set = lambda: packages


def _temporary_folders() -> "list[tempfile.TemporaryDirectory[str]]":
    """Those that an import made for this process, as wandb's does."""
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, tempfile.TemporaryDirectory)]


def _remove(path: Path, inode: int) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            path.unlink()


class _Server:
    """The loop: accept and fork; tell each client how its child ended."""

    def __init__(self, listener: socket.socket, inherited: Inherited, *, until_eof: bool) -> None:
        self._listener = listener
        self._inherited = inherited
        self._trials: dict[int, tuple[int, socket.socket]] = {}  # by pidfd: pid and the client's connection
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        if until_eof:
            self._selector.register(0, selectors.EVENT_READ, self._stop)
        self._wakeup = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wakeup[0], selectors.EVENT_READ, self._stop)
        signal.set_wakeup_fd(self._wakeup[1])
        for number in STOPPING:
            signal.signal(number, lambda *_: None)

    def run(self) -> Trial | None:
        """As `serve`."""
        while self._trials or self._listener.fileno() >= 0:
            for key, _ in self._selector.select():
                trial = key.data(key.fd)
                if trial is not None:
                    return trial  # type: ignore[no-any-return]
        return None

    def _accept(self, _: int) -> Trial | None:
        connection, _ = self._listener.accept()
        if warm.peer_user(connection) != os.getuid():
            connection.close()
            return None
        try:
            pid = os.fork()
        except OSError as error:  # no memory or no process left
            print(f"warm: a trial starts cold: {error.strerror}", flush=True)
            connection.close()
            return None
        if pid == 0:
            self._forget_parent()
            return take_over(connection, self._inherited)
        pidfd = os.pidfd_open(pid)
        self._trials[pidfd] = pid, connection
        self._selector.register(pidfd, selectors.EVENT_READ, self._ended)
        return None

    def _ended(self, pidfd: int) -> None:
        if pidfd not in self._trials:
            return  # it ended in the moment of a second stop, which waits for none
        pid, connection = self._trials.pop(pidfd)
        self._selector.unregister(pidfd)
        os.close(pidfd)
        _, status = os.waitpid(pid, 0)
        with connection, suppress(OSError):
            warm.send(connection, {"status": status})

    def _stop(self, fd: int) -> None:
        """Accept no more; the loop ends with the last trial. At once if asked again: the trials know how to go on."""
        said = os.read(fd, 64)
        if fd == 0 and said:
            return  # not its end
        if fd == 0:
            self._selector.unregister(fd)
        if self._listener.fileno() < 0:
            self._trials.clear()
            return
        self._selector.unregister(self._listener)
        self._listener.close()
        if self._trials:
            print(f"warm: waiting for {len(self._trials)} running trials", flush=True)

    def _forget_parent(self) -> None:
        """In a child: close what is the server's, above all the connections of other trials."""
        signal.set_wakeup_fd(-1)
        self._selector.close()
        self._listener.close()
        for fd in self._wakeup:
            os.close(fd)
        for pidfd, (_, connection) in self._trials.items():
            os.close(pidfd)
            connection.close()


def entry() -> int:
    parser = ArgumentParser(prog=f"python -m {__spec__.name}", description="The warm server.")
    add_arguments(parser)
    parser.add_argument("--until-eof", action="store_true", help="end when stdin ends")
    parser.add_argument("--preload", nargs="*", default=PRELOAD, help="modules to import ahead")
    args = parser.parse_args()
    trial: Trial | None = None

    def serve_socket() -> int:
        nonlocal trial
        trial = serve(args.socket, args.preload, until_eof=args.until_eof)
        return 0

    code = run_main(serve_socket)
    if trial is not None:
        run(trial)  # outside of everything that is the server's
    return code


if __name__ == "__main__":
    sys.exit(entry())
