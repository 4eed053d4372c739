"""Every mutation that is served: an input that is done, and a server that looks what became of any other."""

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.graphql import HttpRefusal, execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import projects, runs
from tests.server.fuzzing import ME, OWN, bystander, fill, over
from tests.server.uploads import Client, manifest_of, md5

GRID = '{"method": "grid", "metric": {"name": "m", "goal": "maximize"}, "parameters": {"a": {"values": [1.0, 2.0]}}}'
RUN, SWEEP, AGENT, FILE, PROJECT = (ids.encode(kind, 1) for kind in ("Run", "Sweep", "Agent", "File", "Project"))
LOGGED, UPLOADED = ids.encode("Artifact", 1), ids.encode("Artifact", 2)  # one is committed, one still comes in
SEQUENCE, PORTFOLIO, UNLINKED = (ids.encode("ArtifactCollection", number) for number in (1, 2, 3))
PLACE = {"entityName": ME, "projectName": OWN}
ALIAS = {**PLACE, "artifactCollectionName": "things", "alias": "best"}
TAG = {"tagName": "good"}
SELECTION = """{ __typename id success inserted commands configValidationWarnings
    bucket { id name displayName config sweepName historyLineCount project { id name entity { id name } } }
    sweep { id name state config runs(first: 3) { edges { node { id name } } } } agent { id name state }
    artifact { id state digest aliases { id alias } artifactSequence { id name latestArtifact { id } } }
    files { name uploadUrl edges { node { name uploadUrl } } } project { id name } rewoundRun { id }
    artifactManifest { id file { uploadUrl } } artifactMembership { id } artifactCollection { id name } }"""
# An input of each mutation that is done, with most of what it may have.
GOOD: dict[str, dict[str, Any]] = {
    "addAliases": {"artifactID": LOGGED, "aliases": [{**ALIAS, "alias": "new"}]},
    "agentHeartbeat": {"id": AGENT, "runState": '{"r0": true}'},
    "commitArtifact": {"artifactID": UPLOADED},
    "createAgent": {**PLACE, "sweep": f"{OWN}-s", "host": "h"},
    "createArtifact": {
        **PLACE, "runName": "r0", "artifactTypeName": "dataset", "artifactCollectionName": "things", "digest": "d",
        "artifactCollectionNames": ["things"], "description": "about", "metadata": "{}", "historyStep": 1,
        "aliases": [{"alias": "new"}], "tags": [TAG], "ttlDurationSeconds": 60, "enableDigestDeduplication": True,
        "clientID": "c", "sequenceClientID": "q", "distributedID": "d", "storageRegion": "default",
    },
    "createArtifactCollectionTagAssignments": {**PLACE, "artifactCollectionName": "things", "tags": [TAG]},
    "createArtifactFiles": {"artifactFiles": [{"artifactID": UPLOADED, "name": "b.txt", "md5": md5(b"b")}]},
    "createArtifactManifest": {"artifactID": UPLOADED, "type": "INCREMENTAL", "digest": "d", "baseArtifactID": LOGGED},
    "createCustomChart": {"entity": ME, "name": "chart", "spec": "{}", "type": "vega2"},
    "createRunFiles": {**PLACE, "runName": "r0", "files": ["kept.txt"]},
    "deleteAliases": {"artifactID": LOGGED, "aliases": [ALIAS]},
    "deleteArtifact": {"artifactID": LOGGED, "deleteAliases": True},
    "deleteArtifactCollectionTagAssignments": {**PLACE, "artifactCollectionName": "things", "tags": [TAG]},
    "deleteArtifactPortfolio": {"artifactPortfolioID": PORTFOLIO},
    "deleteArtifactSequence": {"artifactSequenceID": SEQUENCE},
    "deleteFiles": {"files": [FILE], "projectId": 1},
    "deleteRun": {"id": RUN, "deleteArtifacts": True},
    "enqueueSweepRun": {"id": SWEEP, "config": '{"a": {"value": 1}}', "displayName": "mine"},
    "linkArtifact": {
        **PLACE, "artifactID": LOGGED, "clientID": "c", "artifactPortfolioID": PORTFOLIO,
        "artifactPortfolioName": "folio", "aliases": [{"alias": "new"}],
    },
    "markRunFilesUploaded": {**PLACE, "runName": "r0", "files": ["kept.txt"]},
    "moveArtifactSequence": {"artifactSequenceID": UNLINKED, "destinationArtifactTypeName": "model"},
    "notifyScriptableRunAlert": {**PLACE, "runName": "r0", "title": "t", "text": "x", "severity": "WARN"},
    "rewindRun": {**PLACE, "runName": "r0", "metricName": "_step", "metricValue": 1},
    "stopRun": {"id": RUN},
    "unlinkArtifact": {"artifactID": LOGGED, "artifactPortfolioID": PORTFOLIO},
    "updateArtifact": {
        "artifactID": LOGGED, "description": "about", "metadata": "{}", "ttlDurationSeconds": 60, "tagsToAdd": [TAG],
        "tagsToDelete": [TAG],
    },
    "updateArtifactManifest": {"artifactManifestID": ids.encode("ArtifactManifest", 2), "digest": "d"},
    "updateArtifactPortfolio": {"artifactPortfolioID": PORTFOLIO, "name": "other", "description": "about"},
    "updateArtifactSequence": {"artifactSequenceID": SEQUENCE, "name": "other", "description": "about"},
    "updateRunState": {"id": ids.encode("Run", 5), "state": "failed"},
    "upsertBucket": {
        "entityName": ME, "modelName": OWN, "name": "r0", "sweep": f"{OWN}-s", "state": "running",
        "displayName": "mine", "groupName": "g", "jobType": "j", "jobProgram": "t.py", "jobRepo": "r",
        "commit": "c", "host": "h", "notes": "n", "description": "about",
        "config": '{"a": {"value": 1}}', "summaryMetrics": '{"m": 1}',
        "tags": ["good"],
    },
    "upsertModel": {"id": PROJECT, "entityName": ME, "name": OWN, "description": "about"},
    "upsertSweep": {
        "id": SWEEP, **PLACE, "config": GRID, "state": "PAUSED", "displayName": "mine", "description": "about",
        "priorRunsFilters": '{"name": "r0"}', "controller": '{"schedule": []}', "scheduler": "{}",
    },
    "useArtifact": {"artifactID": LOGGED, **PLACE, "runName": "r0", "usedAs": "data"},
}  # fmt: skip


class Server:
    """Resolvers over a copy of a folder, made anew whenever a request has changed it."""

    def __init__(self, folder: Path) -> None:
        self.template, self.folder = folder / "template", folder / "copy"
        self.template.mkdir()
        _fill(self.template)
        self.requests = 0
        self.open()

    def open(self) -> None:
        shutil.copytree(self.template, self.folder)
        self.context = over(self.folder)
        self.look = sqlite3.connect(self.folder / "server.db")
        self.before, self.bystander = self.kept(), bystander(self.context)

    def close(self) -> None:
        self.look.close()
        self.context.store.close()
        shutil.rmtree(self.folder)

    def kept(self) -> Any:
        """The version of the database, which every commit that changes it raises, and of every file."""
        (version,) = self.look.execute("PRAGMA data_version").fetchone()
        places = [Path(folder, name) for folder, _, names in os.walk(self.folder) for name in names]
        return version, {path: path.stat().st_mtime_ns for path in places if not path.name.startswith("server.db")}

    def mutate(self, name: str, given: Any) -> list[str]:
        """What the server says is wrong with an input.

        Where it says so nothing may have changed, and else nothing of another's project.
        """
        self.requests += 1
        try:
            text = f"mutation M($input: Any) {{ {name}(input: $input) {SELECTION} }}"
            said = [error["message"] for error in execute(resolvers, text, {"input": given}, None, self.context).errors]
        except HttpRefusal as error:
            said = [str(error)]
        if self.kept() != self.before:
            assert not said, f"{name} {given!r:.300} was refused, and changed something: {said}"
            assert bystander(self.context) == self.bystander, f"{name} {given!r:.300} changed what is another's"
            self.close()
            self.open()
        return said


def _fill(folder: Path) -> None:
    """A server's folder: two projects alike, and in one what mutations need beside."""
    context = over(folder)
    fill(context)
    client = Client(context, "r1")
    client.link(LOGGED)
    manifest = manifest_of({"b.txt": b"b"})
    assert client.create("more", manifest)["id"] == UPLOADED
    client.send_files(UPLOADED, {"b.txt": b"b"})
    client.send_manifest(UPLOADED, manifest)
    project = projects.ensure(context.store, ME, OWN)
    runs.create(context.store, project.id, "r3", state="pending", display_name="r3")
    context.store.close()
