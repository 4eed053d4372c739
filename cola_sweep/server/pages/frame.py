"""The frame of every page: layout, what a browser may do with it, forms, and data for scripts.

How a page is added:

1. A module here with a function `page(request) -> Page` that names a template and what the template shows. It runs
   in a thread, so it may read the store; `places` finds the project, sweep or run that the address names, or raises
   404. Slow or large things belong into a `feed`.
2. A template in `templates/` that begins with `{% extends "frame.html.j2" %}` and fills the block `content`. There is
   no inline script and no `style=` attribute: the policy would refuse them. All text is escaped. `{{ static("x.js") }}`
   is the address of a file of `static/`, `{{ text|when }}` a time. A form posts to `/actions/...` and
   holds `<input type="hidden" name="token" value="{{ token }}">`, which its action asks for.
3. Scripts are modules: `<script type="module" src="{{ static('x.js') }}"></script>` in the block `scripts`. One imports
   another by `import ... from "./y.js"`, and vega-embed by `import "./vega.js"`, which sets `window.vegaEmbed`; the
   policy takes `{ast: true, defaultStyle: false, tooltip: {disableDefaultStyle: true}}`. They make elements with `el`
   of `dom.js`, never from text with markup, follow a feed with `follow` of `live.js`, and take over what the server
   now says of a page's elements `data-part` with `parts` of `parts.js`.
4. A line each in `routes` of `__init__`: `view` for the page, `feed` for its data, `action` for a form.

Imports Jinja2 late, so that the server is up before it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from cola_sweep.server import auth
from cola_sweep.server.bodies import Json, read_body
from cola_sweep.server.pages import static
from cola_sweep.server.pages.places import Link

FORM_LIMIT = 2**14
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "private, no-cache",
}


@dataclass(frozen=True)
class Page:
    """What a template shows.

    Attributes:
        template: a file of `templates/`.
        title: of the window and the page's heading.
        trail: where the page lies, from the outside in.
        values: by the names that the template uses.
    """

    template: str
    title: str
    trail: tuple[Link, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Feed:
    """Data for a script.

    Attributes:
        version: changes whenever the data do; cheap to find.
        make: the data, called only for a browser that has another version.
    """

    version: str
    make: Callable[[], Any]


def is_browser(request: Request) -> bool:
    """Whether a person would see the answer."""
    return "text/html" in request.headers.get("accept", "")


def render(request: Request, page: Page, status: int = 200) -> Response:
    """The page as HTML; what it was given is shown as text, whatever it holds."""
    session = request.cookies.get(auth.COOKIE, "")
    values = {**page.values, "page": page, "token": _token(request) if session else ""}
    html = _templates().get_template(page.template).render(values)
    return HTMLResponse(html, status, _HEADERS)


def message(
    request: Request, status: int, title: str, detail: str, hint: str = "", way: tuple[Link, ...] = ()
) -> Response:
    """A page that says what went wrong, what to do about it, and by `way` where to go back to."""
    return render(request, Page("message.html.j2", title, way, {"detail": detail, "hint": hint}), status)


def not_here(request: Request, error: HTTPException) -> Response:
    """The page of a refused request."""
    if error.status_code == 404:
        # Starlette's own words are for an address that no route has.
        detail = "There is no such page." if error.detail == "Not Found" else error.detail
        return message(request, 404, "Not here", detail, "It may have been deleted, or the address has a slip.")
    return message(request, error.status_code, "Refused", error.detail)


def view(path: str, build: Callable[[Request], Page]) -> Route:
    """The route of a page."""

    return _made(path, lambda request: render(request, build(request)))


def feed(path: str, build: Callable[[Request], Feed]) -> Route:
    """The route of a page's data: JSON, or 304 to a browser that has this version."""

    def answer(request: Request) -> Response:
        found = build(request)
        tag = f'"{hashlib.sha256(found.version.encode()).hexdigest()[:16]}"'
        headers = {"etag": tag, "cache-control": "private, no-cache", "x-content-type-options": "nosniff"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Json(found.make(), headers=headers)

    return _made(path, answer)


def action(path: str, do: Callable[[Request, Mapping[str, str]], str | Response]) -> Route:
    """The route of a form, below `/actions/`: `do` is given its fields, and returns the page to go to or an answer.

    A form that was not opened in this session is refused with 403.
    """
    assert path.startswith(auth.ACTIONS), path

    def answer(request: Request, fields: Mapping[str, str]) -> Response:
        if not auth.same_token(fields.get("token", ""), _token(request)):
            return message(request, 403, "Refused", "This form was opened in another session.", "Reload its page.")
        done = do(request, fields)
        return RedirectResponse(done, 303) if isinstance(done, str) else done

    async def endpoint(request: Request) -> Response:
        return await asyncio.to_thread(answer, request, await form_fields(request))

    return Route(path, endpoint, methods=["POST"])


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a submitted form, the last value of each."""
    text = (await read_body(request, FORM_LIMIT)).decode(errors="replace")
    return {name: values[-1] for name, values in parse_qs(text).items()}


def _made(path: str, answer: Callable[[Request], Response]) -> Route:
    """A route that is answered in a thread of the pages'."""

    async def endpoint(request: Request) -> Response:
        return await asyncio.get_running_loop().run_in_executor(request.app.state.page_threads, answer, request)

    return Route(path, endpoint)


def _token(request: Request) -> str:
    return auth.form_token(request.state.urls, request.cookies.get(auth.COOKIE, ""))


@cache
def _templates() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["static"] = static.address
    environment.filters["when"] = when
    return environment


def when(text: str | None) -> str:
    """A time of the store, to the minute."""
    return f"{text[:10]} {text[11:16]} UTC" if text else ""
