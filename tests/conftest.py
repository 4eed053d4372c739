"""Shared by all tests: no way out of this machine, a tiny checkpoint, a tiny corpus, and a reader of offline runs."""

import fcntl
import ipaddress
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The same examples at each run, however long each takes: a commit passes or fails for what it changes. Fuzzing looks
# for new ones.
settings.register_profile(
    "repeatable",
    derandomize="COLA_SWEEP_FUZZ" not in os.environ,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("repeatable")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "dog", "sees", "sleeps", "quickly", "happy", "."]


def pytest_xdist_auto_num_workers() -> int:
    """Two processes a core: whole sweeps mostly wait, for agents that look for work every five seconds."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """Of a run's processes one imports first: on a fresh clone each would compile what all of them import."""
    with (session.config.rootpath / "pyproject.toml").open() as file:
        if hasattr(session.config, "workerinput"):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(file, fcntl.LOCK_SH)
        return (yield)


@pytest.fixture(autouse=True, scope="session")
def no_outside_sockets() -> Iterator[None]:
    """A connection to anything but this machine raises, whatever a library may try."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, real: Any = real) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_loopback(address[0]):
                raise PermissionError(f"a test tried to reach {address!r}")
            return real(self, address)

        patch.setattr(socket.socket, name, guarded)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def own_cache_and_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's cache and wandb settings stay as they are, and are not believed."""
    patch = pytest.MonkeyPatch()
    patch.setenv("COLA_SWEEP_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("WANDB_CONFIG_DIR", str(tmp_path_factory.mktemp("wandb-config")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def few_shuffles() -> Iterator[None]:
    """Parameter importance is most of the time of finding: little of it, for what tests something else."""
    from cola_sweep.analysis import importance

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importance, "SHUFFLES", 1)
        patch.setattr(importance, "TREES", 8)
        yield


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@pytest.fixture
def refusing_server() -> Iterator[str]:
    """A server that answers 401 to everything."""

    class Refuse(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(401)
            self.end_headers()

        do_POST = do_HEAD

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuse) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a BERT of random weights, 2 layers of width 16, and a tokenizer of a few words."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, pad_token_id=WORDS.index("[PAD]"),
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(WORDS)}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in GLUE's layout: word order decides; 48 sentences to train on, 24 to validate, half out of domain."""
    folder = tmp_path_factory.mktemp("corpus")
    good, bad = [], []
    for subject in ("cat", "dog"):
        for verb in ("sees", "sleeps"):
            for end in ("", " quickly", " happy"):
                good.append(f"the {subject} {verb}{end} .")
                bad.append(f"{verb} the{end} {subject} .")
    rows = [(1, "", sentence) for sentence in good] + [(0, "*", sentence) for sentence in bad]
    train = [("s1", *row) for row in rows for _ in range(2)]
    valid = [("s1" if i % 2 else "s2", *row) for i, row in enumerate(rows)]
    for name, table in (("train", train), ("dev", valid)):
        lines = ("\t".join(map(str, row)) for row in table)
        (folder / f"{name}.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


@dataclass
class OfflineRun:
    """What an offline run wrote, read from its own file: what `wandb sync` would send."""

    folder: Path
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, Any] = field(default_factory=dict)  # by type
    exit_code: int | None = None

    def table(self, key: str) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows of a logged table."""
        (row,) = (row for row in self.history if key in row)
        table = json.loads((self.folder / "files" / row[key]["path"]).read_text(encoding="utf-8"))
        return table["columns"], table["data"]


def read_offline_run(folder: Path) -> OfflineRun:
    """Read the run below `folder`, which must hold exactly one and have ended."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # only now has its service written everything
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    run = OfflineRun(path.parent)
    for payload in leveldb_records(path.read_bytes()[7:]):
        record = Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            run.history.append(merge({}, record.history.item))
        elif kind == "summary":
            merge(run.summary, record.summary.update)
        elif kind == "config":
            merge(run.config, record.config.update)
        elif kind == "run":
            merge(run.config, record.run.config.update)
        elif kind == "artifact":
            run.artifacts[record.artifact.type] = record.artifact
        elif kind == "exit":
            run.exit_code = record.exit.exit_code
    return run


def merge(values: dict[str, Any], items: Any) -> dict[str, Any]:
    """Put a record's items, keys of one part or several, into `values`."""
    for item in items:
        *parents, last = list(item.nested_key) or [item.key]
        place = values
        for key in parents:
            place = place.setdefault(key, {})
        place[last] = json.loads(item.value_json)
    return values


def leveldb_records(data: bytes, block: int = 32768, header: int = 7) -> Iterator[bytes]:
    """Records of LevelDB's log format, which wandb writes: blocks of 32 KiB, the file's own header counted in."""
    place, parts = header, b""
    data = b"\0" * header + data
    while place + header <= len(data):
        left = block - place % block
        if left < header:
            place += left
            continue
        size = int.from_bytes(data[place + 4 : place + 6], "little")
        part = data[place + 6]  # 1 whole, 2 first, 3 middle, 4 last
        parts += data[place + header : place + header + size]
        place += header + size
        if part in (1, 4):
            yield parts
            parts = b""


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is most of a report's time; tests of its words and files can do without."""
    from cola_sweep import figures

    monkeypatch.setattr(figures, "draw", lambda findings: figures.Gallery())


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The client's warnings of a test, whether or not an earlier one has silenced it."""
    import wandb

    lines: list[str] = []
    monkeypatch.setattr(wandb, "termwarn", lines.append)
    return lines
