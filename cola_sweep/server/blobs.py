"""Bytes of runs' files and of artifacts, in the data folder. The records say what is there; this stores it.

A run's file lies under the hash of its name, so no name (`../..`, absolute, over-long, `a` beside `a/b`)
can choose a place. An artifact's file lies under its MD5. Imports nothing but the standard library.
"""

import asyncio
import errno
import hashlib
import os
import re
import secrets
import shutil
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

LONGEST_NAME = 4096  # bytes; a client that downloads a file makes a path of its name
RESERVE = 64 * 2**20  # bytes of the disk that uploads leave to the database
_PIECE = 2**20


class BadName(ValueError):
    """A name that no file can have."""


class TooLarge(Exception):
    """More bytes came than the caller allowed."""


class BadDigest(ValueError):
    """The bytes that came are not those that were announced."""


@dataclass(frozen=True)
class Received:
    """What arrived: its size in bytes and its MD5 in base64."""

    size: int
    md5_base64: str


class Blobs:
    """The files below `root`, which is made when absent."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._incoming = root / "incoming"
        # What a killed server had not finished receiving is of no use to anyone.
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True)

    def run_file(self, run_id: int, name: str) -> Path:
        """Where a run's file lies.

        Raises:
            BadName: see `check_name`.
        """
        check_name(name)
        return self.root / "files" / str(int(run_id)) / hashlib.sha256(name.encode()).hexdigest()

    def artifact_file(self, md5_hex: str) -> Path:
        """Where the artifact file of that MD5 (32 lower-case hex digits) lies.

        Raises:
            BadName: not such a digest.
        """
        if not re.fullmatch("[0-9a-f]{32}", md5_hex):
            raise BadName(f"{md5_hex!r} is not an MD5 in hex")
        return self.root / "artifacts" / md5_hex[:2] / md5_hex

    def artifact_manifest(self, manifest_id: int) -> Path:
        """Where the manifest of that row lies."""
        return self.root / "manifests" / str(int(manifest_id))

    async def receive(
        self, path: Path, chunks: AsyncIterator[bytes], limit: int | None = None, md5_base64: str | None = None
    ) -> Received:
        """Write `chunks` to `path`: whole or not at all, on the disk when this returns.

        Raises:
            TooLarge: more than `limit` bytes came.
            BadDigest: their MD5 is not `md5_base64`, if that is given.
            OSError: ENOSPC, the disk has not that much room.
        """
        digest, size = hashlib.md5(usedforsecurity=False), 0
        room = shutil.disk_usage(self.root).free - RESERVE
        temporary = self._incoming / secrets.token_hex(16)
        try:
            with temporary.open("xb") as file:
                async for piece in _pieces(chunks):
                    size += len(piece)
                    if limit is not None and size > limit:
                        raise TooLarge(f"more than {limit} bytes")
                    if size > room:
                        raise OSError(errno.ENOSPC, f"no room for an upload of {size} bytes or more", str(self.root))
                    digest.update(piece)
                    await asyncio.to_thread(file.write, piece)
                received = Received(size, b64encode(digest.digest()).decode())
                if md5_base64 is not None and md5_base64 != received.md5_base64:
                    raise BadDigest(f"the bytes have MD5 {received.md5_base64}, not {md5_base64}")
                await asyncio.to_thread(_settle, file, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return received

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def remove_run(self, run_id: int) -> None:
        """Delete every file of a run."""
        shutil.rmtree(self.root / "files" / str(int(run_id)), ignore_errors=True)


def check_name(name: str) -> None:
    """Refuse a name that would not be a file below a folder on the machine that downloads it.

    Raises:
        BadName: empty, absolute, with `..`, a control character or text that is not UTF-8, or over-long.
    """
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise BadName(f"file name {name!r} is not UTF-8") from None
    if not 0 < length <= LONGEST_NAME:
        raise BadName(f"file name of {length} bytes; it must have 1 to {LONGEST_NAME}")
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise BadName(f"file name {name!r} has a control character")
    if re.match(r"[/\\]|[A-Za-z]:[/\\]", name) or ".." in re.split(r"[/\\]", name):
        raise BadName(f"file name {name!r} leads out of the run's folder")


async def _pieces(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in pieces worth a hop to another thread."""
    piece = bytearray()
    async for chunk in chunks:
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _settle(file: BinaryIO, path: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(file.name, path)
