"""Where the rows of a logged table lie: in an artifact of their own, with their pictures, or in a file of the run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from cola_sweep.server import media, tables
from cola_sweep.server.blobs import BadName
from cola_sweep.server.context import Context
from cola_sweep.server.store import artifact_files, artifacts
from cola_sweep.server.store.runs import Run
from cola_sweep.server.tables import BadTable, Table

LARGEST = 64 * 2**20  # bytes of a file that is parsed for a page
_CLIENT = "wandb-client-artifact://"


def load(context: Context, run: Run, value: Any) -> Table:
    """The table that a logged value names. A media cell of it has the `md5` of its bytes.

    Raises:
        BadTable: it has not arrived, or cannot be read.
    """
    if media.type_of(value) not in media.TABLES:
        raise BadTable("it is not a table")
    if media.type_of(value) == "incremental-table-file":
        paths = [*(value.get("previous_increments_paths") or ()), value.get("artifact_path")]
        return tables.joined([part for path in paths if (part := _of_artifact(context, path))])
    return _of_artifact(context, value.get("artifact_path")) or _of_run(context, run, value.get("path"))


def _of_artifact(context: Context, address: Any) -> Table | None:
    """The table at `wandb-client-artifact://<the artifact's client id>/<path>`; None if it is not here."""
    if not isinstance(address, str) or not address.startswith(_CLIENT):
        return None
    client_id, _, path = address.removeprefix(_CLIENT).partition("/")
    named = artifacts.client_id(context.store, client_id)
    if named is None or named[0] != "Artifact":
        return None
    artifact_id = named[1]
    md5 = _md5s(context, artifact_id, [path]).get(path)
    return _with_bytes(context, artifact_id, _read(context.blobs.artifact_file(md5))) if md5 else None


def _of_run(context: Context, run: Run, path: Any) -> Table:
    try:
        return _read(context.blobs.run_file(run.id, str(path)))
    except BadName as error:
        raise BadTable(str(error)) from None


def _read(path: Path) -> Table:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise BadTable(
                f"its file has {size / 2**20:.0f} MiB, too many to be shown here; download it from the files"
            )
        return tables.parse(path.read_bytes())
    except FileNotFoundError:
        raise BadTable("its file has not arrived yet") from None


def _with_bytes(context: Context, artifact_id: int, table: Table) -> Table:
    """The table with the MD5 of each media cell's bytes, which lie beside it in the artifact."""
    paths = {cell["path"] for row in table.rows for cell in row if _is_media(cell)}
    if not paths:
        return table
    md5s = _md5s(context, artifact_id, sorted(paths))
    rows = [
        [{**cell, "md5": md5s.get(cell["path"])} if _is_media(cell) else cell for cell in row] for row in table.rows
    ]
    return replace(table, rows=rows)


def _is_media(cell: Any) -> bool:
    return isinstance(cell, dict) and media.type_of(cell) in media.TYPES and isinstance(cell.get("path"), str)


def _md5s(context: Context, artifact_id: int, paths: list[str]) -> dict[str, str]:
    return {file.path: file.md5 for file in artifact_files.page(context.store, artifact_id, names=paths) if file.md5}
