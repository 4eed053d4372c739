"""What a running client posts to `file_stream`: history, system metrics, summary, console, its end.

One transaction a request. A request that is sent again changes nothing: each line has its number.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cola_sweep.server import dispatch, shared, states, texts
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import HttpRefusal
from cola_sweep.server.store import Store, runs, shared_lines, streams

_STREAMS: Mapping[str, streams.Stream] = {
    "wandb-history.jsonl": "history",
    "wandb-events.jsonl": "events",
    "output.log": "console",
}
_SUMMARY = "wandb-summary.json"


@dataclass(frozen=True)
class Post:
    """A request body that was read and checked. `exitcode` matters with `complete` alone."""

    chunks: tuple[streams.Chunk, ...] = ()
    summary: str | None = None
    preempting: bool = False
    complete: bool = False
    exitcode: int = 0


def receive(context: Context, entity: str, project: str, run_name: str, body: Any) -> dict[str, Any]:
    """Store one request of a run's client and tell it whether to stop.

    Raises:
        HttpRefusal: 404, there is no such run; 400, the body is not one a client sends: nothing is kept.
    """
    try:
        post = parse(body)
    except ValueError as error:
        raise HttpRefusal(400, f"file_stream of run {run_name}: {error}") from None
    run = _store(context.store, entity, project, run_name, post, context.writer)
    if run.sweep_id is not None:
        dispatch.on_stream(context.store, run, body)
        run = runs.by_id(context.store, run.id) or run
    return {"stopped": bool(run.stop_requested)}


def parse(body: Any) -> Post:
    """Check a request body.

    Raises:
        ValueError: it is not what a client sends.
    """
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")
    files = body.get("files")
    files = {} if files is None else files
    if not isinstance(files, dict):
        raise ValueError("`files` must be an object")
    chunks, summary = [], None
    for name, part in files.items():
        offset, lines = _content(name, part)
        if name == _SUMMARY:
            summary = texts.read("the summary", lines[-1])[1] if lines else None
        elif name in _STREAMS:
            chunks.append(streams.chunk(_STREAMS[name], offset, lines))
    exitcode = body.get("exitcode") or 0
    # 32 bits hold what any system ends a process with.
    if not isinstance(exitcode, int) or not -(2**31) <= exitcode < 2**32:
        raise ValueError(f"`exitcode` must be an integer, got {exitcode!r}")
    return Post(
        chunks=tuple(chunks),
        summary=summary,
        preempting=body.get("preempting") is True,
        complete=body.get("complete") is True,
        exitcode=int(exitcode),
    )


def _content(name: str, part: Any) -> tuple[int, list[str]]:
    if not isinstance(part, dict):
        raise ValueError(f"`files.{name}` must be an object")
    offset, lines = part.get("offset", 0), part.get("content")
    lines = [] if lines is None else [lines] if isinstance(lines, str) else lines
    if not isinstance(offset, int) or not 0 <= offset < 2**53:
        raise ValueError(f"`files.{name}.offset` must be a line number, got {offset!r}")
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"`files.{name}.content` must be a list of texts")
    return offset, lines


def _store(store: Store, entity: str, project: str, run_name: str, post: Post, writer: str | None) -> runs.Run:
    with store.write():
        run = runs.find(store, entity, project, run_name)
        if run is None:
            raise HttpRefusal(404, f"there is no run {entity}/{project}/{run_name}")
        for part in post.chunks:
            for piece in [part] if writer is None else shared_lines.placed(store, run, writer, part):
                streams.write(store, run.id, piece)
        changes: dict[str, Any] = {"heartbeat_at": store.now(), **_state(store, run, post, writer)}
        if post.summary is not None:
            changes["summary_json"] = post.summary if writer is None else _joined(store, run, post.summary)
        runs.update(store, run.id, **changes)
        stored = runs.by_id(store, run.id)
    assert stored is not None
    return stored


def _joined(store: Store, run: runs.Run, summary: str) -> str:
    now = runs.by_id(store, run.id) or run
    return json.dumps(shared.merged_summary(json.loads(now.summary_json), json.loads(summary), now.last_step))


def _state(store: Store, run: runs.Run, post: Post, writer: str | None) -> dict[str, Any]:
    before = "preempting" if post.preempting else run.state
    if post.complete:
        state = states.completed(before, post.exitcode, stopping=bool(run.stop_requested))
        return {"state": state, "exitcode": post.exitcode, "finished_at": store.now()}
    if before == "preempting":
        return {"state": "preempting"}
    if writer is not None and before in runs.ENDED:
        return {}  # another of its processes has ended it
    return {"state": "running", "exitcode": None, "finished_at": None}
