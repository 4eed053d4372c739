"""Artifact manifests: reading, merging and writing the JSON that lists an artifact's files. Pure.

A manifest maps paths to entries: `digest` (base64 MD5 of the bytes), `size`, `birthArtifactID`, `extra`, and for a
reference `ref`, the address of bytes that are kept elsewhere (`s3://`, `wandb-artifact://<hex id>/path`, ...).
"""

import binascii
import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cola_sweep.server import texts


class BadManifest(ValueError):
    """These bytes are not a manifest."""


@dataclass(frozen=True)
class Entry:
    """One line of a manifest.

    Attributes:
        digest: base64 MD5 of a stored file; of a reference whatever the client chose, an ETag perhaps.
        md5: of a stored file, in hex; None of a reference.
        ref: where a reference leads; None of a stored file.
    """

    path: str
    digest: str
    md5: str | None
    ref: str | None
    size: int


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest.

    Attributes:
        header: everything but the contents: `version`, `storagePolicy`, `storagePolicyConfig`.
        contents: path to entry, as sent.
    """

    header: Mapping[str, Any]
    contents: Mapping[str, Mapping[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of all entries, references included."""
        return sum(int(entry.get("size") or 0) for entry in self.contents.values())

    @property
    def file_count(self) -> int:
        """Number of entries, references included."""
        return len(self.contents)

    def entries(self) -> list[Entry]:
        """The contents by path."""
        return [_entry(path, entry) for path, entry in sorted(self.contents.items())]

    def digest(self) -> str:
        """The artifact's digest: hex MD5 over a header and a `path:digest` line per entry, by path.

        The client computes the same (wandb/sdk/artifacts/artifact_manifests/artifact_manifest_v1.py).
        """
        lines = [f"{path}:{entry['digest']}\n" for path, entry in sorted(self.contents.items())]
        return hashlib.md5(("wandb-artifact-manifest-v1\n" + "".join(lines)).encode()).hexdigest()

    def to_bytes(self) -> bytes:
        """The manifest as JSON."""
        return json.dumps({**self.header, "contents": self.contents}).encode()


def parse(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        BadManifest: not JSON, no `contents`, an entry without a digest, or a stored file whose digest is no MD5.
    """
    try:
        document = texts.parsed(data)
    except ValueError as error:
        raise BadManifest(f"the manifest is not JSON: {error}") from None
    contents = document.pop("contents", None) if isinstance(document, dict) else None
    if not isinstance(contents, dict):
        raise BadManifest("the manifest has no contents")
    for path, entry in contents.items():
        if not (isinstance(entry, dict) and isinstance(entry.get("digest"), str)):
            raise BadManifest(f"the manifest's entry {path!r} has no digest")
        size, ref = entry.get("size") or 0, entry.get("ref") or ""
        if not (isinstance(size, int) and size >= 0 and isinstance(ref, str)):
            raise BadManifest(f"the manifest's entry {path!r} has a size or a reference that is none")
        _entry(path, entry)
    return Manifest(document, contents)


def merge(base: Manifest | None, parts: Sequence[Manifest]) -> Manifest:
    """The base's entries and those of the parts; of several entries with one path, the last given wins.

    An INCREMENTAL manifest is one part on the base version; the PATCHes of a distributed artifact are parts of no base.
    """
    layers = [*([base] if base else []), *parts]
    assert layers, "nothing to merge"
    return Manifest(layers[-1].header, {path: entry for layer in layers for path, entry in layer.contents.items()})


def _entry(path: str, entry: Mapping[str, Any]) -> Entry:
    digest, ref = entry["digest"], entry.get("ref") or None
    return Entry(path, digest, None if ref else md5_hex(digest), ref, int(entry.get("size") or 0))


def md5_hex(digest: str) -> str:
    """A base64 MD5 as 32 hex digits.

    Raises:
        BadManifest: not base64, or not 16 bytes.
    """
    try:
        raw = b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 16:
        raise BadManifest(f"{digest!r} is not a base64 MD5")
    return raw.hex()


def md5_base64(digest: str) -> str:
    """The inverse of `md5_hex`."""
    return b64encode(bytes.fromhex(digest)).decode()
