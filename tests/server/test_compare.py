import html
import json
import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from cola_sweep.server.comparison import Row, beside, disagreements
from cola_sweep.server.context import Context
from cola_sweep.server.pages.compare import MOST
from cola_sweep.server.store import files, projects, runs, streams, sweeps
from cola_sweep.server.tables import BadTable, Table

HOSTILE = "<img src=x onerror=alert(1)>"
COLUMNS = ("index", "sentence", "label", "predicted", "probability")
NAN = float("nan")


def predictions(*said: str, sentences: tuple[str, ...] = ("A.", "B.", HOSTILE)) -> Table:
    rows = [[i, text, "good", word, 0.25] for i, (text, word) in enumerate(zip(sentences, said, strict=True))]
    return Table(COLUMNS, rows)


@pytest.fixture
def made(context: Context) -> list[str]:
    """The names of runs of one project: three that logged curves and predictions, and one that logged nothing."""
    project = projects.ensure(context.store, context.user.name, "p q")
    said = {"a": ("good", "bad", "good"), "b": ("good", "good", "bad"), "c": ("good", "bad", "good")}
    for at, (name, words) in enumerate(said.items()):
        value = {"_type": "table-file", "path": "media/table/t.table.json"}
        run = runs.create(
            context.store, project.id, name, state="finished", display_name=f"{HOSTILE} {name}",
            config_json=json.dumps({"lr": {"value": 10.0**-at}, "seed": {"value": 7}}),
            summary_json=json.dumps({"valid/mcc": {"max": at / 8}, "_step": 3, "predictions": value}),
        )  # fmt: skip
        streams.write_lines(context.store, run.id, "history", 0, [json.dumps({"_step": 0, "valid/mcc": at / 8})])
        table = predictions(*words)
        path = context.blobs.run_file(run.id, value["path"])
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"columns": list(table.columns), "data": table.rows}))
        files.record(context.store, run.id, value["path"], 1, "")
    runs.create(context.store, project.id, "empty", state="pending", display_name="empty")
    return [*said, "empty"]


@pytest.fixture
def get(client: TestClient, context: Context, made: list[str]) -> Any:
    def get(query: str, status: int = 200) -> str:
        address = f"/{context.user.name}/p%20q/compare?{query}"
        answer = client.get(address, headers={"accept": "text/html"})
        assert answer.status_code == status, answer.text
        assert "<img" not in answer.text
        return answer.text

    return get


def section(text: str, name: str) -> str:
    return text.split(f'id="{name}"')[1].split("</section>")[0]


def test_runs_are_shown_beside_each_other_in_the_order_asked_for(get: Any, context: Context) -> None:
    text = get("run=b&run=a")
    sources = [f"/data/{context.user.name}/p%20q/runs/{name}" for name in "ba"]
    assert re.findall(r'data-source="([^"]*)"', text) == sources
    assert 'data-key="valid/mcc"' in section(text, "curves")
    differing, alike = section(text, "configuration").split("<details>")
    assert re.findall(r"<td>([^<]*)</td>", differing) == ["0.1", "1"]
    assert re.findall(r"<td>([^<]*)</td>", alike) == ["7", "7"]
    assert re.findall(r"<td>([^<]*)</td>", section(text, "summary")) == ["0.125", "0"]
    assert "2 of 3 sentences" in section(text, "sentences")
    said = re.findall(r'<td class="([\w-]*)">. (\w+)', section(text, "sentences"))
    assert said == [("right", "good"), ("not-right", "bad"), ("not-right", "bad"), ("right", "good")]


def test_agreement_is_told_from_having_nothing_to_compare(get: Any) -> None:
    assert "agree on all 3 sentences" in get("runs=a,c")
    assert "no table <code>predictions</code> in common" in get("runs=a,empty")


@pytest.mark.parametrize("query", ["", "run=a", "run=a&run=a", "run=a&run=b&choose=1"])
def test_less_than_two_runs_are_asked_for_more(get: Any, query: str) -> None:
    text = get(query)
    assert len(re.findall(r'type="checkbox"', text)) == 4
    assert set(re.findall(r'value="(\w+)"[^>]* checked', text)) == set(re.findall(r"run=(\w+)", query))


def test_runs_are_chosen_by_what_their_sweeps_are_after(get: Any, context: Context) -> None:
    def shown(query: str) -> tuple[list[str], list[str]]:
        text = re.sub(r"</?span[^>]*>", "", get(query))
        heads = re.findall(r'"col" class="number">([^<]*)</', text)
        return heads, sorted(re.findall(r'<td class="number">([^<]*)</', text))

    assert shown("") == (["valid/mcc"], ["", "0", "0.125", "0.25"])
    project = projects.ensure(context.store, context.user.name, "p q")
    space = f"{{method: random, metric: {{name: '{HOSTILE}', goal: minimize}}, parameters: {{x: {{min: 0, max: 1}}}}}}"
    sweep = sweeps.create(context.store, project.id, "s", config=space, method="random", state="RUNNING", seed=1)
    for name, best in (("s1", 0.0625), ("s2", 0.5)):
        summary = json.dumps({HOSTILE: {"min": best, "last": 1}})
        runs.create(
            context.store, project.id, name, state="running", display_name=name, sweep_id=sweep.id, summary_json=summary
        )
    name = html.escape(HOSTILE)
    assert shown("sweep=s") == ([name], ["0.0625", "0.5"])
    values = ["", f"{name} 0.0625", f"{name} 0.5", "valid/mcc 0", "valid/mcc 0.125", "valid/mcc 0.25"]
    assert shown("") == (["Metric"], values)


def test_too_many_runs_are_refused_with_a_sentence(get: Any, context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "p q")
    names = [f"m{i}" for i in range(MOST + 1)]
    for name in names:
        runs.create(context.store, project.id, name, state="pending", display_name=name)
    assert f"At most {MOST} runs can be told apart; you chose {MOST + 1}." in get("runs=" + ",".join(names))


def test_a_run_that_is_not_there_is_named(get: Any) -> None:
    assert "has no run nobody" in get("runs=a,nobody", 404)


def test_a_project_without_runs_says_so(client: TestClient, context: Context) -> None:
    projects.ensure(context.store, context.user.name, "new")
    text = client.get(f"/{context.user.name}/new/compare", headers={"accept": "text/html"}).text
    assert "not two runs here yet" in text


def test_values_are_compared_as_they_are() -> None:
    found = beside([{"a": NAN, "b": 1, "c": {"d": 1}}, {"a": NAN, "b": True, "c": {"d": 2}, "e": None}])
    assert [(row.key, row.differs) for row in found] == [("a", False), ("b", True), ("c.d", True), ("e", False)]
    assert found[2] == Row("c.d", (1, 2), True)


def test_only_sentences_that_all_have_are_compared() -> None:
    other = predictions("bad", "good", sentences=("A.", "C."))
    found, common = disagreements([predictions("good", "bad", "bad"), other])
    assert common == 1
    assert [(row.text, [said.right for said in row.said]) for row in found] == [("A.", [True, False])]
    with pytest.raises(BadTable, match="no sentence in common"):
        disagreements([predictions("good", sentences=("A.",)), predictions("good", sentences=("B.",))])
    with pytest.raises(BadTable, match="'sentence' and 'predicted'"):
        disagreements([predictions("good", sentences=("A.",)), Table(("x",), [[1]])])
