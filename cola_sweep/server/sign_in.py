"""Signing a browser in: by the link that `serve` prints, once, or by the API key."""

import asyncio
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from cola_sweep.server import auth
from cola_sweep.server.bodies import read_body
from cola_sweep.server.pages import Block, Page, render
from cola_sweep.server.store import users
from cola_sweep.server.store.users import User

_FORM_LIMIT = 2**14


def to_sign_in(request: Request) -> Response:
    """Send a browser to the form, and back afterwards."""
    return RedirectResponse(f"/login?next={quote(request.scope['path'])}", 303)


async def _login(request: Request) -> Response:
    return await asyncio.to_thread(_by_link, request)


async def _submit(request: Request) -> Response:
    form = parse_qs((await read_body(request, _FORM_LIMIT)).decode(errors="replace"))
    key, then = (form.get(name, [""])[-1] for name in ("key", "next"))
    return await asyncio.to_thread(_by_key, request, key.strip(), then)


async def _authorize(request: Request) -> Response:
    key = request.state.context.user.api_key
    return render(Page("API key", note="`wandb login` asks for it.", blocks=(Block("Your key", key),)))


def _by_link(request: Request) -> Response:
    token, then = request.query_params.get("token"), request.query_params.get("next", "")
    if token is None:
        return render(_form("", then))
    if auth.spend_login_token(request.state.store, token):
        return _welcome(request, users.first(request.state.store), then)
    return render(_form("That link was used already, or the server has started anew since.", then), 403)


def _by_key(request: Request, key: str, then: str) -> Response:
    user = users.by_key(request.state.store, key)
    return _welcome(request, user, then) if user else render(_form("That is not a key of this server.", then), 403)


def _form(note: str, then: str) -> Page:
    return Page("Sign in", note=note, asks_for_key=True, next=_local(then))


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


def _local(address: str) -> str:
    """`address` if it is a path of this server, else the home page."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"


routes = [
    Route("/login", _login, methods=["GET"]),
    Route("/login", _submit, methods=["POST"]),
    Route("/authorize", _authorize),
]
