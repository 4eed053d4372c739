import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cola_sweep.server.charts.logged import Logged, charts
from cola_sweep.server.charts.specs import BadChart, fill, presets
from cola_sweep.server.context import Context
from cola_sweep.server.resolvers.charts import user_spec

XY = (["x", "y", "kind"], [[1, 2.5, "a"], [2, 40.5, "a"], [3, 7.5, "b"]])
CURVE = (["class", "fpr", "tpr"], [["good", 0.0, 0.0], ["good", 0.25, 0.75], ["good", 1.0, 1.0]])
MATRIX = [["no", "no", 31], ["no", "yes", 7], ["yes", "no", 5], ["yes", "yes", 57]]
TITLE = {"title": "My <title>"}
# By preset: columns and rows as the client's functions make them, fields, strings, and texts that are to be seen.
SENT: dict[str, tuple[list[str], list[list[Any]], dict[str, Any], dict[str, str], set[str]]] = {
    "wandb/line/v0": (*XY, {"x": "x", "y": "y", "stroke": None}, TITLE, {"My <title>", "x", "y", "40"}),
    "wandb/lineseries/v0": (
        ["step", "lineKey", "lineVal"],
        [[0, "u", 1.0], [10, "u", 3.0], [0, "v", 2.0], [10, "v", 4.0]],
        {"step": "step", "lineKey": "lineKey", "lineVal": "lineVal"},
        {"title": "", "xname": "epochs"},
        {"epochs", "u", "v", "10"},
    ),
    "wandb/scatter/v0": (*XY, {"x": "x", "y": "y"}, TITLE, {"My <title>", "40"}),
    "wandb/bar/v0": (*XY, {"label": "kind", "value": "y"}, TITLE, {"a", "b", "kind"}),
    "wandb/histogram/v0": (*XY, {"value": "y"}, TITLE, {"rows", "40"}),
    "wandb/area-under-curve/v0": (
        *CURVE,
        {"x": "fpr", "y": "tpr", "class": "class"},
        {"title": "ROC", "x-axis-title": "False positive rate", "y-axis-title": "True positive rate"},
        {"ROC", "False positive rate", "True positive rate", "good", "0.5"},
    ),
    "wandb/confusion_matrix/v1": (
        ["Actual", "Predicted", "nPredictions"],
        MATRIX,
        {"Actual": "Actual", "Predicted": "Predicted", "nPredictions": "nPredictions"},
        TITLE,
        {"31", "7", "5", "57", "no", "yes", "actual", "predicted"},
    ),
    "wandb/metrics/v1": (
        ["metric_name", "metric_value", "model_name"], [["precision", 0.83, "SVC"]], {}, {}, {"precision", "0.83"},
    ),
    "wandb/class_proportions/v1": (
        ["class", "dataset", "count"], [["cat", "train", 30], ["cat", "test", 12]],
        {}, {}, {"cat", "train", "test", "30"},
    ),
    "wandb/feature_importances/v1": (
        ["feature_names", "importances"], [["length", 0.7], ["words", 0.3]], {}, {}, {"length", "words", "importance"},
    ),
    "wandb/learning_curve/v1": (
        ["dataset", "score", "train_size"], [["train", 0.9, 100], ["test", 0.7, 100]], {}, {}, {"train", "test"},
    ),
    "wandb/residuals_plot/v1": (
        ["dataset", "y_pred", "residuals", "train_score", "test_score"],
        [["train", 1.5, 0.25, 0.9, 0.8], ["test", 2.5, -0.25, 0.9, 0.8]], {}, {}, {"residual", "train", "test"},
    ),
    "wandb/outliers/v1": (
        ["distance", "instance_indicies", "outlier_percentage", "influence_threshold"],
        [[0.1, 0, 0.5, 0.2], [0.4, 1, 0.5, 0.2]], {}, {}, {"Cook's distance"},
    ),
    "wandb/decision_boundaries/v1": (["x", "y", "color"], [[0, 1, "#00f"], [1, 0, "#f00"]], {}, {}, {"x", "y"}),
    "wandb/elbow/v1": (
        ["cluster_ranges", "errors", "clustering_time"], [[1, 90.0, 0.1], [3, 20.0, 0.2]], {}, {}, {"squared error"},
    ),
    "wandb/calibration/v1": (
        ["model", "fraction_of_positives", "mean_predicted_value", "hist_dict", "edge_dict"],
        [["Perfectly calibrated", 0, 0, 0, 0], ["Perfectly calibrated", 1, 1, 0, 0], ["Logistic", 0.2, 0.3, 7, 0.1]],
        {}, {}, {"Perfectly calibrated", "Logistic", "share of positives"},
    ),
    "wandb/silhouette_/v1": (
        ["x", "y", "colors", "centerx", "centery", "y_sil", "x1", "x2", "color_sil", "silhouette_avg"],
        [[0.5, 0.5, 0, None, None, 0, 0, 0.7, 0, 0.6], [1.5, 1.5, 1, None, None, 11, 0, 0.5, 1, 0.6]],
        {}, {}, {"silhouette", "cluster"},
    ),
}  # fmt: skip


def drawn(spec: dict[str, Any]) -> set[str]:
    """The texts in a chart as Vega draws it; it may reach for nothing."""
    import vl_convert

    picture = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", picture)
    return {text.replace("&lt;", "<").replace("&gt;", ">").replace("&#39;", "'") for text in texts}


@pytest.mark.parametrize("name", SENT)
def test_presets_draw_the_tables_that_the_client_sends(name: str) -> None:
    columns, rows, fields, strings, seen = SENT[name]
    assert drawn(fill(presets()[name], columns, rows, fields, strings)) >= seen


def test_every_preset_is_tested() -> None:
    assert presets().keys() == SENT.keys()


def test_the_names_that_the_client_uses_have_presets() -> None:
    import wandb

    root = wandb.__path__[0]
    named = set()
    for folder in ("plot", "integration"):
        for path in Path(root, folder).rglob("*.py"):
            named |= set(re.findall(r'"(wandb/[\w-]+/v\d)"', path.read_text()))
    assert len(named) > 10
    assert named == presets().keys()


def test_scikit_learns_own_columns_and_a_stroke_are_understood() -> None:
    matrix = fill(presets()["wandb/confusion_matrix/v1"], ["Predicted", "Actual", "Count"], [["no", "yes", 12]])
    assert "12" in drawn(matrix)
    line = fill(presets()["wandb/line/v0"], *XY, {"x": "x", "y": "y", "stroke": "kind"})
    assert line["encoding"]["color"] == {"field": "kind", "type": "nominal", "title": "kind"}
    assert "title" not in line


def test_a_users_spec_is_drawn_as_it_is_but_for_what_would_rule_the_page() -> None:
    spec = {
        "mark": {"type": "bar", "color": "#123456"},
        "usermeta": {"embedOptions": {"ast": False}},
        "data": {"name": "wandb"},
        "encoding": {
            "x": {"field": "${field:what}", "type": "nominal", "title": "${field:what} of ${string:who}"},
            "y": {"field": "n", "type": "quantitative"},
        },
    }
    rows = [["a", 1, float("nan")], ["b", 2, 3.0]]
    filled = fill(spec, ["model.name'] + 1", "n", "loss"], rows, {"what": "model.name'] + 1"}, {"who": "me"})
    assert "usermeta" not in filled
    x = filled["encoding"]["x"]
    assert x["title"] == "model.name'] + 1 of me"
    assert not set(x["field"]) & set(".'[]\"\\")
    assert filled["datasets"]["wandb"][0] == {x["field"]: "a", "n": 1, "loss": None}
    assert {"a", "b"} <= drawn(filled)


def test_names_that_become_alike_stay_apart() -> None:
    filled = fill({"mark": "bar"}, ["a.b", "a_b", "a[b"], [[1, 2, 3]])
    assert sorted(filled["datasets"]["wandb"][0].values()) == [1, 2, 3]


def test_vega_is_given_its_rows_in_its_own_way() -> None:
    spec = {"$schema": "https://vega.github.io/schema/vega/v5.json", "data": [{"name": "wandb"}, {"name": "other"}]}
    assert fill(spec, ["a"], [[1]])["data"] == [{"name": "wandb", "values": [{"a": 1}]}, {"name": "other"}]


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(BadChart, match="column 'z', and its table has these: 'x', 'y', 'kind'"):
        fill(presets()["wandb/line/v0"], *XY, {"x": "z", "y": "y"})


def test_charts_are_found_in_a_config_as_the_client_writes_it() -> None:
    query = {"queryFields": [{"name": "runSets", "args": [{"name": "runSets", "value": "${runSets}"}], "fields": [
        {"name": "id", "fields": []},
        {"name": "summaryTable", "args": [{"name": "tableKey", "value": "Tables/roc_table"}], "fields": []},
    ]}]}  # fmt: skip
    panel = {"panelDefId": "wandb/line/v0", "fieldSettings": {"x": "a"}, "stringSettings": {"title": "T"}}
    own = {
        "visualize": {"roc": {"panel_config": {**panel, "userQuery": query}}, "broken": 1},
        "viz": {"conf": {"id": "wandb/confusion_matrix/v1", "historyFieldSettings": {"key": "conf"}}},
    }
    found = charts({"lr": {"value": 1}, "_wandb": {"value": own}})
    assert found[1:] == [
        Logged("conf", "wandb/confusion_matrix/v1", "conf", {}, {}),
        Logged("roc", "wandb/line/v0", "Tables/roc_table", {"x": "a"}, {"title": "T"}),
    ]
    assert charts({}) == charts({"_wandb": 1}) == []  # type: ignore[comparison-overlap]


CREATE = """
    mutation CreateCustomChart($entity: String!, $chartName: String!, $displayName: String!, $chartType: String!,
    $access: String!, $spec: JSONString!) { createCustomChart(input: {entity: $entity, name: $chartName,
    displayName: $displayName, type: $chartType, access: $access, spec: $spec}) { chart { id } } }"""


def test_a_users_spec_is_kept_under_its_name(ask: Callable[..., Any], context: Context) -> None:
    spec = {"mark": "bar"}
    given = {"entity": "me", "chartName": "mine", "displayName": "Mine", "chartType": "vega2", "access": "PRIVATE"}
    assert ask(CREATE, **given, spec=json.dumps(spec)) == {"createCustomChart": {"chart": {"id": "me/mine"}}}
    assert user_spec(context, "me/mine") == spec
    assert user_spec(context, "me/other") is None


@pytest.mark.parametrize(
    ("kind", "spec"), [("vega2", "{"), ("vega2", "[]"), ("vega9", "{}"), ("vega2", "{" + " " * 2**20 + "}")]
)
def test_what_is_no_spec_is_refused(client: Any, context: Context, kind: str, spec: str) -> None:
    given = {
        "entity": "me",
        "chartName": "mine",
        "displayName": "",
        "chartType": kind,
        "access": "PRIVATE",
        "spec": spec,
    }
    body = client.post("/graphql", json={"query": CREATE, "variables": given}).json()
    assert "errors" in body
    assert user_spec(context, "me/mine") is None
