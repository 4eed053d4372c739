"""The ASGI middleware that every request passes: who asks, and what a failure becomes."""

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cola_sweep.server import auth, shared
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.bodies import Json, refusal
from cola_sweep.server.context import Context
from cola_sweep.server.pages import frame, static
from cola_sweep.server.sign_in import to_sign_in
from cola_sweep.server.store import Store
from cola_sweep.server.store.failures import transient
from cola_sweep.server.urls import Urls

log = logging.getLogger(__name__)

# `/sdk/otel/...` is a telemetry probe: its 404 must come without a key, too, to end it.
OPEN = frozenset({"/ready", "/login", "/favicon.ico", "/sdk/otel/v1/metrics"})


class Door:
    """Puts a `Context` into `request.state.context`, or answers 401; turns exceptions into answers."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: Store,
        blobs: Blobs,
        secret: bytes,
        search_seed: int | None = None,
        open_paths: frozenset[str] = OPEN,
    ) -> None:
        self.app, self.store, self.blobs = app, store, blobs
        self.secret, self.search_seed, self.open_paths = secret, search_seed, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, started = Request(scope, receive), False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            if refusal := self._enter(request):
                await refusal(scope, receive, send)
            else:
                await self.app(scope, receive, watched)
        except ClientDisconnect:
            pass
        except Exception as error:
            if started:
                raise
            await _failed(request, error)(scope, receive, send)

    def _enter(self, request: Request) -> Response | None:
        urls = Urls(str(request.base_url).rstrip("/"), self.secret, self.store.clock)
        if request.method == "OPTIONS":
            return _own_pages_only(urls)
        user = auth.allowed(request, self.store, urls)
        request.state.urls, request.state.store, request.state.blobs = urls, self.store, self.blobs
        if user is not None:
            writer = shared.writer(request.headers)
            request.state.context = Context(self.store, self.blobs, urls, user, self.search_seed, writer)
        elif request.scope["path"] not in self.open_paths and not request.scope["path"].startswith(static.PREFIX):
            if frame.is_browser(request):
                return to_sign_in(request)
            return refusal(401, "this server needs its API key: user `api`, password the key")
        return None


def _own_pages_only(urls: Urls) -> Response:
    """What a browser asks, without a key, before a page reaches for a file: no other site's page may."""
    allow = {"access-control-allow-origin": urls.base, "access-control-allow-methods": "GET, PUT"}
    return Response(status_code=204, headers=allow)


def _failed(request: Request, error: Exception) -> Response:
    """503 makes the client try again; 422, and 200 with `errors` from GraphQL, do not."""
    if transient(error):
        log.error("%s %s cannot be served now: %s", request.method, request.url.path, error)
        if frame.is_browser(request):
            return frame.message(request, 503, "Not now", f"The server cannot answer: {error}.", "Reload in a moment.")
        return refusal(503, f"try again later: {error}")
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = f"the server failed: {error!r}"
    if request.url.path == "/graphql":
        return Json({"data": None, "errors": [{"message": message}]})
    if frame.is_browser(request):
        return frame.message(request, 500, "The server failed", repr(error), "Its log, server.log, says where.")
    return refusal(422, message)
