"""Files of runs: addresses to upload to, lists, deletion."""

import mimetypes
import posixpath
from base64 import b64decode, b64encode
from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.blobs import BadName, check_name
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.store import files, runs
from cola_sweep.server.store.files import File
from cola_sweep.server.store.runs import Run

resolvers = Resolvers()


def path(entity: str, project: str, run: str, name: str) -> str:
    """The path of a run's file on this server."""
    return f"/files/{entity}/{project}/{run}/{name}"


@resolvers.field("Mutation", "createRunFiles")
def create_run_files(context: Context, parent: Any, args: Args) -> Args:
    run, wanted = _run(context, args["input"])
    return {
        "runID": ids.encode("Run", run.id),
        "uploadHeaders": [],
        "files": [{"name": name, "uploadUrl": _upload_url(context, run, name)} for name in wanted],
    }


@resolvers.field("Mutation", "markRunFilesUploaded")
def mark_run_files_uploaded(context: Context, parent: Any, args: Args) -> Args:
    # A file is recorded when its bytes arrive, so all there is to do is to say whether they did.
    run, wanted = _run(context, args["input"])
    return {"success": all(files.get(context.store, run.id, name) for name in wanted)}


@resolvers.field("Mutation", "deleteFiles")
def delete_files(context: Context, parent: Any, args: Args) -> Args:
    wanted = [ids.decode(text, "File") for text in args["input"]["files"]]
    project = args["input"].get("projectId")
    with context.store.write():
        found = [file for file in (files.by_id(context.store, number) for number in wanted) if file]
        for file in found:
            run = runs.by_id(context.store, file.run_id)
            if project is not None and (run is None or run.project_id != project):
                raise Refused(f"file {file.name!r} is not of project {project}")
            files.remove(context.store, file.id)
    for file in found:
        context.blobs.remove(context.blobs.run_file(file.run_id, file.name))
    return {"success": True}


@resolvers.field("Run", "fileCount")
def file_count(context: Context, run: Run, args: Args) -> int:
    return files.count(context.store, run.id)


@resolvers.field("Run", "files")
def run_files(context: Context, run: Run, args: Args) -> Args:
    first, names = args.get("first"), args.get("names") or ()
    found = files.of_run(
        context.store,
        run.id,
        # What `run.save("./a.txt")` stored as `a.txt` is asked for as `./a.txt`, too.
        names=[*names, *map(posixpath.normpath, names)],
        pattern=args.get("pattern"),
        after=_name(args.get("after")),
        limit=-1 if first is None else first + 1,
    )
    return page(found, first, _cursor) | {"totalCount": files.count(context.store, run.id)}


@resolvers.field("File", "id")
def file_id(context: Context, file: File, args: Args) -> str:
    return ids.encode("File", file.id)


@resolvers.field("File", "sizeBytes")
def size_bytes(context: Context, file: File, args: Args) -> int:
    return file.size


@resolvers.field("File", "mimetype")
def mimetype(context: Context, file: File, args: Args) -> str:
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"


@resolvers.field("File", "url", "directUrl")
def url(context: Context, file: File, args: Args) -> str:
    where = path(file.entity, file.project, file.run, file.name)
    return context.urls.signed("PUT" if args.get("upload") else "GET", where)


def _run(context: Context, given: Args) -> tuple[Run, list[str]]:
    """The run of an input and the names of files in it, each checked."""
    entity = given.get("entityName") or context.user.name
    run = runs.find(context.store, entity, given["projectName"], given["runName"])
    if run is None:
        raise Refused(f"there is no run {entity}/{given['projectName']}/{given['runName']}")
    wanted = given["files"]
    for name in wanted:
        try:
            check_name(name)
        except BadName as error:
            raise Refused(str(error)) from None
    return run, wanted


def _upload_url(context: Context, run: Run, name: str) -> str:
    return context.urls.signed("PUT", path(run.entity, run.project_name, run.name, name))


def _cursor(file: File) -> str:
    return b64encode(file.name.encode()).decode()


def _name(cursor: str | None) -> str:
    try:
        return b64decode(cursor or "", validate=True).decode()
    except ValueError:
        raise Refused(f"{cursor!r} is not a cursor of files") from None
