"""Where the bytes of artifacts go: addresses on this server, writing them, and deleting what no record keeps.

A file lies under its MD5, so two versions share what they have in common.
"""

import os

from cola_sweep.server import manifests
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.store import artifact_files
from cola_sweep.server.store.artifact_files import Held

FILE_ROUTE = "/storage/artifacts/{md5}"
MANIFEST_ROUTE = "/storage/artifact-manifests/{number}/wandb_manifest.json"


def file_path(md5: str) -> str:
    """The path on this server of the file of that hex MD5."""
    return FILE_ROUTE.format(md5=md5)


def manifest_path(manifest_id: int) -> str:
    """The path on this server of the manifest in that row."""
    return MANIFEST_ROUTE.format(number=manifest_id)


def write_manifest(blobs: Blobs, manifest_id: int, data: bytes) -> None:
    """Store the manifest of that row: whole or not at all."""
    path = blobs.artifact_manifest(manifest_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
    with unfinished.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def read_manifest(blobs: Blobs, manifest_id: int) -> manifests.Manifest:
    """The manifest of that row.

    Raises:
        BadManifest: it is none.
        FileNotFoundError: it never arrived.
    """
    return manifests.parse(blobs.artifact_manifest(manifest_id).read_bytes())


def missing_files(blobs: Blobs, manifest: manifests.Manifest) -> list[str]:
    """The paths of the stored files whose bytes are not here."""
    return [each.path for each in manifest.entries() if each.md5 and not blobs.artifact_file(each.md5).exists()]


def release(context: Context, held: Held) -> None:
    """Delete the bytes that only deleted records kept."""
    for manifest_id in held.manifest_ids:
        context.blobs.remove(context.blobs.artifact_manifest(manifest_id))
    for md5 in held.md5s:
        # Under the lock, since an upload that is told "we have it" writes its row first (see `promise`).
        with context.store.write():
            if not artifact_files.kept(context.store, md5):
                context.blobs.remove(context.blobs.artifact_file(md5))
