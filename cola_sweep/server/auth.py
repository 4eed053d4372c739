"""Who a request comes from: the API key, an address that carries a signature, or a browser's cookie."""

import binascii
import hashlib
import hmac
import secrets
from base64 import b64decode
from collections.abc import Mapping

from starlette.requests import Request

from cola_sweep.server.store import Store, settings, users
from cola_sweep.server.store.users import User
from cola_sweep.server.urls import Urls

COOKIE = "cola_sweep_session"
SESSION_SECONDS = 30 * 86400
ACTIONS = "/actions/"  # where forms of pages are posted to; each asks for the form's token
_LOGIN_TOKEN = "login_token"


def secret(store: Store) -> bytes:
    """The key of all signatures, made with the database."""
    return bytes.fromhex(settings.get_or_make(store, "secret", lambda: secrets.token_hex(32)))


def allowed(request: Request, store: Store, urls: Urls) -> User | None:
    """The account that a request speaks for, or None.

    A signed address speaks for the server's own account, on that address only; a cookie reads, and posts the forms of
    pages, whose routes ask for `form_token` besides.
    """
    if "signature" in request.query_params and urls.valid(request.method, request.scope["path"], request.query_params):
        return users.first(store)
    if key := basic_key(request.headers):
        return users.by_key(store, key)
    if request.method in ("GET", "HEAD") or request.scope["path"].startswith(ACTIONS):
        return _of_cookie(store, urls, request.cookies.get(COOKIE, ""))
    return None


def basic_key(headers: Mapping[str, str]) -> str:
    """The password of Basic authentication, or an empty text. wandb's user name there is always `api`."""
    scheme, _, coded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        user, _, key = b64decode(coded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return ""
    return key if user == "api" else ""


def session(urls: Urls, user: User) -> str:
    """The value of a browser's cookie: who, until when, signed."""
    body = f"{user.name}.{int(urls.clock()) + SESSION_SECONDS}"
    return f"{body}.{_seal(urls, 'session', body)}"


def form_token(urls: Urls, cookie: str) -> str:
    """What a form carries to show that it was opened in the session of this cookie: another site cannot read it."""
    return _seal(urls, "form", cookie)


def same_token(given: str, wanted: str) -> bool:
    """Whether two tokens are equal, told in a time that does not depend on where they differ."""
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def new_login_token(store: Store) -> str:
    """A token that signs one browser in, once; an earlier one ends."""
    token = secrets.token_urlsafe(24)
    settings.put(store, _LOGIN_TOKEN, token)
    return token


def spend_login_token(store: Store, token: str) -> bool:
    """Whether `token` is the newest one and was not spent yet."""
    with store.write():
        newest = settings.get(store, _LOGIN_TOKEN)
        good = bool(newest) and hmac.compare_digest(str(newest).encode(), token.encode(errors="replace"))
        if good:
            settings.put(store, _LOGIN_TOKEN, "")
        return good


def _of_cookie(store: Store, urls: Urls, value: str) -> User | None:
    body, _, seal = value.rpartition(".")
    if not hmac.compare_digest(seal.encode(errors="replace"), _seal(urls, "session", body).encode()):
        return None
    name, _, expires = body.rpartition(".")
    return users.by_name(store, name) if int(expires) > urls.clock() else None


def _seal(urls: Urls, purpose: str, body: str) -> str:
    return hmac.new(urls.secret, f"{purpose}\n{body}".encode(errors="replace"), hashlib.sha256).hexdigest()
