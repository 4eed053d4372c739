"""What a run logged over time: history, system metrics, console."""

import json
from typing import Any

from cola_sweep.server import ids, texts
from cola_sweep.server.connections import page
from cola_sweep.server.console_lines import console_line
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.input_types import of_type
from cola_sweep.server.store import streams
from cola_sweep.server.store.runs import Run

resolvers = Resolvers()
_SAMPLES = 500
_LARGEST = 2**63 - 1  # of a step


@resolvers.field("Run", "history")
def _history(context: Context, run: Run, args: Args) -> list[str]:
    """Rows with minStep <= step < maxStep, as JSON texts."""
    return streams.history_texts(
        context.store,
        run.id,
        samples=args.get("samples") or _SAMPLES,
        min_step=args.get("minStep"),
        max_step=args.get("maxStep"),
    )


@resolvers.field("Run", "events")
def _events(context: Context, run: Run, args: Args) -> list[str]:
    return streams.event_texts(context.store, run.id, args.get("samples") or _SAMPLES)


@resolvers.field("Run", "historyTail")
def _history_tail(context: Context, run: Run, args: Args) -> str:
    return _tail(context, run, "history")


@resolvers.field("Run", "eventsTail")
def _events_tail(context: Context, run: Run, args: Args) -> str:
    return _tail(context, run, "events")


@resolvers.field("Run", "sampledHistory")
def _sampled(context: Context, run: Run, args: Args) -> list[list[Any]]:
    """A list of rows for each spec: `{"keys": [...], "minStep", "maxStep" (both inclusive), "samples"}`."""
    return [_sampled_by(context, run, spec) for spec in args.get("specs") or []]


@resolvers.field("Run", "parquetHistory")
def _parquet(context: Context, run: Run, args: Args) -> Args:
    """No Parquet is kept: empty lists send the client to the live rows."""
    return {"parquetUrls": [], "liveData": []}


@resolvers.field("Run", "logLines")
def _log_lines(context: Context, run: Run, args: Args) -> Args:
    """A page of console lines from `after` on, or the `last` ones."""
    if (last := args.get("last")) is not None:
        lines = streams.console_tail(context.store, run.id, max(last, 0))
        return page([_log_line(*line) for line in lines], None, _log_cursor)
    after, first = args.get("after"), args.get("first")
    behind = ids.row(after) if after else -1
    if behind is None:
        raise Refused(f"{after!r:.100} is not a cursor of console lines")
    first = 10_000 if first is None else max(first, 0)
    lines = streams.console(context.store, run.id, after=behind, first=first + 1)
    return page([_log_line(*line) for line in lines], first, _log_cursor)


def _sampled_by(context: Context, run: Run, text: str) -> list[Any]:
    try:
        spec = of_type("HistorySpec", texts.parsed(text), "specs")
    except ValueError as error:
        raise Refused(f"specs must be JSON: {error}") from None
    most = spec.get("maxStep")
    return streams.history_rows(
        context.store,
        run.id,
        spec.get("keys") or (),
        samples=spec.get("samples") or _SAMPLES,
        min_step=spec.get("minStep"),
        max_step=None if most is None else min(most + 1, _LARGEST),
    )


def _tail(context: Context, run: Run, stream: streams.Stream) -> str:
    """A JSON text of a list of JSON texts: the last line, if there is one."""
    line = streams.tail(context.store, run.id, stream)
    return json.dumps([] if line is None else [line])


def _log_line(number: int, text: str) -> Args:
    return {"number": number, **console_line(text)}


def _log_cursor(line: Args) -> str:
    return str(line["number"])
