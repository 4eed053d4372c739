"""That a drill would notice: the relay tells what is safe, the audit finds what is lost, twice or left."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.drills import audit as audits
from tests.drills.audit import Audit, _known, _retries, _rows, _suggestions, examine
from tests.drills.relay import Relay
from tests.drills.toy import METRIC, value
from tests.drills.world import World

STREAM = "/files/me/p/r/file_stream"
BODY = {"files": {"wandb-history.jsonl": {"offset": 3, "content": ['{"_step": 3}']}}}
COMMANDS = [{"type": "run", "run_id": "r"}, {"type": "stop", "run_id": "s"}, {"type": "resume", "run_id": "t"}]


def run(name: str, cell: int, state: str, steps: int = 0, notes: str | None = None) -> dict[str, Any]:
    rows = [json.dumps({"_step": step, METRIC: value(cell, step)}) for step in range(steps)]
    return {"name": name, "state": state, "cell": cell, "history": rows, "notes": notes}


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay before a server that takes everything, and tells every agent the same."""
    answer = json.dumps({"data": {"agentHeartbeat": {"commands": json.dumps(COMMANDS)}}}).encode()

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            pass

    relay = Relay()
    with HTTPServer(("127.0.0.1", 0), Take) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        relay.upstream = server.server_port
        yield relay
        server.shutdown()
        thread.join()
    relay.cut()


def post(relay: Relay, path: str = STREAM, **more: Any) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
    try:
        connection.request("POST", path, json.dumps(BODY | more))
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_row_is_safe_once_its_answer_went_back(relay: Relay) -> None:
    for lost in ("request", "answer"):
        relay.lost = lambda path, lost=lost: lost  # type: ignore[misc]
        with pytest.raises(http.client.RemoteDisconnected):
            post(relay)
    assert not relay.safe
    relay.lost = lambda path: None
    assert post(relay) == 200
    assert relay.safe == {"r": {3: {"_step": 3}}}


def test_an_end_is_known_until_the_run_goes_on(relay: Relay) -> None:
    relay.lost = lambda path: "answer"
    with pytest.raises(http.client.RemoteDisconnected):
        post(relay, complete=True)
    relay.lost = lambda path: None
    assert not relay.ended
    post(relay, complete=True, exitcode=3)
    assert relay.ended == {"r": 3}
    post(relay)
    assert not relay.ended


def test_what_agents_are_told_to_run_was_given(relay: Relay) -> None:
    post(relay)
    assert not relay.given
    post(relay, "/graphql")
    assert relay.given == {"r", "t"}


def test_a_port_that_is_closed_opens_again(relay: Relay) -> None:
    relay.cut()
    with pytest.raises(ConnectionRefusedError):
        post(relay)
    relay.heal()
    assert post(relay) == 200


def test_the_audit_misses_nothing() -> None:
    audit = Audit()
    runs = [run("a", 0, "finished"), run("b", 1, "crashed"), run("c", 1, "finished"), run("d", 2, "running")]
    _suggestions(audit, runs, 3)
    assert audit.complaints == ["run d is running though all is over"]
    assert (audit.suggestions, audit.states) == (4, {"finished": 2, "crashed": 1, "running": 1})
    audit = Audit()
    _suggestions(audit, [run("a", 0, "finished"), run("b", 0, "finished"), run("c", 7, "failed")], 2)
    assert audit.complaints == [
        "cell 0 was finished 2 times", "cell 1 was never tried", "cells that the grid has not: [7]",
    ]  # fmt: skip


def test_the_audit_waits_for_a_trial_that_outlives_its_agent(tmp_path: Path) -> None:
    left = iter([["a trial"], []])
    seen = iter([("running", "RUNNING"), ("crashed", "RUNNING"), *[("crashed", "CRASHED")] * 2, ("lost", "CRASHED")])

    class Orphaned(World):
        def kill_server(self, number: int = 9) -> None: ...

        def start_server(self) -> None: ...

        def left(self) -> list[str]:
            return next(left)

        def ask(self, query: str) -> Any:
            state, agent = next(seen)
            trial = {**run("a", 0, state), "config": '{"cell": {"value": 0}}'}
            edges = {"runs": {"edges": [{"node": trial}]}, "agents": {"edges": [{"node": {"state": agent}}]}}
            return {"state": "FINISHED", **edges}

    world = Orphaned(tmp_path, "word", Relay(), axis=("cell", [0]))
    world.relay.given.add("a")
    audit = examine(world, 1)
    world.relay.cut()
    assert audit.complaints == ["what is read is not what a killed server has kept"], "the last word is another"
    assert (audit.states, audit.suggestions) == ({"crashed": 1}, 1)


def test_the_audit_looks_for_all_that_was_given_and_said(relay: Relay) -> None:
    relay.given |= {"a", "b", "gone"}
    relay.safe["b"][0] = relay.safe["vanished"][0] = {"_step": 0}
    relay.ended |= {"a": 0, "b": 1}
    audit = Audit()
    _known(audit, [run("a", 0, "finished"), run("b", 1, "failed"), run("gone", 2, "crashed")], relay)
    assert (audit.rows, audit.lost, audit.complaints) == (
        1, 1, ["run vanished is not there, and 1 of its lines are safe"],
    )  # fmt: skip
    del relay.safe["vanished"]
    audit = Audit()
    _known(audit, [run("a", 0, "crashed"), run("b", 1, "finished")], relay)
    assert audit.complaints == [
        "run gone was given to an agent and is not there", "run a ended with 0, and is crashed",
        "run b ended with 1, and is finished",
    ]  # fmt: skip
    relay.given.clear()
    audit = Audit()
    _known(audit, [run("a", 0, "finished"), run("b", 1, "killed")], relay)
    assert audit.complaints == ["nobody was given anything"]


def test_the_audit_knows_what_a_retry_is() -> None:
    again = "again after it (a) failed: why"
    audit = Audit()
    _retries(audit, [run("a", 0, "failed", 1), run("b", 0, "failed", 1, again), run("c", 0, "finished", 1, again)], 2)
    _retries(audit, [run("a", 0, "failed", 1), run("b", 0, "failed", 0, again), run("c", 0, "failed", 1, again)], 1)
    assert not audit.complaints
    _retries(audit, [run("a", 0, "finished", 1), run("b", 0, "failed", 1)], 1)
    _retries(audit, [run("a", 1, "failed", 1)], 1)
    _retries(audit, [run("a", 2, "failed", 1), run("b", 2, "failed", 1, again)], 0)
    assert audit.complaints == [
        "run b does not say what it repeats: None", "cell 0 was tried again though it was well",
        "cell 1 was given up after 1 runs", "cell 2 was tried 2 times",
    ]  # fmt: skip


def test_the_audit_looks_at_the_memory_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "free_memory", {"0": 79_990_000_000, "1": 79_000_000_000}.get)
    assert audits._device_memory({"0": 80_000_000_000, "1": 80_000_000_000}) == ["GPU 1 has 1000 MB less than before"]


def test_the_audit_counts_rows() -> None:
    kept, audit = run("a", 5, "finished", steps=3), Audit()
    safe = dict(enumerate(json.loads(text) for text in kept["history"]))
    _rows(audit, kept, safe)
    assert (audit.rows, audit.lost, audit.complaints) == (3, 0, [])
    _rows(audit, kept | {"history": kept["history"][:2]}, safe)
    assert (audit.rows, audit.lost, audit.complaints) == (6, 1, ["run a lost lines [2] of 3 that are safe"])
    audit = Audit()
    wrong = json.dumps({"_step": 0, METRIC: 7.0})
    _rows(audit, kept | {"history": [kept["history"][0], wrong]}, {})
    assert [text.split(":")[0] for text in audit.complaints] == [
        "run a has a step twice", "run a has a row that it did not log",
    ]  # fmt: skip


def test_a_drill_that_is_not_there_is_a_users_error() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.drills", "deths"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("error: no such drill: deths")
