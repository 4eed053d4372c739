"""Accounts over HTTP, for W&B's own system tests alone: they make a user whose key, name and entity are one.

Served only where the server was started with --allow-provisioning: whoever reaches it may make accounts.
"""

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cola_sweep.server.bodies import Json, read_json
from cola_sweep.server.names import ReservedName
from cola_sweep.server.store import Store, users

_LIMIT = 2**16


async def _user(request: Request) -> Response:
    body = await read_json(request, _LIMIT)
    name, command = body.get("username"), body.get("command")
    if not isinstance(name, str) or not name:
        raise HTTPException(400, "`username` must be a text")
    if command in ("up", "password"):
        try:
            await asyncio.to_thread(_ensure, request.state.store, name)
        except ReservedName as error:
            raise HTTPException(400, str(error)) from None
    elif command == "down":
        await asyncio.to_thread(users.remove, request.state.store, name)
    else:
        raise HTTPException(400, f"`command` must be up, password or down, got {command!r}")
    return Json({})


def _ensure(store: Store, name: str) -> None:
    with store.write():
        if users.by_name(store, name) is None:
            users.add(store, name, api_key=name)


routes = [Route("/db/user", _user, methods=["POST"])]
