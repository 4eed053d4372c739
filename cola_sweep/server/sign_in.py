"""Signing a browser in, by the link that `serve` prints, once, or by the API key; and out."""

import asyncio
from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cola_sweep.server import auth
from cola_sweep.server.pages import frame
from cola_sweep.server.pages.frame import Page
from cola_sweep.server.store import users
from cola_sweep.server.store.users import User


def to_sign_in(request: Request) -> Response:
    """Send a browser to the form, and back afterwards; what it posted is not posted again."""
    path = request.scope["path"] if request.method == "GET" else "/"
    query = f"?{request.url.query}" if request.method == "GET" and request.url.query else ""
    return RedirectResponse(f"/login?next={quote(path + query)}", 303)


async def _login(request: Request) -> Response:
    return await asyncio.to_thread(_by_link, request)


async def _submit(request: Request) -> Response:
    return await asyncio.to_thread(_by_key, request, await frame.form_fields(request))


def _by_link(request: Request) -> Response:
    token, then = request.query_params.get("token"), request.query_params.get("next", "")
    if token is None:
        return _form(request, "", then)
    if auth.spend_login_token(request.state.store, token):
        return _welcome(request, users.first(request.state.store), then)
    return _form(request, "That link was used already, or the server has started anew since.", then)


def _by_key(request: Request, fields: Mapping[str, str]) -> Response:
    user, then = users.by_key(request.state.store, fields.get("key", "").strip()), fields.get("next", "")
    return _welcome(request, user, then) if user else _form(request, "That is not a key of this server.", then)


def _form(request: Request, wrong: str, then: str) -> Response:
    page = Page("login.html.j2", "Sign in", values={"wrong": wrong, "next": _local(then)})
    return frame.render(request, page, 403 if wrong else 200)


def _welcome(request: Request, user: User, then: str) -> Response:
    response = RedirectResponse(_local(then), 303)
    response.set_cookie(
        auth.COOKIE,
        auth.session(request.state.urls, user),
        max_age=auth.SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _authorize(request: Request) -> Page:
    return Page("key.html.j2", "API key", values={"key": request.state.context.user.api_key})


def _leave(request: Request, fields: Mapping[str, str]) -> Response:
    response = RedirectResponse("/login", 303)
    response.delete_cookie(auth.COOKIE)
    return response


def _local(address: str) -> str:
    """`address` if it is a path of this server, else the home page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


routes = [
    Route("/login", _login, methods=["GET"]),
    Route("/login", _submit, methods=["POST"]),
    frame.view("/authorize", _authorize),
    frame.action("/actions/sign-out", _leave),
]
