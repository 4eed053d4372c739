"""The report as a W&B Report: what wandb-workspaces makes of it and sends, where that package is installed."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb

from cola_sweep import publish, snapshot
from cola_sweep.errors import UserError
from tests.fake_sweep import PATH, FakeApi, FakeSweep, fake_runs

MARKDOWN = """# lr

Best 0.5

![Best so far](best-so-far.svg)

## Ranking

| a | b |
| --- | --- |
| 1 | 2 |

## Cost

3 s
"""


@pytest.fixture
def taken() -> snapshot.Snapshot:
    return snapshot.take(FakeApi([FakeSweep()], fake_runs(2, sentences=10)), PATH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "report.md").write_text(MARKDOWN)
    return tmp_path


class Endpoint:
    """A server with Reports, which remembers what it was sent; for `api.reports` and for the package's own client."""

    def __init__(self, *there: tuple[str, str]) -> None:
        self.there, self.sent = there, []  # type: ignore[var-annotated]
        self._service_api = SimpleNamespace(execute_graphql=self.execute, app_url="https://wandb.example/")

    def reports(self, path: str) -> list[Any]:
        assert path == "ada/cola-sweep"
        return [SimpleNamespace(id=number, display_name=name) for number, name in self.there]

    def projects(self, entity: str) -> list[Any]:
        return [SimpleNamespace(name="cola-sweep")]

    def execute(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        if "upsertView" not in query:
            return {"project": {"internalId": "UHJvamVjdEludGVybmFsSWQ6MQ=="}}
        self.sent.append(variables)
        view = {
            "id": variables["id"] or "Vmlldzo3", "name": variables["name"], "displayName": variables["displayName"],
            "description": "", "project": {"name": "cola-sweep", "entityName": "ada"}, "spec": variables["spec"],
            "createdAt": "2026-11-23T12:00:00Z", "updatedAt": "2026-11-23T12:00:00Z", "type": "runs",
        }  # fmt: skip
        return {"upsertView": {"view": view, "inserted": True}}


def test_the_report_is_sent_section_by_section_with_charts_of_the_sweep(
    taken: snapshot.Snapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = pytest.importorskip("wandb_workspaces.reports.v2.interface", reason="the extra `publish`")
    endpoint = Endpoint()
    monkeypatch.setattr(interface, "_get_api", lambda: endpoint)
    url = publish.publish(endpoint, taken, folder)
    assert url.startswith("https://wandb.example/ada/cola-sweep/reports/Sweep-k3x9a1bc")
    (sent,) = endpoint.sent
    assert (sent["id"], sent["entityName"], sent["projectName"], sent["type"]) == (None, "ada", "cola-sweep", "runs")
    spec = json.dumps(json.loads(sent["spec"]))
    assert "| 1 | 2 |" in spec
    assert "best-so-far.svg" not in spec
    assert '"k3x9a1bc"' in spec
    assert "valid/mcc" in spec


def test_publishing_again_takes_the_place_of_the_earlier_report(
    taken: snapshot.Snapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interface = pytest.importorskip("wandb_workspaces.reports.v2.interface", reason="the extra `publish`")
    endpoint = Endpoint(("Vmlldzox", "another"), ("Vmlldzoy", "Sweep k3x9a1bc: lr and batch size"))
    monkeypatch.setattr(interface, "_get_api", lambda: endpoint)
    publish.publish(endpoint, taken, folder)
    assert [sent["id"] for sent in endpoint.sent] == ["Vmlldzoy"]


def test_without_the_extra_it_is_one_line(
    taken: snapshot.Snapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(UserError, match=r"^--publish: needs wandb-workspaces \(.*\); run `pip install"):
        publish.publish(FakeApi([], []), taken, folder)


def test_a_server_without_reports_is_one_line(
    taken: snapshot.Snapshot, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise wandb.errors.CommError("Cannot query field 'allViews'")

    made = SimpleNamespace(**{name: lambda **_: None for name in KINDS})
    monkeypatch.setitem(sys.modules, "wandb_workspaces", SimpleNamespace(reports=SimpleNamespace(v2=made)))
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports", SimpleNamespace(v2=made))
    monkeypatch.setitem(sys.modules, "wandb_workspaces.reports.v2", made)
    with pytest.raises(UserError, match=r"^--publish: the server does not take Reports .*allViews.*; use wandb\.ai"):
        publish.publish(SimpleNamespace(reports=refuse), taken, folder)


KINDS = ("MarkdownBlock", "Runset", "ParameterImportancePlot", "LinePlot", "PanelGrid", "Report")


def test_markdown_is_cut_at_its_sections_and_loses_its_figures() -> None:
    first, ranking, cost = publish.sections(MARKDOWN)
    assert first == "# lr\n\nBest 0.5"
    assert ranking.startswith("## Ranking\n\n| a | b |")
    assert cost == "## Cost\n\n3 s"
