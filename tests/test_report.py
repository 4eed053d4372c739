"""The written report: its files, what it says, and that nothing that was logged can act as markup."""

import base64
import csv
import dataclasses
import hashlib
import html.parser
import itertools
import os
import re
from pathlib import Path

import numpy as np
import pytest

from cola_sweep import figures, report, results
from cola_sweep.errors import UserError
from cola_sweep.findings import find
from cola_sweep.reporting import answer
from tests.fake_sweep import PATH, FakeApi, FakeSweep, changed, empty, fake_runs

pytestmark = pytest.mark.usefixtures("few_shuffles")

EVIL = '<script>alert(1)</script> | "x" `y` [z](javascript:alert(2)) *b*'


@pytest.fixture(scope="module")
def pulled() -> results.SweepResults:
    return results.read(FakeApi([FakeSweep()], fake_runs(sentences=300)), PATH)


@pytest.fixture(scope="module")
def written(pulled: results.SweepResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report.write(find(pulled), tmp_path_factory.mktemp("reports"))


def visible(page: str) -> str:
    """The page's text, as one line, without style, script and figures."""

    class Text(html.parser.HTMLParser):
        depth = 0
        words: list[str] = []  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.depth += tag in ("style", "script", "svg")

        def handle_endtag(self, tag: str) -> None:
            self.depth -= tag in ("style", "script", "svg")

        def handle_data(self, data: str) -> None:
            if not self.depth:
                self.words.append(data)

    parser = Text()
    parser.words = []
    parser.feed(page)
    return " ".join(" ".join(parser.words).split())


def render(swept: results.SweepResults, folder: Path) -> tuple[str, str]:
    index = report.write(find(swept), folder)
    return index.read_text(), (index.parent / "report.md").read_text()


def test_all_files_are_there_and_nothing_else(written: Path) -> None:
    assert written.name == "index.html"
    assert written.parent.name == "k3x9a1bc"
    assert {path.name for path in written.parent.iterdir()} == {
        "index.html", "report.md", "runs.csv", "predictions.csv", "by-domain.csv", "by-source.csv", "by-words.csv",
        "progress.csv", "importance.csv", "always-wrong.csv", "differing.csv", "importance.svg",
        "best-so-far.svg", "parameter-lr.svg", "parameter-batch_size.svg", "parameter-checkpoint.svg", "map.svg",
        "learning-curves.svg", "losses.svg", "parallel.svg", "confusion-matrix.svg", "confusion-matrix-runner-up.svg",
        "calibration.svg",
    }  # fmt: skip
    assert [path.name for path in written.parent.parent.iterdir()] == ["k3x9a1bc"]


def test_the_first_screen_answers_the_question(written: Path, pulled: results.SweepResults) -> None:
    findings = find(pulled)
    assert findings.winner is not None
    assert findings.predicted is not None
    first = visible(written.read_text()).partition("Leaderboard")[0]
    interval = findings.predicted.interval
    ends = f"95% interval {interval.low:.3f} to {interval.high:.3f}, n = 300 sentences"
    assert f"Best valid/mcc {findings.winner['best']:.3f} {ends}" in first
    assert f"checkpoint {findings.winner['config.checkpoint']}" in first
    assert "Did it really win? A tie with the runner-up MCC higher by " in first
    assert first.index("Leading configuration ") < first.index("A tie with")
    assert "Cost of the winner 42 s whole sweep, 20 runs 14 min peak memory 812 MB device cpu" in first
    assert f"{findings.predicted.wrong / 300:.0%} wrong Of 300 sentences {findings.predicted.wrong} are wrong" in first
    labels = pulled.predictions[findings.winner["id"]]["label"]
    assert f"The same answer to all would be {1 - labels.mean():.0%} wrong." in first
    assert re.search(r"Weakest of \d+ groups: ", first)
    assert "not comparable with CoLA" in first


def test_the_page_goes_into_detail(written: Path, pulled: results.SweepResults) -> None:
    findings = find(pulled)
    assert findings.predicted is not None
    text = visible(written.read_text())
    assert "McNemar p" in text
    assert "A tie unless" in text
    assert "1 × failed; 1 × crashed; 1 × metric never finite; 1 × killed" in text
    assert "failed: TrialFailed: out of memory" in text
    assert "predicts one class" in text
    assert findings.predicted.worst["sentence"].iloc[0] in text
    assert "synthetic, 2,400 + 600 sentences, seed 1" in text
    assert "no configuration was run with more than one seed" in text


def test_the_page_needs_nothing_but_itself(written: Path) -> None:
    page = written.read_text()
    assert not re.search(r"\b(src|srcset|action|formaction)=", page)
    assert not re.search(r"@import|url\((?!#)", page)
    links = re.findall(r'<link|\bhref="(?!#|http://127\.0\.0\.1:8085/)([^"]*)"', page)
    assert links == []


def test_the_page_lets_no_script_run_but_its_own(written: Path) -> None:
    page = written.read_text()
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in page
    assert not re.search(r"<[^>]+\son\w+=", page)


def test_the_page_can_be_read_aloud(written: Path) -> None:
    page = written.read_text()
    tables = re.findall(r"<table>.*?</table>", page, flags=re.DOTALL)
    assert len(tables) >= 7
    for table in tables:
        assert not re.search(r"<th(?! scope=|ead)", table)
        rows = re.findall(r"<tr.*?</tr>", table, flags=re.DOTALL)[1:]
        assert all(row.count('scope="row"') == 1 for row in rows)
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    drawings = page.count("<figure")
    assert drawings == len(re.findall(r'role="img" aria-label="[^"]{20,}"', page)) == page.count("<figcaption>")
    for target in re.findall(r'href="#([a-z-]+)"', page.partition("</nav>")[0]):
        assert f'id="{target}"' in page


def test_markdown_tables_have_as_many_cells_as_their_head(written: Path) -> None:
    rows = [line for line in (written.parent / "report.md").read_text().splitlines() if line.startswith("|")]
    assert len(rows) > 40
    cells = [len(re.split(r"(?<!\\)\|", row)) for row in rows]
    for row, before, after in zip(rows[1:], cells, cells[1:], strict=False):
        assert before == after or rows[rows.index(row) + 1].startswith("| ---"), row


def test_markdown_names_figures_that_exist(written: Path) -> None:
    names = re.findall(r"!\[.*\]\((.*)\)", (written.parent / "report.md").read_text())
    assert len(names) == 12
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", written.read_text())
    text = html.unescape(re.sub(r"\\(.)", r"\1", (written.parent / "report.md").read_text()))
    assert all(text.count(html.unescape(caption)) == 1 for caption in captions)
    assert all((written.parent / name).exists() for name in names)


def test_runs_csv_holds_every_run(written: Path, pulled: results.SweepResults) -> None:
    with (written.parent / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert [row["rank"] for row in rows][:2] == ["1", "2"]
    best = find(pulled).ranked.iloc[0]
    assert (rows[0]["id"], float(rows[0]["config.lr"])) == (best["id"], best["config.lr"])


def test_equal_results_give_equal_bytes(written: Path, pulled: results.SweepResults, tmp_path: Path) -> None:
    again = report.write(find(pulled), tmp_path).parent
    for path in written.parent.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name


def test_logged_text_stays_text(pulled: results.SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = figures.Gallery(search=(figures.Figure("drawn", EVIL, "<svg></svg>"),))
    monkeypatch.setattr(figures, "draw", lambda findings: drawn)
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
    assert page.count("<script") == 1
    assert 'href="javascript' not in page
    assert visible(page).count(" ".join(EVIL.split())) > 20
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
    assert "Nothing to compare with" in visible(page)


@pytest.mark.usefixtures("no_figures")
def test_runs_without_predictions(pulled: results.SweepResults, tmp_path: Path) -> None:
    page, _ = render(dataclasses.replace(pulled, predictions={}), tmp_path)
    assert "no interval" in visible(page)
    assert "Not tested" in visible(page)
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
    assert "Leading configuration width 5" in visible(page)
    assert "Best loss 0.200" in visible(page)
    assert "Where it fails Not known" in visible(page)
    assert "Matthews" not in visible(page)


def test_a_thousand_runs_are_cut_and_counted(pulled: results.SweepResults, tmp_path: Path) -> None:
    runs = pulled.runs.iloc[np.arange(1000) % 20].assign(id=[f"r{place:04d}" for place in range(1000)])
    page, _ = render(dataclasses.replace(pulled, runs=runs, predictions={}), tmp_path)
    assert "750 more runs are in runs.csv" in visible(page)
    assert "180 more are in runs.csv" in visible(page)
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


def test_a_winner_is_not_held_against_another_seed_of_itself(pulled: results.SweepResults) -> None:
    order = find(pulled).ranked["id"].tolist()
    same = pulled.runs["id"].isin(order[:2])
    settings = {name: pulled.runs[name].where(~same, 7) for name in ("config.lr", "config.batch_size")}
    found = find(changed(pulled, **settings, **{"config.checkpoint": "c"}))
    second = answer.next_configuration(found)
    assert second is not None
    assert second["id"] == order[2]
    headline, detail = answer.verdict(found)
    assert headline.endswith("the next configuration")
    assert f" that of {second['name']} on the same 300 sentences" in detail
    alone = find(changed(pulled, **{"config.lr": 1.0, "config.batch_size": 1, "config.checkpoint": "c"}))
    assert answer.verdict(alone) == ("Nothing to compare with", "All ranked runs have the same settings.")


@pytest.mark.usefixtures("no_figures")
def test_an_older_report_is_replaced_whole(pulled: results.SweepResults, tmp_path: Path) -> None:
    index = report.write(find(pulled), tmp_path)
    report.write(find(dataclasses.replace(pulled, predictions={})), tmp_path)
    assert not (index.parent / "predictions.csv").exists()
    assert index.exists()


@pytest.mark.usefixtures("no_figures")
def test_a_failure_while_writing_leaves_the_older_report(
    pulled: results.SweepResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = report.write(find(pulled), tmp_path)
    before = index.read_bytes()
    write_text = Path.write_text

    def full_disk(path: Path, *args: object, **kwargs: object) -> int:
        if path.name == "index.html":
            raise OSError(28, "No space left on device")
        return write_text(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(UserError, match="No space left on device"):
        report.write(find(changed(pulled, name="other")), tmp_path)
    assert index.read_bytes() == before
    assert os.listdir(tmp_path) == ["k3x9a1bc"]


@pytest.mark.usefixtures("no_figures")
def test_a_folder_that_is_a_file_is_one_line(pulled: results.SweepResults, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"--out: got .*file.*cannot be written"):
        report.write(find(pulled), tmp_path / "file")
