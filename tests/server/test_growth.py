"""Nonsense leaves nothing behind: no memory, no open file, no thread, no row, no file; whatever is new in each of it.

The fuzz (`test_fuzz.py`) looks what is answered, and in this process, where its own memory grows.
`COLA_SWEEP_FUZZ=10000`, or `python -m tests.drills --fuzz 10000`, for as many requests of all kinds together.
"""

import http.client
import json
import os
import random
import sqlite3
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cola_sweep.server import ids, process
from cola_sweep.server.app import THREADS
from tests.benchmarks.client import PROJECT, Client, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
REQUESTS = max(int(os.environ.get("COLA_SWEEP_FUZZ", "0")), 600)
FIRST = 450  # in which caches fill
MOST_KIB = 1024 + REQUESTS // 10  # of memory: what malloc keeps, and a tenth of a KiB a request
UPSERT = 'mutation($name: String) { upsertBucket(input: {name: $name, modelName: "benchmark"}) { bucket { id } } }'
Request = tuple[str, str, bytes, dict[str, str]]


def nonsense(dice: random.Random, user: str) -> Iterator[Request]:
    """Requests that nothing can come of, with a word in each that no other has."""
    for number in range(sys.maxsize):
        word = f"{dice.getrandbits(64):x}"
        long, stream = word * dice.choice([1, 1, 1, 2000]), {"offset": number, "content": [word]}
        lookup = f'{{ project(name: "{PROJECT}") {{ run(name: "{word}") {{ id }} field{word} }} }}'
        find = 'query($f: JSONString) { project(name: "benchmark") { runs(filters: $f) { edges { node { id } } } } }'
        filters = json.dumps({f"config.{long}": {"$regex": word[:4]}})
        yield _graphql(long)
        yield _graphql(lookup)
        yield _graphql(f"query Q{long} {{ viewer {{ id }} }}")
        yield _graphql(find, f=filters)
        yield _graphql(
            "mutation($c: String) { upsertSweep(input: {config: $c}) { sweep { id } } }", c=f"method: {long}"
        )
        agent = ids.encode("Agent", 10**6 + number)
        yield _graphql("mutation($i: ID!) { agentHeartbeat(input: {id: $i}) { commands } }", i=agent)
        yield _stream(user, word, {"files": {"wandb-history.jsonl": stream}})
        yield _stream(user, "run", {"files": {"wandb-history.jsonl": stream}})
        yield _stream(user, "run", {"files": {"wandb-summary.json": {"offset": 0, "content": [long]}}})
        yield "PUT", f"/files/{user}/{PROJECT}/{word}/{word}.txt", word.encode(), {}
        yield "PUT", f"/files/{user}/{PROJECT}/run/{word}.txt", word.encode(), {"content-md5": word}
        yield "GET", f"/{word}/{PROJECT}/runs/{word}?q={long[:500]}", b"", {"accept": "text/html"}
        yield "GET", f"/{user}/{PROJECT}?filter={word}", b"", {"accept": "text/html"}
        yield "POST", "/graphql", b"{}", {"authorization": f"Basic {b64encode(word.encode()).decode()}"}
        yield "POST", "/graphql", word.encode(), {"content-encoding": "gzip"}


def _graphql(query: str, **variables: str) -> Request:
    return "POST", "/graphql", json.dumps({"query": query, "variables": variables}).encode(), {}


def _stream(user: str, run: str, body: object) -> Request:
    return "POST", f"/files/{user}/{PROJECT}/{run}/file_stream", json.dumps(body).encode(), {}


def test_nonsense_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path) as address, closing(_connection(address)) as connection:
        with closing(Client(address)) as client:
            client.graphql(UPSERT, name="run")
        requests = nonsense(random.Random(0), address.user)
        _send(connection, address, requests, FIRST)
        before, kept = _resident(address.pid), _kept(tmp_path)
        _send(connection, address, requests, REQUESTS)
        grown = _resident(address.pid) - before
        assert _kept(tmp_path) == kept
        opened = len(list(Path(f"/proc/{address.pid}/fd").iterdir()))
        threads = len(list(Path(f"/proc/{address.pid}/task").iterdir()))
    print(f"{FIRST + REQUESTS} requests, {grown} KiB more memory in the last {REQUESTS}")
    assert grown < MOST_KIB
    assert threads <= 2 * THREADS
    assert opened <= 3 * threads + 20  # of each the database and its log


def _connection(address: process.Address) -> http.client.HTTPConnection:
    where = urlsplit(address.base_url)
    return http.client.HTTPConnection(where.hostname or "", where.port, timeout=120)


def _send(
    connection: http.client.HTTPConnection, address: process.Address, requests: Iterator[Request], many: int
) -> None:
    key = {"authorization": f"Basic {b64encode(f'api:{address.api_key}'.encode()).decode()}"}
    for _ in range(many):
        method, path, body, headers = next(requests)
        connection.request(method, path, body, key | headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status < 500, said
        assert answer.status != 422, said
        assert b"the server failed" not in said


def _resident(pid: int) -> int:
    """KiB of memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _kept(folder: Path) -> tuple[dict[str, int], list[str]]:
    """How many rows each table has, and the files."""
    with closing(sqlite3.connect(folder / "server.db")) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}
    rows.pop("unknown_fields", None)  # a thousand at most, which test_fuzz.py looks at
    return rows, sorted(str(path) for path in folder.rglob("*") if path.is_file())
