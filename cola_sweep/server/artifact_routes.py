"""HTTP routes of the bytes of artifacts. The app has checked the signature or the key before they are called.

| route | |
| --- | --- |
| PUT, GET `/storage/artifacts/{md5}` | a file by its MD5 in hex; PUT checks it |
| PUT, GET `/storage/artifact-manifests/{id}/wandb_manifest.json` | a manifest |
| GET `/artifactsV2/{region}/{entity}/{project}/{collection}/[{artifact}/]{birth artifact}/{md5}/{file name}` | W&B's |
| GET `/artifacts/{entity}/{md5}` | W&B's older one |
"""

import asyncio
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from cola_sweep.server import artifact_bytes, ids
from cola_sweep.server.blobs import BadDigest
from cola_sweep.server.context import Context
from cola_sweep.server.file_routes import INERT
from cola_sweep.server.manifests import md5_base64
from cola_sweep.server.store import artifact_files, artifacts, collections, projects
from cola_sweep.server.store.artifact_files import ArtifactManifest

_MD5 = re.compile(r"[0-9a-f]{32}")


async def put_file(request: Request) -> Response:
    """Store a file whose MD5 is in the path; 400 if its bytes have another."""
    md5, blobs = request.path_params["md5"], _context(request).blobs
    if not _MD5.fullmatch(md5):
        raise HTTPException(404, "no such file")
    await _received(request, blobs.artifact_file(md5), md5_base64(md5))
    return Response(headers={"ETag": f'"{md5}"'})


async def put_manifest(request: Request) -> Response:
    """Store a manifest; 404 if no upload waits for it, 400 if its MD5 is not the one announced."""
    context, number = _context(request), _number(request)
    row = await asyncio.to_thread(_awaited, context, number)
    if row is None:
        raise HTTPException(404, "no upload waits for this manifest")
    await _received(request, context.blobs.artifact_manifest(number), row.digest or None)
    await asyncio.to_thread(artifact_files.receive, context.store, number)
    return Response()


async def get_file(request: Request) -> Response:
    """A file by its MD5."""
    md5 = request.path_params["md5"]
    return await _served(_context(request).blobs.artifact_file(md5) if _MD5.fullmatch(md5) else None)


async def get_manifest(request: Request) -> Response:
    """A manifest."""
    return await _served(_context(request).blobs.artifact_manifest(_number(request)))


async def get_of_collection(request: Request) -> Response:
    """A file that some version of the collection holds, as clients ask that were given no address for it."""
    context, params = _context(request), request.path_params
    # Between collection and digest are the ids of the artifact (from newer clients) and of the file's birth.
    match = re.fullmatch(r"(?:[^/]*/){1,2}([0-9a-f]{32})/[^/]+", params["rest"])
    if match is None:
        raise HTTPException(404, "no such file")
    return await _served(await asyncio.to_thread(_of_collection, context, params, match[1]))


async def get_of_entity(request: Request) -> Response:
    """A file that some artifact of the entity's projects holds."""
    context, params = _context(request), request.path_params
    known = await asyncio.to_thread(artifact_files.in_entity, context.store, params["entity"], params["md5"])
    return await _served(context.blobs.artifact_file(params["md5"]) if known else None)


def _number(request: Request) -> int:
    number = ids.row(request.path_params["number"])
    if number is None:
        raise HTTPException(404, "no such manifest")
    return number


def _awaited(context: Context, manifest_id: int) -> ArtifactManifest | None:
    row = artifact_files.manifest(context.store, manifest_id)
    artifact = artifacts.by_id(context.store, row.artifact_id) if row else None
    return row if artifact and artifact.state == "PENDING" else None


def _of_collection(context: Context, params: dict[str, str], md5: str) -> Path | None:
    project = projects.get(context.store, params["entity"], params["project"])
    found = collections.named(context.store, project.id, params["collection"]) if project else None
    known = found is not None and artifact_files.in_collection(context.store, found.id, md5)
    return context.blobs.artifact_file(md5) if known else None


async def _received(request: Request, path: Path, digest: str | None) -> None:
    try:
        await _context(request).blobs.receive(path, request.stream(), md5_base64=digest)
    except BadDigest as error:
        raise HTTPException(400, str(error)) from None


async def _served(path: Path | None) -> Response:
    try:
        status = await asyncio.to_thread(path.stat) if path else None
    except FileNotFoundError:
        status = None
    if path is None or status is None:
        raise HTTPException(404, "no such file")
    return FileResponse(path, media_type="application/octet-stream", headers=INERT, stat_result=status)


def _context(request: Request) -> Context:
    context: Context = request.state.context
    return context


_FILE, _MANIFEST = artifact_bytes.FILE_ROUTE, artifact_bytes.MANIFEST_ROUTE
routes: list[Route] = [
    Route(_FILE, put_file, methods=["PUT"]),
    Route(_FILE, get_file, methods=["GET"]),
    Route(_MANIFEST, put_manifest, methods=["PUT"]),
    Route(_MANIFEST, get_manifest, methods=["GET"]),
    Route("/artifactsV2/{region}/{entity}/{project}/{collection}/{rest:path}", get_of_collection, methods=["GET"]),
    Route("/artifacts/{entity}/{md5}", get_of_entity, methods=["GET"]),
]
