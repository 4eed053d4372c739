"""Where the rows of a logged table lie: in an artifact of their own, with their pictures, or in a file of the run."""

from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

from cola_sweep.server import ids, media, tables
from cola_sweep.server.blobs import BadName
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import artifact_files, artifacts
from cola_sweep.server.store.runs import Run
from cola_sweep.server.tables import BadTable, Table

LARGEST = 64 * 2**20  # bytes of a file that is parsed for a page


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
    """The table at `wandb-client-artifact://<client id>/<path>` or `wandb-artifact://<hex id>/<path>`, if there."""
    scheme, _, rest = address.partition("://") if isinstance(address, str) else ("", "", "")
    name, _, path = rest.partition("/")
    artifact_id = None
    if scheme == "wandb-client-artifact":
        kind, number = artifacts.client_id(context.store, name) or ("", None)
        artifact_id = number if kind == "Artifact" else None
    elif scheme == "wandb-artifact":
        try:
            artifact_id = ids.decode(b64encode(bytes.fromhex(name)).decode(), "Artifact")
        except (ValueError, Refused):
            return None
    return None if artifact_id is None else _entry(context, artifact_id, path)


def _entry(context: Context, artifact_id: int, path: str, depth: int = 0) -> Table | None:
    """The table that an artifact has at a path: rows, two tables to be joined, or a folder of parts."""
    md5 = _md5s(context, artifact_id, [path]).get(path)
    if md5 is None:
        return None
    body = _read(context.blobs.artifact_file(md5))
    if "columns" in body:
        return _with_bytes(context, artifact_id, tables.of(body))
    if depth:
        raise BadTable("its parts have parts of their own")
    if isinstance(folder := body.get("parts_path"), str):
        inside = artifact_files.page(context.store, artifact_id)
        paths = [file.path for file in inside if file.path.startswith(f"{folder.rstrip('/')}/")]
        return tables.joined([part for path in paths if (part := _entry(context, artifact_id, path, 1))])
    one, other = (_entry(context, artifact_id, str(body.get(name)), 1) for name in ("table1", "table2"))
    if one is None or other is None:
        raise BadTable("the tables that it joins are not in its artifact")
    key = body.get("join_key")
    keys = [str(name) for name in key] if isinstance(key, list) and len(key) == 2 else [str(key)] * 2
    return tables.beside(one, other, *keys)


def _of_run(context: Context, run: Run, path: Any) -> Table:
    try:
        return tables.of(_read(context.blobs.run_file(run.id, str(path))))
    except BadName as error:
        raise BadTable(str(error)) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise BadTable(
                f"its file has {size / 2**20:.0f} MiB, too many to be shown here; download it from the files"
            )
        return tables.body(path.read_bytes())
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
