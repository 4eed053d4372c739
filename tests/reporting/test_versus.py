"""Two sweeps compared: the verdict, what is not comparable, and that names stay text."""

import dataclasses
from pathlib import Path

import pytest

from cola_sweep import report, results
from cola_sweep.errors import UserError
from cola_sweep.figures import Figure, Gallery
from cola_sweep.findings import Findings, find
from cola_sweep.reporting import versus
from cola_sweep.reporting.document import Report, Table
from tests.fake_sweep import PATH, FakeApi, FakeSweep, changed, empty, fake_runs

pytestmark = pytest.mark.usefixtures("few_shuffles")

EVIL = "<script>alert(1)</script> | *b*"


@pytest.fixture(scope="module")
def first() -> results.SweepResults:
    return results.read(FakeApi([FakeSweep()], fake_runs(8, sentences=120)), PATH)


@pytest.fixture(scope="module")
def second(first: results.SweepResults) -> results.SweepResults:
    """The worse runs of the same kind, under another id."""
    worse = first.runs.drop(first.runs["best"].nlargest(2).index)
    return dataclasses.replace(first, runs=worse, path="ada/cola-sweep/other", name="second try")


def compared(*pair: results.SweepResults) -> Report:
    found = [find(swept) for swept in pair]
    return versus.report(found, Gallery(), ["../a/index.html", "../b/index.html"])


def rows(report: Report, title: str) -> dict[str, tuple[object, ...]]:
    """The rows of a table by their first cell."""
    tables = [block for section in report.sections for block in section.blocks if isinstance(block, Table)]
    (table,) = (table for table in tables if table.title == title)
    return {str(row[0]): row[1:] for row in table.rows}


def test_the_winners_are_compared_on_the_same_sentences(
    first: results.SweepResults, second: results.SweepResults
) -> None:
    found = [find(first), find(second)]
    comparison = versus.compare(found)
    assert comparison is not None
    assert comparison.difference.n == 120
    back = versus.compare(found[::-1])
    assert back is not None
    assert back.difference.value == pytest.approx(-comparison.difference.value)
    assert (back.only_first, back.only_second) == (comparison.only_second, comparison.only_first)
    said = {"first": "lr and batch size", "second": "second try", "tie": "A tie"}[comparison.verdict]
    assert compared(first, second).answers[0].answer == said


def test_both_sweeps_stand_side_by_side(first: results.SweepResults, second: results.SweepResults) -> None:
    report = compared(first, second)
    assert report.title == "lr and batch size against second try"
    assert rows(report, "The two sweeps")["runs"] == ("8, 7 ranked", "6, 5 ranked")
    assert rows(report, "Provenance")["device"] == ("cpu", "cpu", "")


def test_other_data_and_another_metric_are_told_first(
    first: results.SweepResults, second: results.SweepResults
) -> None:
    other = dataclasses.replace(changed(second, **{"provenance.data_fingerprint": "ffff"}), metric="valid/f1")
    report = compared(first, other)
    assert report.warnings[0] == "The two sweeps used different data: their values are not comparable."
    assert report.warnings[1].startswith("The two sweeps optimise different metrics")
    gallery = versus.draw([find(first), find(other)])
    assert gallery.figures == ()
    assert gallery.left_out[0].reason == "the sweeps have different metrics or goals"


def test_without_predictions_nothing_is_claimed(first: results.SweepResults, second: results.SweepResults) -> None:
    report = compared(first, dataclasses.replace(second, predictions={}))
    assert report.answers[0].answer == "Not tested"
    assert [section.title for section in report.sections] == ["Side by side", "Where they come from"]


def test_an_empty_sweep_can_be_compared_too(first: results.SweepResults) -> None:
    report = compared(first, empty(path="ada/cola-sweep/none"))
    assert report.answers[0].answer == "Not tested"
    assert report.answers[-1].details == ("No run can be ranked.",)


def test_sweeps_of_one_name_are_told_apart_by_id(first: results.SweepResults, second: results.SweepResults) -> None:
    pair = [find(first), find(dataclasses.replace(second, name=first.name))]
    assert versus.names(pair) == ["lr and batch size (k3x9a1bc)", "lr and batch size (other)"]


def test_the_comparison_is_written_beside_the_reports(
    first: results.SweepResults, second: results.SweepResults, tmp_path: Path
) -> None:
    hostile = dataclasses.replace(second, name=EVIL)
    pair: list[Findings] = [find(first), find(hostile)]
    index = report.write_comparison(pair, tmp_path)
    assert index.parent.name == "k3x9a1bc-against-other"
    assert {path.name for path in index.parent.iterdir()} == {
        "index.html", "report.md", "best-so-far.svg", "all-runs.svg"
    }  # fmt: skip
    page = index.read_text()
    assert page.count("<script") == 1
    assert 'href="../k3x9a1bc/index.html"' in page
    assert "<script" not in (index.parent / "report.md").read_text()
    before = page.encode()
    assert report.write_comparison(pair, tmp_path).read_bytes() == before


def test_a_sweep_is_not_compared_with_itself(first: results.SweepResults, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two sweeps are compared"):
        report.write_comparison([find(first), find(first)], tmp_path)


def test_figures_of_both_say_their_numbers(first: results.SweepResults, second: results.SweepResults) -> None:
    figures = versus.draw([find(first), find(second)]).figures
    assert all(isinstance(figure, Figure) and "7 and 5 ranked runs" in figure.caption for figure in figures)
