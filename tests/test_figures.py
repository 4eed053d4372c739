"""Figures: which are drawn, that they repeat byte for byte, and that they are sound SVG."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import pandas as pd
import pytest

from cola_sweep import figures, results
from cola_sweep.findings import Findings, find
from tests.fake_sweep import PATH, FakeApi, FakeSweep, changed, empty, fake_runs


@pytest.fixture(scope="module")
def findings() -> Findings:
    return find(results.read(FakeApi([FakeSweep()], fake_runs(12, sentences=60)), PATH))


@pytest.fixture(scope="module")
def drawn(findings: Findings) -> list[figures.Figure]:
    return figures.draw(findings)


def test_every_figure_of_a_full_sweep_is_drawn(drawn: list[figures.Figure]) -> None:
    assert [figure.name for figure in drawn] == [
        "best-so-far", "parameter-lr", "parameter-batch_size", "parameter-checkpoint", "learning-curves",
        "confusion-matrix",
    ]  # fmt: skip


def test_figures_are_sound_svg_with_the_words_as_text(drawn: list[figures.Figure]) -> None:
    texts = {}
    for figure in drawn:
        root = ElementTree.fromstring(figure.svg)
        assert root.tag.endswith("svg")
        texts[figure.name] = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
    assert "valid/mcc" in texts["best-so-far"]
    assert "light-sweep-" in texts["learning-curves"]
    assert "unacceptable" in texts["confusion-matrix"]


def test_figures_repeat_byte_for_byte(findings: Findings, drawn: list[figures.Figure]) -> None:
    assert figures.draw(findings) == drawn


def test_the_confusion_matrix_shows_counts_and_row_shares(findings: Findings, drawn: list[figures.Figure]) -> None:
    assert findings.predicted is not None
    tn, fp, fn, tp = findings.predicted.counts
    words = re.findall(r"<text[^>]*>([^<]+)<|<tspan[^>]*>([^<]+)<", drawn[-1].svg)
    words = [a or b for a, b in words]
    assert {str(tn), str(fp), str(fn), str(tp), f"{tn / (tn + fp):.0%}", f"{tp / (tp + fn):.0%}"} <= set(words)


def test_a_sweep_without_a_ranked_run_has_no_figure() -> None:
    assert figures.draw(find(empty())) == []


def test_one_run_without_history_or_predictions_still_has_its_figures(findings: Findings) -> None:
    swept = findings.results
    one = dataclasses.replace(
        swept, runs=swept.runs.head(1), histories=swept.histories.iloc[:0][["run", "epoch", "step"]], predictions={}
    )
    names = [figure.name for figure in figures.draw(find(one))]
    assert names == ["best-so-far", "parameter-lr", "parameter-batch_size", "parameter-checkpoint"]


def test_names_with_markup_dollars_or_underscores_are_drawn_as_they_are(findings: Findings) -> None:
    name = "_<b>$x_1$</b> & co"
    hostile = changed(findings.results, name=name, **{"config.checkpoint": name})
    for figure in figures.draw(find(hostile)):
        root = ElementTree.fromstring(figure.svg)
        words = [(element.text or "").strip("\u200b") for element in root.iter() if element.tag.endswith("text")]
        if figure.name in ("learning-curves", "parameter-checkpoint"):
            assert name in words
        assert "<b>" not in figure.svg


def about(findings: Findings, name: str) -> tuple[str, list[str]]:
    """Caption and words of the figure of a parameter."""
    (figure,) = (figure for figure in figures.draw(findings) if figure.name == f"parameter-{name}")
    root = ElementTree.fromstring(figure.svg)
    return figure.caption, [element.text or "" for element in root.iter() if element.tag.endswith("text")]


def test_a_null_is_one_of_the_choices_and_may_win(findings: Findings) -> None:
    winner = findings.ranked["id"].iloc[0]
    column = pd.Series([16, 32, 64] * 4).where(findings.results.runs["id"] != winner)
    caption, words = about(find(changed(findings.results, **{"config.batch_size": column})), "batch_size")
    assert caption.endswith("; the ringed run won.")
    assert [word for word in words if word in ("16", "32", "64", "–")] == ["16", "32", "64", "–"]


def test_no_run_is_ringed_where_the_winner_has_no_place_on_the_axis(findings: Findings) -> None:
    winner = findings.ranked["id"].iloc[0]
    column = findings.results.runs["config.lr"].where(findings.results.runs["id"] != winner)
    caption, _ = about(find(changed(findings.results, **{"config.lr": column})), "lr")
    assert caption == "Best valid/mcc of each run against lr on a logarithmic axis."


def test_a_parameter_that_no_ranked_run_has_is_not_drawn(findings: Findings) -> None:
    names = [figure.name for figure in figures.draw(find(changed(findings.results, **{"config.lr": float("nan")})))]
    assert "parameter-lr" not in names


def test_inline_figures_share_no_id_and_follow_the_theme(drawn: list[figures.Figure]) -> None:
    page = "".join(map(figures.inline, drawn))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert ids
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="|url\()#([^")]*)', page)
    assert used
    assert set(used) <= set(ids)
    assert figures.INK not in page
    assert "<?xml" not in page
    ElementTree.fromstring(f"<div>{page}</div>")


def test_standalone_figures_stand_on_white(drawn: list[figures.Figure]) -> None:
    root = ElementTree.fromstring(figures.standalone(drawn[0]))
    assert root[0].attrib["fill"] == "#ffffff"
