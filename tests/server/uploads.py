"""Uploading artifacts to resolvers in the order the client does, without HTTP."""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Resolvers, execute
from cola_sweep.server.manifests import Manifest
from cola_sweep.server.resolvers import artifacts, projects, runs
from cola_sweep.server.store import Store, artifact_files
from cola_sweep.server.store import projects as project_rows
from cola_sweep.server.store import runs as run_rows
from cola_sweep.server.store.users import User
from cola_sweep.server.urls import Urls

RESOLVERS = Resolvers(artifacts.resolvers, projects.resolvers, runs.resolvers)
HEADER = {"version": 1, "storagePolicy": "wandb-storage-policy-v1", "storagePolicyConfig": {"storageLayout": "V2"}}


def md5(data: bytes) -> str:
    """Base64, as the client sends it."""
    return b64encode(hashlib.md5(data).digest()).decode()


def manifest_of(files: Mapping[str, bytes], references: Mapping[str, str] | None = None) -> Manifest:
    """The manifest of these files, and of references by path."""
    contents: dict[str, Any] = {path: {"digest": md5(data), "size": len(data)} for path, data in files.items()}
    contents |= {path: {"digest": "etag", "ref": ref, "size": 5} for path, ref in (references or {}).items()}
    return Manifest(HEADER, contents)


@dataclass
class Client:
    """Asks a server's resolvers as one user; `run` is the run that uploads."""

    context: Context
    run: str = "r1"

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that must succeed."""
        answer = execute(RESOLVERS, text, variables, context=self.context)
        assert not answer.errors, answer.errors
        assert not answer.unknown, answer.unknown
        assert answer.data is not None
        return answer.data

    def refused(self, text: str, **variables: Any) -> str:
        """The message of an operation that must be refused."""
        answer = execute(RESOLVERS, text, variables, context=self.context)
        assert len(answer.errors) == 1, answer
        message: str = answer.errors[0]["message"]
        assert "server failed" not in message
        return message

    def create(self, name: str, files: Manifest, **given: Any) -> dict[str, Any]:
        """createArtifact."""
        wanted = {
            "entityName": "ada",
            "projectName": "p",
            "artifactTypeName": "dataset",
            "artifactCollectionName": name,
            "runName": self.run,
            "digest": files.digest(),
            "enableDigestDeduplication": True,
            **given,
        }
        wanted["aliases"] = [{"artifactCollectionName": name, "alias": a} for a in wanted.get("aliases", ())]
        return self.ask(CREATE, input=wanted)["createArtifact"]["artifact"]  # type: ignore[no-any-return]

    def send_files(self, artifact_id: str, files: Mapping[str, bytes], manifest_id: str | None = None) -> list[str]:
        """createArtifactFiles and the uploads it asks for; the paths of those."""
        specs = [{"artifactID": artifact_id, "name": path, "md5": md5(data)} for path, data in files.items()]
        edges = self.ask(FILES, input={"artifactFiles": specs, "storageLayout": "V2"})["createArtifactFiles"]
        sent = []
        for (path, data), edge in zip(files.items(), edges["files"]["edges"], strict=True):
            if edge["node"]["uploadUrl"]:
                put(self.context.blobs.artifact_file(hashlib.md5(data).hexdigest()), data, self.context.blobs)
                sent.append(path)
        return sent

    def send_manifest(self, artifact_id: str, manifest: Manifest, kind: str = "FULL", base: str | None = None) -> None:
        """createArtifactManifest, twice or followed by an update, and the upload."""
        data = manifest.to_bytes()
        given = {"artifactID": artifact_id, "type": kind, "baseArtifactID": base, "digest": ""}
        made = self.ask(MANIFEST, input=given)["createArtifactManifest"]["artifactManifest"]
        if kind == "FULL":
            again = self.ask(MANIFEST, input={**given, "digest": md5(data)})["createArtifactManifest"]
            assert again["artifactManifest"]["id"] == made["id"]
        else:
            self.ask(UPDATE_MANIFEST, input={"artifactManifestID": made["id"], "digest": md5(data)})
        number = artifacts_manifest_number(made["id"])
        put(self.context.blobs.artifact_manifest(number), data, self.context.blobs)
        artifact_files.receive(self.context.store, number)

    def commit(self, artifact_id: str) -> None:
        """commitArtifact."""
        self.ask(COMMIT, id=artifact_id)

    def log(self, name: str, files: Mapping[str, bytes], **given: Any) -> str:
        """Upload a whole artifact; its id."""
        manifest = manifest_of(files, given.pop("references", None))
        artifact = self.create(name, manifest, **given)
        if artifact["state"] == "PENDING":
            self.send_files(artifact["id"], files)
            self.send_manifest(artifact["id"], manifest)
            self.commit(artifact["id"])
        number: str = artifact["id"]
        return number

    def get(self, name: str) -> dict[str, Any] | None:
        """The version that `coll:alias` names, as artifactCollectionMembership."""
        found: dict[str, Any] | None = self.ask(GET, name=name)["project"]["artifactCollectionMembership"]
        return found

    def manifest(self, artifact_id: str) -> dict[str, Any]:
        """The contents of an artifact's committed manifest."""
        url = self.ask("query($id: ID!) {artifact(id: $id) {currentManifest {file {directUrl}}}}", id=artifact_id)
        number = int(url["artifact"]["currentManifest"]["file"]["directUrl"].split("/")[-2])
        contents: dict[str, Any] = json.loads(self.context.blobs.artifact_manifest(number).read_bytes())["contents"]
        return contents


def artifacts_manifest_number(text: str) -> int:
    """The row of an ArtifactManifest id."""
    from cola_sweep.server import ids

    return ids.decode(text, "ArtifactManifest")


def put(path: Path, data: bytes, blobs: Blobs) -> None:
    """Store bytes as an upload does."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    asyncio.run(blobs.receive(path, chunks()))


def make_context(folder: Path) -> Context:
    """An empty server's context for user `ada` with runs r1 and r2 in project p; its clock stands still."""
    store = Store(folder / "records.sqlite3", clock=lambda: 1_000_000.0)
    project = project_rows.ensure(store, "ada", "p")
    for name in ("r1", "r2"):
        run_rows.create(store, project.id, name, state="running", display_name=name)
    user = User(id=1, name="ada", email="ada@localhost", api_key="k" * 40)
    return Context(store, Blobs(folder / "blobs"), Urls("http://server", b"secret", lambda: 1_000_000.0), user)


CREATE = """mutation($input: CreateArtifactInput!) {createArtifact(input: $input) {artifact {
    id state artifactSequence {id latestArtifact {id versionIndex}}}}}"""
FILES = """mutation($input: CreateArtifactFilesInput!) {createArtifactFiles(input: $input) {files {edges {node {
    storagePath uploadUrl uploadHeaders uploadMultipartUrls {uploadID} artifact {id}}}}}}"""
MANIFEST = """mutation($input: I!) {createArtifactManifest(input: $input) {
    artifactManifest {id file {id uploadUrl uploadHeaders}}}}"""
UPDATE_MANIFEST = """mutation($input: I!) {updateArtifactManifest(input: $input) {
    artifactManifest {id file {id uploadUrl uploadHeaders}}}}"""
COMMIT = "mutation($id: ID!) {commitArtifact(input: {artifactID: $id}) {artifact {id digest}}}"
GET = """query($name: String!) {project(entityName: "ada", name: "p") {artifactCollectionMembership(name: $name) {
    id versionIndex aliases {id alias} artifactCollection {__typename name}
    artifact {id state versionIndex digest size fileCount commitHash metadata description tags {name}
        aliases {alias artifactCollection {name}}}}}}"""
