"""Uploading artifacts to resolvers in the order the client does, without HTTP."""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import execute
from cola_sweep.server.manifests import Manifest
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import artifact_files, projects, runs

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

    @property
    def entity(self) -> str:
        """The user's name."""
        return self.context.user.name

    def ask(self, text: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that must succeed."""
        answer = execute(resolvers, text, variables, context=self.context)
        assert not answer.errors, answer.errors
        assert not answer.unknown, answer.unknown
        assert answer.data is not None
        return answer.data

    def refused(self, text: str, **variables: Any) -> str:
        """The message of an operation that must be refused."""
        answer = execute(resolvers, text, variables, context=self.context)
        assert len(answer.errors) == 1, answer
        message: str = answer.errors[0]["message"]
        assert "server failed" not in message
        return message

    def create(self, name: str, files: Manifest, **given: Any) -> dict[str, Any]:
        """createArtifact."""
        wanted = {
            "entityName": self.entity,
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

    def send_files(self, artifact_id: str, files: Mapping[str, bytes]) -> list[str]:
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
        number = ids.decode(made["id"], "ArtifactManifest")
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
        found: dict[str, Any] | None = self.ask(GET, entity=self.entity, name=name)["project"][
            "artifactCollectionMembership"
        ]
        return found

    def versions(self, name: str, **args: Any) -> list[str]:
        """The versions that a collection lists, as `vN`."""
        found = self.ask(VERSIONS, entity=self.entity, name=name, **args)["project"]["artifactCollection"]
        return [edge["version"] for edge in found["artifacts"]["edges"]]

    def aliases(self, name: str) -> set[str]:
        """The aliases of the version that `coll:alias` names, which must exist."""
        found = self.get(name)
        assert found is not None
        return {each["alias"] for each in found["aliases"]}

    def delete(self, artifact_id: str) -> None:
        """Delete an artifact with its aliases."""
        self.ask(DELETE, input={"artifactID": artifact_id, "deleteAliases": True})

    def link(self, artifact_id: str, portfolio: str = "folio", **given: Any) -> dict[str, Any]:
        """linkArtifact to a portfolio of the project."""
        where = {"entityName": self.entity, "projectName": "p", "artifactPortfolioName": portfolio}
        linked: dict[str, Any] = self.ask(LINK, input={**where, "artifactID": artifact_id, **given})["linkArtifact"]
        return linked

    def use(self, artifact_id: str, run: str) -> None:
        """useArtifact."""
        where = {"entityName": self.entity, "projectName": "p", "runName": run, "usedAs": "data"}
        assert self.ask(USE, input={**where, "artifactID": artifact_id})["useArtifact"]["artifact"]["id"] == artifact_id

    def collection_id(self, name: str) -> str:
        """The GraphQL id of a collection."""
        text = """query($entity: String!, $name: String!) {project(entityName: $entity, name: "p") {
            artifactCollection(name: $name) {id}}}"""
        number: str = self.ask(text, entity=self.entity, name=name)["project"]["artifactCollection"]["id"]
        return number

    def kept_bytes(self) -> set[bytes]:
        """The contents of all artifact files on the server."""
        folder = self.context.blobs.root / "artifacts"
        return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def manifest(self, artifact_id: str) -> dict[str, Any]:
        """The contents of an artifact's committed manifest."""
        url = self.ask("query($id: ID!) {artifact(id: $id) {currentManifest {file {directUrl}}}}", id=artifact_id)
        number = int(url["artifact"]["currentManifest"]["file"]["directUrl"].split("/")[-2])
        contents: dict[str, Any] = json.loads(self.context.blobs.artifact_manifest(number).read_bytes())["contents"]
        return contents


def put(path: Path, data: bytes, blobs: Blobs) -> None:
    """Store bytes as an upload does."""

    async def chunks() -> AsyncIterator[bytes]:
        yield data

    asyncio.run(blobs.receive(path, chunks()))


def make_client(context: Context) -> Client:
    """A client of a server that has project `p` with the runs r1 and r2."""
    project = projects.ensure(context.store, context.user.name, "p")
    for name in ("r1", "r2"):
        runs.create(context.store, project.id, name, state="running", display_name=name)
    return Client(context)


CREATE = """mutation($input: CreateArtifactInput!) {createArtifact(input: $input) {artifact {
    id state artifactSequence {id latestArtifact {id versionIndex}}}}}"""
FILES = """mutation($input: CreateArtifactFilesInput!) {createArtifactFiles(input: $input) {files {edges {node {
    storagePath uploadUrl uploadHeaders uploadMultipartUrls {uploadID} artifact {id}}}}}}"""
MANIFEST = """mutation($input: I!) {createArtifactManifest(input: $input) {
    artifactManifest {id file {id uploadUrl uploadHeaders}}}}"""
UPDATE_MANIFEST = """mutation($input: I!) {updateArtifactManifest(input: $input) {
    artifactManifest {id file {id uploadUrl uploadHeaders}}}}"""
COMMIT = "mutation($id: ID!) {commitArtifact(input: {artifactID: $id}) {artifact {id digest}}}"
GET = """query($entity: String!, $name: String!) {project(entityName: $entity, name: "p") {
    artifactCollectionMembership(name: $name) {
    id versionIndex aliases {id alias} artifactCollection {__typename name}
    artifact {id state versionIndex digest size fileCount commitHash metadata description tags {name}
        aliases {alias artifactCollection {name}}}}}}"""
VERSIONS = """query($entity: String!, $name: String!, $order: String, $filters: JSONString) {
    project(entityName: $entity, name: "p") {artifactCollection(name: $name) {
        artifacts(order: $order, filters: $filters) {totalCount edges {version node {id}}}}}}"""
DELETE = "mutation($input: I!) {deleteArtifact(input: $input) {artifact {id}}}"
LINK = """mutation($input: I!) {linkArtifact(input: $input) {
    versionIndex artifactMembership {id versionIndex aliases {alias}}}}"""
USE = "mutation($input: I!) {useArtifact(input: $input) {artifact {id digest}}}"
