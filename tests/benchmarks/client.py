"""A server in a process of its own, and who speaks to it as a process of wandb does."""

import http.client
import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cola_sweep.server import process

PROJECT = "benchmark"
HEARTBEAT = """mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
    agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) { agent { id } commands } }"""


class Client:
    """One kept-open connection to a server, as each process of wandb has; a thread's own."""

    def __init__(self, address: process.Address) -> None:
        where = urlsplit(address.base_url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        credentials = b64encode(f"api:{address.api_key}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}

    def close(self) -> None:
        self._connection.close()

    def post(self, path: str, body: Any) -> tuple[Any, float]:
        """The JSON answer, and the seconds it took."""
        content = json.dumps(body)
        begin = time.perf_counter()
        self._connection.request("POST", path, content, self._headers)
        response = self._connection.getresponse()
        answer = response.read()
        seconds = time.perf_counter() - begin
        assert response.status == 200, answer
        return json.loads(answer), seconds

    def graphql(self, query: str, **variables: Any) -> tuple[Any, float]:
        """The data of an operation, and the seconds it took."""
        answer, seconds = self.post("/graphql", {"query": query, "variables": variables})
        assert "errors" not in answer, answer
        return answer["data"], seconds

    def stream(self, user: str, run: str, line: int, rows: list[dict[str, Any]], **more: Any) -> tuple[Any, float]:
        """Post history rows from `line` on, with the summary and a line of console."""
        files = {
            "wandb-history.jsonl": {"offset": line, "content": [json.dumps(row) for row in rows]},
            "wandb-summary.json": {"offset": 0, "content": [json.dumps(rows[-1])]},
            "output.log": {"offset": line, "content": [f"2026-11-23T12:00:00 epoch {line}"]},
        }
        return self.post(f"/files/{user}/{PROJECT}/{run}/file_stream", {"files": files, **more})


@contextmanager
def serving(data_dir: Path) -> Iterator[process.Address]:
    """A server in a process of its own on a data folder, which may have been filled before."""
    words = [sys.executable, "-m", "cola_sweep.server", "--background", "--port", "0", "--data-dir", str(data_dir)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    try:
        address = process.find(data_dir)
        assert address is not None
        yield address
    finally:
        process.stop(data_dir)
