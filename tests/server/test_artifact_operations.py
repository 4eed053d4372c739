"""Every operation that the installed client sends about artifacts is answered whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cola_sweep.server.context import Context
from tests.server.uploads import Client, make_client

FILES = {"a.txt": b"one", "dir/b.txt": b"two"}


@pytest.fixture
def api(context: Context) -> Client:
    return make_client(context)


def operations() -> dict[str, str]:
    from wandb.sdk.artifacts._generated import operations as generated

    skipped = ("REGIST", "ORG")  # of W&B's organizations, which this server has none of
    return {
        name.removesuffix("_GQL"): getattr(generated, name)
        for name in generated.__all__
        if not any(word in name for word in skipped)
    }


def test_every_operation_of_the_client_resolves_whole_and_parses(api: Client) -> None:
    """Run against a filled project; the client's own models check types and what must not be null."""
    from wandb.sdk.artifacts import _generated

    number = api.log("things", FILES, aliases=["best"], tags=[{"tagName": "t"}], metadata="{}")
    api.link(number)
    project = {"entity": api.entity, "project": "p"}
    run, collection = {**project, "run": "r1"}, {**project, "type": "dataset", "collection": "things"}
    api.use(number, "r1")
    sequence, portfolio = api.collection_id("things"), api.collection_id("folio")
    where = {"entityName": api.entity, "projectName": "p", "artifactCollectionName": "things"}
    tagging = {**where, "tags": [{"tagName": "x"}]}
    aliasing = {"artifactID": number, "aliases": [{**where, "alias": "x"}]}
    variables: dict[str, Any] = {
        "ARTIFACT_TYPE_ARTIFACT_COLLECTIONS": {**project, "type": "dataset", "perPage": 1},
        "PROJECT_ARTIFACT_COLLECTIONS": {**project, "filters": '{"name": "things"}', "order": "name"},
        "PROJECT_ARTIFACT_COLLECTION": {**project, "type": "dataset", "name": "things"},
        "ARTIFACT_COLLECTION_ALIASES": {"id": sequence},
        "ARTIFACT_MEMBERSHIP_FILES": {**project, "collection": "things", "alias": "v0"},
        "GET_ARTIFACT_MEMBERSHIP_FILE_URLS": {**project, "collection": "folio", "alias": "v0"},
        "PROJECT_ARTIFACT_TYPES": project,
        "PROJECT_ARTIFACT_TYPE": {**project, "type": "dataset"},
        "PROJECT_ARTIFACTS": collection,
        "RUN_OUTPUT_ARTIFACTS": run,
        "RUN_INPUT_ARTIFACTS": run,
        "FETCH_LINKED_ARTIFACTS": {"artifactID": number},
        "FETCH_ARTIFACT_MANIFEST": {"id": number},
        "ARTIFACT_BY_ID": {"id": number},
        "ARTIFACT_MEMBERSHIP_BY_NAME": {**project, "name": "folio:latest", "includeAliases": True},
        "ARTIFACT_USED_BY": {"id": number},
        "ARTIFACT_CREATED_BY": {"id": number},
        "ARTIFACT_TYPE": {**project, "name": "things:latest"},
        "ADD_ALIASES": {"input": aliasing},
        "DELETE_ALIASES": {"input": aliasing},
        "UPDATE_ARTIFACT": {"input": {"artifactID": number, "description": "d"}},
        "ADD_ARTIFACT_COLLECTION_TAGS": {"input": tagging},
        "DELETE_ARTIFACT_COLLECTION_TAGS": {"input": tagging},
        "UPDATE_ARTIFACT_SEQUENCE": {"input": {"artifactSequenceID": sequence, "description": "d"}},
        "UPDATE_ARTIFACT_PORTFOLIO": {"input": {"artifactPortfolioID": portfolio, "description": "d"}},
        "LINK_ARTIFACT": {"input": {"artifactID": number, "artifactPortfolioID": portfolio}},
        "UNLINK_ARTIFACT": {"input": {"artifactID": number, "artifactPortfolioID": portfolio}},
        "UPDATE_ARTIFACT_SEQUENCE_TYPE": {
            "input": {"artifactSequenceID": sequence, "destinationArtifactTypeName": "t"}
        },
        "DELETE_ARTIFACT": {"input": {"artifactID": number, "deleteAliases": True}},
        "DELETE_ARTIFACT_PORTFOLIO": {"id": portfolio},
        "DELETE_ARTIFACT_SEQUENCE": {"id": sequence},
    }
    sent = operations()
    assert variables.keys() == sent.keys()
    for name, given in variables.items():
        data = api.ask(sent[name], **given)
        model: Callable[[Any], Any] = getattr(_generated, sent[name].split("(")[0].split()[1]).model_validate_json
        parsed = model(json.dumps(data))
        assert all(getattr(parsed, field) is not None for field in type(parsed).model_fields), (name, data)
