"""Artifacts through the real client: logged, found, downloaded, linked, continued and deleted."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.system.conftest import LiveServer

LOG = """
    import json, pathlib, wandb
    pathlib.Path("data/sub").mkdir(parents=True)
    pathlib.Path("data/a.txt").write_text("one")
    pathlib.Path("data/sub/b.txt").write_text("two")
    pathlib.Path("data/empty").write_text("")
    seen = {}
    with wandb.init(project="artifacts", id="maker") as run:
        def log(name, aliases=(), **more):
            artifact = wandb.Artifact(name, "dataset", metadata={"k": [1, 2]})
            artifact.add_dir("data")
            for path, text in more.items():
                with artifact.new_file(path) as file:
                    file.write(text)
            run.log_artifact(artifact, aliases=list(aliases))
            return artifact.wait()
        seen["versions"] = [log("things", ["best"]).version, log("things", c="three").version]
        again = log("things", ["again"])
        seen["again"] = [again.version, sorted(again.aliases)]
        references = wandb.Artifact("references", "dataset")
        references.add_reference(pathlib.Path("data/a.txt").resolve().as_uri(), "outside.txt")
        references.add_reference(again.get_entry("sub/b.txt"), "inside.txt")
        run.log_artifact(references).wait()
        run.log({"table": wandb.Table(columns=["x", "y"], data=[[1, "a"], [2, "b"]])})
        for i in range(2):
            more = wandb.Artifact("growing", "log", incremental=True)
            with more.new_file(f"{i}.txt") as file:
                file.write(str(i))
            run.log_artifact(more).wait()
        for i, send in enumerate([run.upsert_artifact, run.finish_artifact]):
            part = wandb.Artifact("shared", "log")
            with part.new_file(f"{i}.txt") as file:
                file.write(str(i))
            send(part, distributed_id="together")
        part.wait()
    print(json.dumps(seen))
"""

USE = """
    import json, pathlib, wandb
    seen = {}
    with wandb.init(project="artifacts", id="user") as run:
        things = run.use_artifact("things:best")
        folder = pathlib.Path(things.download("got"))
        seen["files"] = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
        things.verify("got")
        entry = things.get_entry("sub/b.txt").download("alone", skip_cache=True)
        seen["entry"] = pathlib.Path(entry).read_text()
        folder = pathlib.Path(run.use_artifact("references:latest").download("referred"))
        seen["references"] = {p.name: p.read_text() for p in folder.iterdir()}
        linked = things.link(f"{run.entity}/artifacts/shelf", aliases=["prod"])
        seen["link"] = [linked.name, sorted(linked.aliases), linked.is_link, linked.source_name]
    print(json.dumps(seen))
"""

READ = """
    import json, wandb
    api, seen = wandb.Api(), {}
    maker = api.run("artifacts/maker")
    seen["logged"] = [a.name for a in maker.logged_artifacts()]
    seen["used"] = [a.name for a in api.run("artifacts/user").used_artifacts()]
    table = next(a for a in maker.logged_artifacts() if a.type == "run_table")
    seen["table"] = table.get("table").get_dataframe().to_dict("list")
    things = api.artifact("artifacts/things:v0")
    seen["by"] = [things.logged_by().id, [r.id for r in things.used_by()], things.metadata, things.size]
    seen["paths"] = [[f.name, f.size, f.storage_path.split("/")[0]] for f in things.files()]
    seen["growing"] = sorted(api.artifact("artifacts/growing:v1").manifest.entries)
    shared = api.artifact("artifacts/shared:latest")
    seen["shared"] = [shared.version, sorted(shared.manifest.entries), shared.digest == shared.manifest.digest()]
    seen["types"] = sorted(t.name for t in api.artifact_types("artifacts"))
    seen["ordered"] = [a.name for a in api.artifacts("dataset", "artifacts/things", order="version_index", per_page=1)]
    print(json.dumps(seen))
"""

CHANGE = """
    import json, wandb
    api, seen = wandb.Api(), {}
    path = "artifacts/things"
    newest = api.artifact(f"{path}:v1")
    newest.aliases.append("good"); newest.tags = ["t"]; newest.metadata["z"] = 1; newest.description = "d"
    newest.save()
    good = api.artifact(f"{path}:good")
    seen["saved"] = [good.version, good.tags, good.metadata, good.description]
    try:
        good.delete()
    except wandb.errors.CommError as error:
        seen["refused"] = "has aliases" in str(error)
    good.delete(delete_aliases=True)
    seen["left"] = [[v.name, sorted(v.aliases)] for v in api.artifacts("dataset", path)]
    shelf = api.artifact("artifacts/shelf:prod")
    shelf.unlink()
    seen["exist"] = [api.artifact_exists(n) for n in ("artifacts/shelf:v0", f"{path}:v1", f"{path}:v0")]
    collection = api.artifact_collection("dataset", path)
    collection.name, collection.tags, collection.type = "items", ["c"], "data"
    collection.save()
    items = api.artifact_collection("data", "artifacts/items")
    seen["collection"] = [items.name, list(items.tags), sorted(items.aliases)]
    items.delete()
    seen["gone"] = api.artifact_exists("artifacts/items:latest")
    print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def seen(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client saw, by step; each step is a process of its own, in this order."""
    steps = {"log": LOG, "use": USE, "read": READ, "change": CHANGE}
    folder: Path = tmp_path_factory.mktemp("artifacts")
    seen = {}
    for name, code in steps.items():
        script = folder / f"{name}.py"
        script.write_text(dedent(code))
        seen[name] = json.loads(live_server.python(script, cwd=folder).splitlines()[-1])
    return seen


def test_versions_are_numbered_and_the_same_content_is_one_version(seen: dict[str, Any]) -> None:
    assert seen["log"] == {"versions": ["v0", "v1"], "again": ["v0", ["again", "best", "latest"]]}


def test_a_used_artifact_comes_down_whole_and_by_entry(seen: dict[str, Any]) -> None:
    used = seen["use"]
    assert used["files"] == {"a.txt": "one", "sub/b.txt": "two", "empty": ""}
    assert used["entry"] == "two"
    assert used["references"] == {"outside.txt": "one", "inside.txt": "two"}
    assert used["link"] == ["shelf:v0", ["latest", "prod"], True, "things:v0"]


def test_lists_tables_and_lineage_are_read_back(seen: dict[str, Any]) -> None:
    read = seen["read"]
    assert read["logged"][:3] == ["things:v0", "things:v1", "references:v0"]
    assert set(read["logged"][3:]) == {"run-maker-table:v0", "growing:v0", "growing:v1", "shared:v0"}
    assert read["used"] == ["things:v0", "references:v0"]
    assert read["table"] == {"x": [1, 2], "y": ["a", "b"]}
    assert read["by"] == ["maker", ["user"], {"k": [1, 2]}, 6]
    assert read["paths"] == [
        [name, size, "wandb_artifacts"] for name, size in (("a.txt", 3), ("empty", 0), ("sub/b.txt", 3))
    ]
    assert read["types"] == ["dataset", "log", "run_table"]
    assert read["ordered"] == ["things:v0", "things:v1"]


def test_incremental_and_distributed_artifacts_are_whole(seen: dict[str, Any]) -> None:
    assert seen["read"]["growing"] == ["0.txt", "1.txt"]
    assert seen["read"]["shared"] == ["v0", ["0.txt", "1.txt"], True]


def test_changes_links_and_deletions_hold(seen: dict[str, Any]) -> None:
    assert seen["change"] == {
        "saved": ["v1", ["t"], {"k": [1, 2], "z": 1}, "d"],
        "refused": True,
        "left": [["things:v0", ["again", "best", "latest"]]],
        "exist": [False, False, True],
        "collection": ["items", ["c"], ["again", "best", "latest"]],
        "gone": False,
    }
