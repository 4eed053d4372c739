"""The written report: its files, what it says, and that nothing that was logged can act as markup."""

import argparse
import csv
import dataclasses
import html.parser
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cola_sweep import figures, report, results
from cola_sweep.errors import UserError
from cola_sweep.findings import find
from tests.fake_sweep import PATH, FakeApi, FakeSweep, changed, empty, fake_runs

EVIL = '<script>alert(1)</script> | "x" `y` [z](javascript:alert(2)) *b*'


@pytest.fixture(scope="module")
def pulled() -> results.SweepResults:
    return results.read(FakeApi([FakeSweep()], fake_runs(sentences=300)), PATH)


@pytest.fixture(scope="module")
def written(pulled: results.SweepResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(pulled, tmp_path_factory.mktemp("reports"))


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing is most of a report's time; tests of its words and files can do without."""
    monkeypatch.setattr(figures, "draw", lambda findings: [])


def visible(page: str) -> str:
    """The page's text, as one line, without style and figures."""

    class Text(html.parser.HTMLParser):
        depth = 0
        words: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.depth += tag in ("style", "svg")

        def handle_endtag(self, tag: str) -> None:
            self.depth -= tag in ("style", "svg")

        def handle_data(self, data: str) -> None:
            if not self.depth:
                self.words.append(data)

    parser = Text()
    parser.words = []
    parser.feed(page)
    return " ".join(" ".join(parser.words).split())


def render(swept: results.SweepResults, folder: Path) -> tuple[str, str]:
    index = report.write(swept, folder)
    return index.read_text(), (index.parent / "report.md").read_text()


def test_all_files_are_there_and_nothing_else(written: Path) -> None:
    assert written.name == "index.html"
    assert written.parent.name == "k3x9a1bc"
    assert {path.name for path in written.parent.iterdir()} == {
        "index.html", "report.md", "runs.csv", "predictions.csv", "best-so-far.svg", "parameter-lr.svg",
        "parameter-batch_size.svg", "parameter-checkpoint.svg", "learning-curves.svg", "confusion-matrix.svg",
    }  # fmt: skip
    assert [path.name for path in written.parent.parent.iterdir()] == ["k3x9a1bc"]


def test_the_page_answers_the_question(written: Path, pulled: results.SweepResults) -> None:
    findings = find(pulled)
    assert findings.winner is not None
    assert findings.predicted is not None
    text = visible(written.read_text())
    interval = findings.predicted.interval
    assert (
        f"{findings.winner['best']:.3f} 95% interval {interval.low:.3f} to {interval.high:.3f}, over 300 sentences"
        in text
    )
    assert f"checkpoint {findings.winner['config.checkpoint']}" in text
    assert "the runner-up" in text
    assert "McNemar p =" in text
    assert "not comparable with CoLA" in text
    assert "1 × failed; 1 × crashed; 1 × metric never finite; 1 × killed" in text
    assert "predicts one class" in text
    assert findings.predicted.worst["sentence"].iloc[0] in text
    assert "synthetic, 2,400 + 600 sentences, seed 1" in text


def test_the_page_needs_nothing_but_itself(written: Path) -> None:
    page = written.read_text()
    assert "<script" not in page
    assert not re.search(r"\b(src|srcset|action|formaction)=", page)
    assert not re.search(r"@import|url\((?!#)", page)
    links = re.findall(r'<link|\bhref="(?!#|http://127\.0\.0\.1:8085/)([^"]*)"', page)
    assert links == []


def test_markdown_tables_have_as_many_cells_as_their_head(written: Path) -> None:
    rows = [line for line in (written.parent / "report.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 40
    cells = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    for row, before, after in zip(rows[1:], cells, cells[1:], strict=False):
        assert before == after or rows[rows.index(row) + 1].startswith("| ---"), row


def test_markdown_names_figures_that_exist(written: Path) -> None:
    names = re.findall(r"!\[.*\]\((.*)\)", (written.parent / "report.md").read_text())
    assert len(names) == 6
    assert all((written.parent / name).exists() for name in names)


def test_runs_csv_holds_every_run(written: Path, pulled: results.SweepResults) -> None:
    with (written.parent / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert [row["rank"] for row in rows][:2] == ["1", "2"]
    best = find(pulled).ranked.iloc[0]
    assert (rows[0]["id"], float(rows[0]["config.lr"])) == (best["id"], best["config.lr"])


def test_equal_results_give_equal_bytes(written: Path, pulled: results.SweepResults, tmp_path: Path) -> None:
    again = report.write(pulled, tmp_path).parent
    for path in written.parent.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_logged_text_stays_text(pulled: results.SweepResults, tmp_path: Path) -> None:
    tables = {
        run: table.assign(sentence=EVIL, source=EVIL, domain=["a", EVIL] * 150)
        for run, table in pulled.predictions.items()
    }
    hostile = dataclasses.replace(
        changed(pulled, name=EVIL, url="javascript:alert(3)", **{"config.checkpoint": EVIL, "provenance.data": EVIL}),
        name=EVIL, url="javascript:alert(4)", path=f"ada/cola-sweep/{EVIL}/../../../up", predictions=tables,
        notes=(EVIL,),
    )  # fmt: skip
    page, markdown = render(hostile, tmp_path)
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert " ".join(EVIL.split()) in visible(page)
    assert "<script" not in markdown
    assert not re.search(r"(?<!\\)\]\(javascript", markdown)
    assert len(list(tmp_path.iterdir())) == 1
    assert not (tmp_path.parent / "up").exists()


def test_a_sweep_without_runs(tmp_path: Path) -> None:
    page, markdown = render(empty(), tmp_path)
    assert "No run has started yet." in visible(page)
    assert "No run can be ranked." in visible(page)
    assert "No run can be ranked." in markdown
    assert not (tmp_path / "k3x9a1bc" / "predictions.csv").exists()


@pytest.mark.parametrize("state", ["failed", "running"])
@pytest.mark.usefixtures("no_figures")
def test_a_sweep_without_a_finished_run(pulled: results.SweepResults, tmp_path: Path, state: str) -> None:
    page, _ = render(dataclasses.replace(changed(pulled, state=state), predictions={}), tmp_path)
    assert f"20 × {state}" in visible(page)
    assert "there is no winner yet" in visible(page)


@pytest.mark.usefixtures("no_figures")
def test_a_sweep_without_any_number(pulled: results.SweepResults, tmp_path: Path) -> None:
    page, _ = render(dataclasses.replace(changed(pulled, best=np.nan, logged=0), predictions={}), tmp_path)
    assert "17 × metric never logged" in visible(page)


@pytest.mark.usefixtures("no_figures")
def test_one_run(pulled: results.SweepResults, tmp_path: Path) -> None:
    page, _ = render(dataclasses.replace(pulled, runs=pulled.runs.head(1)), tmp_path)
    assert "Nothing to compare with." in visible(page)


@pytest.mark.usefixtures("no_figures")
def test_runs_without_predictions(pulled: results.SweepResults, tmp_path: Path) -> None:
    page, _ = render(dataclasses.replace(pulled, predictions={}), tmp_path)
    assert "no interval" in visible(page)
    assert "Not tested." in visible(page)
    assert "Worst sentences" not in visible(page)


def test_a_sweep_of_another_project_has_a_report_too(tmp_path: Path) -> None:
    other = FakeSweep(
        config={"method": "random", "metric": {"name": "loss"}, "parameters": {"width": {"min": 1, "max": 9}}}
    )
    runs = fake_runs(5, sentences=10)
    for place, run in enumerate(runs):
        run.config, run.summary_metrics = {"width": place + 1}, {"loss": 1 / (place + 1)}
        run.rows = [{"loss": 2.0, "_step": 0}, {"loss": 1 / (place + 1), "_step": 1}]
    page, _ = render(results.read(FakeApi([other], runs), PATH), tmp_path)
    assert "Best loss 0.200" in visible(page)
    assert "width 5" in visible(page)


def test_two_thousand_runs_are_cut_and_counted(pulled: results.SweepResults, tmp_path: Path) -> None:
    runs = pulled.runs.iloc[np.arange(2000) % 20].assign(id=[f"r{place:04d}" for place in range(2000)])
    page, _ = render(dataclasses.replace(pulled, runs=runs, predictions={}), tmp_path)
    assert "1,550 more runs are in runs.csv" in visible(page)
    assert "380 more are in runs.csv" in visible(page)
    assert len(page) < 1_500_000


@pytest.mark.usefixtures("no_figures")
def test_seeds_of_one_configuration_are_put_together(pulled: results.SweepResults, tmp_path: Path) -> None:
    runs = pulled.runs.head(4).assign(
        **{"config.lr": [1e-5, 1e-5, 2e-5, 2e-5], "config.batch_size": 32, "config.checkpoint": "c"}
    )
    page, markdown = render(dataclasses.replace(pulled, runs=runs), tmp_path)
    mean = f"{runs['best'].head(2).mean():.3f}"
    assert "Configurations over seeds" in visible(page)
    assert f"1e-5 32 c {mean}" in visible(page)
    assert f"| 1e-5 | 32 | c | {mean} |" in markdown


@pytest.mark.usefixtures("no_figures")
def test_an_older_report_is_replaced_whole(pulled: results.SweepResults, tmp_path: Path) -> None:
    index = report.write(pulled, tmp_path)
    report.write(dataclasses.replace(pulled, predictions={}), tmp_path)
    assert not (index.parent / "predictions.csv").exists()
    assert index.exists()


@pytest.mark.usefixtures("no_figures")
def test_a_failure_while_writing_leaves_the_older_report(
    pulled: results.SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = report.write(pulled, tmp_path)
    before = index.read_bytes()
    write_text = Path.write_text

    def full_disk(path: Path, *args: object, **kwargs: object) -> int:
        if path.name == "index.html":
            raise OSError(28, "No space left on device")
        return write_text(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        report.write(changed(pulled, name="other"), tmp_path)
    assert index.read_bytes() == before
    assert os.listdir(tmp_path) == ["k3x9a1bc"]


@pytest.mark.usefixtures("no_figures")
def test_a_folder_that_is_a_file_is_one_line(pulled: results.SweepResults, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out: got .*file.*cannot be written"):
        report.write(pulled, tmp_path / "file")


@pytest.mark.usefixtures("no_figures")
def test_the_command_prints_the_best_three_and_the_path(
    pulled: results.SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(results, "pull", lambda sweep: asked.append(sweep) or pulled)
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    assert report.main(parser.parse_args(["k3x9a1bc", "--out", str(tmp_path)])) == 0
    lines = capsys.readouterr().out.splitlines()
    assert asked == ["k3x9a1bc"]
    assert [line[:2] for line in lines[:3]] == ["1.", "2.", "3."]
    assert re.fullmatch(r"1\. valid/mcc 0\.\d{3}  lr=\S+ batch_size=\d+ checkpoint=\S+  light-sweep-\d+", lines[0])
    assert lines[3:] == [str(tmp_path / "k3x9a1bc" / "index.html")]


def test_the_flags_cost_no_heavy_import() -> None:
    code = "import sys, cola_sweep.report; print({'pandas', 'matplotlib', 'wandb', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.35e-5, "5.35e-5"), (0.0001, "1e-4"), (32.0, "32"), (0.1, "0.1"), (0, "0"), (True, "True"), ("a", "a"),
     (None, "–"),
     (float("nan"), "–"), (float("inf"), "inf")],
)  # fmt: skip
def test_settings_are_short(value: object, text: str) -> None:
    assert report.show_value(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(8.44, "8.4 s"), (83, "83 s"), (1200, "20 min"), (9000, "2.5 h"), (None, "–")]
)
def test_durations_have_their_unit(seconds: float | None, text: str) -> None:
    assert report.show_duration(seconds) == text
