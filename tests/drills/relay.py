"""Stands between clients and server: notes what these were told, and loses what it is told to lose.

A row, or a run's end, is safe when the answer to the `file_stream` request that held it went back to the client; a run
is given out when the answer that names it went back to the agent. Standard library alone.
"""

import http.client
import json
import re
import socket
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_STREAM = re.compile(r"/files/[^/]+/[^/]+/([^/]+)/file_stream")
# What may be lost: "request" before the server sees it, "answer" after the server has done it.
Lost = Callable[[str], str | None]


class Relay:
    """An address that stays while servers behind it come and go.

    Attributes:
        safe: by run, the rows by line that the client knows to be safe.
        ended: by run, the exit code with which its client knows it to be complete.
        given: runs that agents were told to begin, or to go on with.
        port: where clients connect.
        upstream: the port of the server.
        lost: asked for each request by its path; None passes it.
    """

    def __init__(self) -> None:
        self.safe: dict[str, dict[int, Any]] = defaultdict(dict)
        self.ended: dict[str, int] = {}
        self.given: set[str] = set()
        self.upstream = 0
        self.lost: Lost = lambda path: None
        self.port = 0
        self._server: _Server | None = None
        self.heal()

    def heal(self) -> None:
        """Listen, again at the same port."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), _Handler)
            self._server.relay = self
            self.port = self._server.server_port
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def cut(self) -> None:
        """Close the port and every connection: nobody is there."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.drop()
            self._server = None

    def note(self, path: str, body: bytes, answer: bytes) -> None:
        """Remember what the other side is told by an answer that is on its way."""
        if stream := _STREAM.fullmatch(path):
            self._note_stream(stream[1], json.loads(body))
        elif path == "/graphql" and b"agentHeartbeat" in answer:
            beat = (json.loads(answer).get("data") or {}).get("agentHeartbeat") or {}
            commands = json.loads(beat.get("commands") or "[]")
            self.given |= {command["run_id"] for command in commands if command["type"] in ("run", "resume")}

    def _note_stream(self, run: str, body: Any) -> None:
        part = (body.get("files") or {}).get("wandb-history.jsonl") or {}
        for line, text in enumerate(part.get("content") or (), part.get("offset", 0)):
            self.safe[run][line] = json.loads(text)
        if body.get("complete"):
            self.ended[run] = body.get("exitcode") or 0
        else:
            self.ended.pop(run, None)  # it goes on


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    relay: Relay

    def __init__(self, *args: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def drop(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is what the relay is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass(self) -> None:
        relay = self.server.relay
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        loss = relay.lost(self.path)
        if loss == "request":
            self.close_connection = True
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        upstream = http.client.HTTPConnection("127.0.0.1", relay.upstream, timeout=120)
        try:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.close_connection = True
            return
        finally:
            upstream.close()
        if loss == "answer":
            self.close_connection = True
            return
        if answer.status == 200:
            relay.note(self.path, body, content)
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_HEAD = _pass

    def log_message(self, *args: Any) -> None:
        pass
