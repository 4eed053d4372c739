"""The server as an ASGI application: routes, and the one door that every request comes in by.

Answers are shaped by how the client retries (up to 20 times over many minutes, on 5xx and 429): a
mistake, whose ever it is, must never look like a passing trouble, and the other way round.
"""

import asyncio
import contextlib
import logging
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from cola_sweep.server import (
    artifact_routes,
    auth,
    dispatch,
    file_routes,
    filestream,
    pages,
    search,
    sign_in,
    states,
)
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.bodies import Json, json_object, read_body, refusal
from cola_sweep.server.curve_cache import CurveCache
from cola_sweep.server.door import OPEN, Door
from cola_sweep.server.graphql import HttpRefusal, execute, operation_label
from cola_sweep.server.pages import frame
from cola_sweep.server.provisioning import routes as provisioning_routes
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import Store, settings, sweeps

log = logging.getLogger(__name__)

GRAPHQL_LIMIT = 64 * 2**20
FILE_STREAM_LIMIT = 32 * 2**20
TICK_SECONDS = 15.0
# Often, so that each time is short and no commit comes to do it, which would let a heartbeat wait for the disk.
CHECKPOINT_SECONDS = 1.0
# Distinct fields that are counted though nobody resolves them: beyond so many it is nonsense that is sent.
MOST_UNKNOWN = 1000
# Requests wait for the one writer or for a suggestion in these; more would only wait elsewhere.
THREADS = 32
# Pages are made in few of their own: however many are open, what logs and polls has its share of the machine.
PAGE_THREADS = 3


def create_app(store: Store, blobs: Blobs, *, search_seed: int | None = None, provisioning: bool = False) -> Starlette:
    """The application over one data folder. The caller closes `store` when the application has ended.

    Args:
        search_seed: seed of each sweep's search; by default one is drawn for each.
        provisioning: let anyone make accounts over HTTP, as W&B's own tests do.
    """
    unknown = UnknownFields(store)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "request"))
        ticking = [
            # What must happen though nobody asks: dead runs and agents end.
            asyncio.create_task(_each(TICK_SECONDS, lambda: dispatch.expire(store), unknown.save)),
            asyncio.create_task(_each(CHECKPOINT_SECONDS, store.heard_since, store.checkpoint)),
        ]
        # Sweeps that a restart interrupted go on at once; it does not delay the first answer.
        preparing = asyncio.create_task(asyncio.to_thread(_prepare, store))
        try:
            yield
        finally:
            for task in ticking:
                task.cancel()
            await asyncio.gather(*ticking, return_exceptions=True)
            await preparing
            app.state.page_threads.shutdown()
            unknown.save()

    routes = [
        Route("/ready", _ready),
        Route("/graphql", _graphql, methods=["POST"]),
        Route("/files/{entity}/{project}/{run}/file_stream", _file_stream, methods=["POST"]),
        *file_routes.routes,
        *artifact_routes.routes,
        Route("/sdk/{rest:path}", _not_here, methods=["GET", "POST"]),
        Route("/favicon.ico", _not_here),
        *(provisioning_routes if provisioning else ()),
        *sign_in.routes,
        *pages.routes,
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _refuse})
    app.state.unknown = unknown
    app.state.curves = CurveCache()
    app.state.page_threads = ThreadPoolExecutor(PAGE_THREADS, "page")
    app.add_middleware(
        Door,
        store=store,
        blobs=blobs,
        secret=auth.secret(store),
        search_seed=search_seed,
        open_paths=OPEN | {route.path for route in provisioning_routes if provisioning},
    )
    return app


class UnknownFields:
    """Counts the fields that clients ask for and nobody resolves; names each once in the log. The first thousand do."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen = set(settings.unknown_fields(store))
        self._new: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, fields: Counter[str], operation: str) -> None:
        """Count the fields that one operation asked for in vain."""
        with self._lock:
            for name, times in fields.items():
                if name not in self._seen and len(self._seen) < MOST_UNKNOWN:
                    log.warning("unknown field %s, asked for by %s", name, operation)
                    self._seen.add(name)
                if name in self._seen:
                    self._new[name] += times

    def save(self) -> None:
        """Add what came since the last call to the records."""
        with self._lock:
            fresh, self._new = self._new, Counter()
        if fresh:
            settings.count_unknown(self._store, fresh)


def _prepare(store: Store) -> None:
    for method in sweeps.methods(store, states.OPEN_SWEEP):
        search.prepare(method)


async def _each(seconds: float, *jobs: Callable[[], object]) -> None:
    """Do periodic work, off the event loop; a failure is logged, and tried again."""
    while True:
        await asyncio.sleep(seconds)
        for job in jobs:
            try:
                await asyncio.to_thread(job)
            except Exception:
                log.exception("the periodic work failed; it is tried again in %g s", seconds)


async def _ready(request: Request) -> Response:
    return PlainTextResponse("ready\n")


async def _not_here(request: Request) -> Response:
    # A 404 ends the client's telemetry for its process.
    raise HTTPException(404, "this server has no such thing")


async def _graphql(request: Request) -> Response:
    return await asyncio.to_thread(_answer, request, await read_body(request, GRAPHQL_LIMIT))


def _answer(request: Request, content: bytes) -> Response:
    body = json_object(content)
    text, variables, name = body.get("query"), body.get("variables"), body.get("operationName")
    if not isinstance(text, str) or not isinstance(variables, dict | None) or not isinstance(name, str | None):
        raise HTTPException(400, "a GraphQL body has `query` (text), `variables` (object), `operationName` (text)")
    try:
        answer = execute(resolvers, text, variables, name, request.state.context)
        if answer.unknown:
            request.app.state.unknown.add(answer.unknown, operation_label(text))
        return Json(answer.body())
    except HttpRefusal as error:
        return refusal(error.status, str(error))


async def _file_stream(request: Request) -> Response:
    return await asyncio.to_thread(_store_stream, request, await read_body(request, FILE_STREAM_LIMIT))


def _store_stream(request: Request, content: bytes) -> Response:
    entity, project, run = (request.path_params[name] for name in ("entity", "project", "run"))
    try:
        return Json(filestream.receive(request.state.context, entity, project, run, json_object(content)))
    except HttpRefusal as error:
        return refusal(error.status, str(error))


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if frame.is_browser(request):
        return frame.not_here(request, error)
    return refusal(error.status_code, error.detail, error.headers)
