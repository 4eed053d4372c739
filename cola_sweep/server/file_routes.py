"""HTTP routes of the bytes of runs' files."""

import asyncio
import mimetypes
from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from cola_sweep.server.blobs import BadDigest, BadName
from cola_sweep.server.context import Context
from cola_sweep.server.store import files, runs
from cola_sweep.server.store.runs import Run

# What was logged is data: it may not run as a page of this server, whatever it says it is.
INERT = {"content-security-policy": "sandbox; default-src 'none'", "x-content-type-options": "nosniff"}


async def _put(request: Request) -> Response:
    context, run, name = await asyncio.to_thread(_target, request)
    path = context.blobs.run_file(run.id, name)
    try:
        received = await context.blobs.receive(path, request.stream(), md5_base64=request.headers.get("content-md5"))
    except BadDigest as error:
        raise HTTPException(400, str(error)) from None
    await asyncio.to_thread(files.record, context.store, run.id, name, received.size, received.md5_base64)
    return Response()


async def _get(request: Request) -> Response:
    context, run, name = await asyncio.to_thread(_target, request)
    path = context.blobs.run_file(run.id, name)
    try:
        # The record goes before the bytes when a file is deleted, so both are asked.
        found = await asyncio.to_thread(files.get, context.store, run.id, name)
        status = await asyncio.to_thread(path.stat) if found else None
    except FileNotFoundError:
        status = None
    if status is None:
        raise HTTPException(404, f"run {run.name} has no file {name!r}")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if "script" in kind or kind == "text/css":
        kind = "text/plain"  # pages take scripts and styles from this server: none that was logged may be one
    return FileResponse(path, media_type=kind, filename=PurePosixPath(name).name, headers=INERT, stat_result=status)


def _target(request: Request) -> tuple[Context, Run, str]:
    context, given = request.state.context, request.path_params
    run = runs.find(context.store, given["entity"], given["project"], given["run"])
    if run is None:
        raise HTTPException(404, f"there is no run {given['entity']}/{given['project']}/{given['run']}")
    try:
        context.blobs.run_file(run.id, given["name"])
    except BadName as error:
        raise HTTPException(400, str(error)) from None
    return context, run, given["name"]


async def _file(request: Request) -> Response:
    return await (_put(request) if request.method == "PUT" else _get(request))


routes = [Route("/files/{entity}/{project}/{run}/{name:path}", _file, methods=["GET", "HEAD", "PUT"])]
