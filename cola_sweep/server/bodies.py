"""Reading request bodies within bounds, and writing JSON that every client can read. No records here."""

import json
import zlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cola_sweep.server import texts


async def read_json(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in a request body of at most `limit` bytes, unpacked if it came gzipped.

    Raises:
        HTTPException: 400, not JSON, or not an object; 413, too long; 415, an encoding but gzip.
    """
    return json_object(await read_body(request, limit))


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        HTTPException: 400, not JSON, or not an object.
    """
    try:
        value = texts.parsed(body)
    except ValueError as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise HTTPException(400, "the body is not a JSON object")
    return value


async def read_body(request: Request, limit: int) -> bytes:
    """The bytes of a request body, as `read_json` gets them."""
    body = bytearray()
    async for chunk in _decoded(request, limit):
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, f"the body is longer than {limit} bytes")
    return bytes(body)


class Json(Response):
    """A JSON response in which NaN and the infinities, which JSON has not, are texts.

    >>> Json({"loss": float("nan")}).body
    b'{"loss":"NaN"}'
    """

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        except ValueError:
            text = json.dumps(finite(content), allow_nan=False, separators=(",", ":"))
        return text.encode()


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Json:
    """An error in both forms that parts of the client look for."""
    return Json({"error": message, "errors": [{"message": message}]}, status, headers)


def finite(value: Any) -> Any:
    """The same value with the floats that JSON lacks as texts: NaN, Infinity, -Infinity."""
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


async def _decoded(request: Request, limit: int) -> AsyncIterator[bytes]:
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        async for chunk in request.stream():
            yield chunk
    elif encoding == "gzip":
        unpack = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        async for chunk in request.stream():
            try:
                # Bounded, so that a small body cannot unpack to a huge one.
                yield unpack.decompress(chunk, limit + 1)
            except zlib.error as error:
                raise HTTPException(400, f"the body is not gzip: {error}") from None
            if unpack.unconsumed_tail:
                raise HTTPException(413, f"the body is longer than {limit} bytes")
        if not unpack.eof:
            raise HTTPException(400, "the gzip body is cut short")
    else:
        raise HTTPException(415, f"content encoding {encoding!r} is not read here; use gzip or none")
