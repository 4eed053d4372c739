"""Files that pages load, by addresses that hold a hash of what they hold: a browser keeps each for good.

Our own are in `static/`. vega-embed comes out of the installed vl-convert-python: bundled once, by a process of its
own that takes four seconds and ends with its memory, and kept in the data folder.
"""

import asyncio
import gzip
import hashlib
import os
import re
import secrets
import subprocess
import sys
import threading
from functools import cache
from importlib import metadata, resources
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

PREFIX = "/static/"
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_HEADERS = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}
# The drawing of parallel coordinates is asked by the same script here as in a report.
_SHARED = {"parallel.js": ("cola_sweep", "templates")}
_VEGA = "vega.js"
_BUNDLE = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle())"
_BUNDLE_SECONDS = 120
_bundling = threading.Lock()


@cache
def address(name: str) -> str:
    """Where the file of that name is served.

    Raises:
        FileNotFoundError: there is none.
    """
    stem, dot, kind = name.rpartition(".")
    text = metadata.version("vl-convert-python") if name == _VEGA else content(name)
    return f"{PREFIX}{stem}.{hashlib.sha256(text.encode()).hexdigest()[:12]}{dot}{kind}"


@cache
def content(name: str) -> str:
    """The text of one of our own files; modules that it imports by `"./NAME"` are named by their addresses."""
    package, folder = _SHARED.get(name, (__package__, "static"))
    text = resources.files(package).joinpath(folder, name).read_text(encoding="utf-8")
    return re.sub(r'"\./([\w.-]+\.js)"', lambda found: f'"{address(found[1])}"', text)


def vega(folder: Path) -> Path:
    """The bundle of vega-embed, gzipped, in the data folder; made where it is not there yet.

    Raises:
        subprocess.SubprocessError: it could not be made.
    """
    path = folder / f"vega-{metadata.version('vl-convert-python')}.js.gz"
    with _bundling:
        if not path.exists():
            words = [sys.executable, "-c", _BUNDLE]
            bundle = subprocess.run(words, capture_output=True, check=True, timeout=_BUNDLE_SECONDS).stdout
            unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
            unfinished.write_bytes(gzip.compress(bundle, mtime=0))
            os.replace(unfinished, path)
    return path


async def _serve(request: Request) -> Response:
    return await asyncio.to_thread(_answer, request)


def _answer(request: Request) -> Response:
    given = request.path_params["name"]
    name = re.sub(r"\.[0-9a-f]{12}(?=\.\w+$)", "", given)
    try:
        known = re.fullmatch(r"[\w.-]+", name) and address(name) == PREFIX + given
    except FileNotFoundError:
        known = False
    if not known:
        raise HTTPException(404, f"there is no {PREFIX}{given}; reload the page that asked for it")
    kind = _KINDS[name.rpartition(".")[2]]
    if name == _VEGA:
        headers = {**_HEADERS, "content-encoding": "gzip"}
        return FileResponse(vega(request.state.blobs.root), media_type=kind, headers=headers)
    return Response(content(name), media_type=kind, headers=_HEADERS)


route = Route(PREFIX + "{name}", _serve)
