"""Figures: which are drawn, that they repeat byte for byte, and that they are sound SVG."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from matplotlib.colors import to_rgb

from cola_sweep import figures, results
from cola_sweep.analysis import importance, pareto
from cola_sweep.figures import parallel, runs, search, style
from cola_sweep.figures.importance import importance as drawn_importance
from cola_sweep.figures.pareto import pareto as drawn_pareto
from cola_sweep.findings import Findings, find
from tests.fake_sweep import PATH, FakeApi, FakeSweep, changed, empty, fake_runs

pytestmark = pytest.mark.usefixtures("few_shuffles")


@pytest.fixture(scope="module")
def findings() -> Findings:
    return find(results.read(FakeApi([FakeSweep()], fake_runs(12, sentences=60)), PATH))


@pytest.fixture(scope="module")
def gallery(findings: Findings) -> figures.Gallery:
    return figures.draw(findings)


@pytest.fixture(scope="module")
def drawn(gallery: figures.Gallery) -> tuple[figures.Figure, ...]:
    return gallery.figures


def words(figure: figures.Figure) -> list[str]:
    """The texts of a drawing."""
    root = ElementTree.fromstring(figure.svg)
    return [
        (element.text or "").strip("\u200b") for element in root.iter() if element.tag.endswith(("}text", "}tspan"))
    ]


def named(drawn: tuple[figures.Figure, ...], name: str) -> figures.Figure:
    (figure,) = (figure for figure in drawn if figure.name == name)
    return figure


def against(findings: Findings, name: str) -> figures.Figure | figures.LeftOut:
    """The figure of one parameter."""
    (parameter,) = (parameter for parameter in findings.parameters if parameter.name == name)
    return search.against(findings, parameter)


def test_every_figure_of_a_full_sweep_is_drawn(findings: Findings, gallery: figures.Gallery) -> None:
    assert [figure.name for figure in gallery.search] == [
        "best-so-far", "parameter-lr", "parameter-batch_size", "parameter-checkpoint", "map", "learning-curves",
        "losses", "parallel",
    ]  # fmt: skip
    assert [figure.name for figure in gallery.sentences] == [
        "confusion-matrix", "confusion-matrix-runner-up", "calibration",
    ]  # fmt: skip
    assert gallery.cost == ()
    assert {item.title: item.reason for item in gallery.left_out} == {
        "configurations over seeds": findings.absent["repeats"],
        "importance of the parameters": findings.absent["importance"],
        "metric against cost": findings.absent["fronts"],
    }


def test_figures_are_sound_svg_with_the_words_as_text(drawn: tuple[figures.Figure, ...]) -> None:
    assert "valid/mcc" in words(named(drawn, "best-so-far"))
    assert any("light-sweep-" in word for word in words(named(drawn, "learning-curves")))
    assert "unacceptable" in words(named(drawn, "confusion-matrix"))
    assert {"lr", "batch_size", "checkpoint", "valid/mcc"} <= set(words(named(drawn, "parallel")))


def test_each_figure_says_in_one_line_what_it_shows_and_of_how_many(drawn: tuple[figures.Figure, ...]) -> None:
    for figure in drawn:
        assert re.fullmatch(r"[^\n]+\.", figure.caption), figure.name
        if figure.name not in ("losses", "learning-curves", "parallel"):
            assert re.search(r"\b(9|60)\b", figure.caption), figure.caption


def test_figures_repeat_byte_for_byte(findings: Findings, drawn: tuple[figures.Figure, ...]) -> None:
    assert runs.losses(findings) == named(drawn, "losses")
    assert parallel.parallel(findings) == named(drawn, "parallel")
    assert not any(re.search(r"<dc:date>|\b20\d\d-\d\d-\d\d", figure.svg) for figure in drawn)


def test_the_confusion_matrix_shows_counts_and_row_shares(
    findings: Findings, drawn: tuple[figures.Figure, ...]
) -> None:
    assert findings.predicted is not None
    tn, fp, fn, tp = findings.predicted.counts
    shown = {str(tn), str(fp), str(fn), str(tp), f"{tn / (tn + fp):.0%}", f"{tp / (tp + fn):.0%}"}
    assert shown <= set(words(named(drawn, "confusion-matrix")))


def test_the_interval_of_a_mean_is_that_of_student(findings: Findings) -> None:
    values = pd.Series([0.1, 0.4, 0.3, 0.2])
    low, high = scipy.stats.t.interval(0.95, 3, values.mean(), scipy.stats.sem(values))
    assert search.half_interval(values) == pytest.approx((high - low) / 2)
    assert np.isnan(search.half_interval(values[:1]))


def test_a_sweep_without_a_ranked_run_has_no_figure() -> None:
    gallery = figures.draw(find(empty()))
    assert gallery.figures == ()
    assert gallery.left_out[0].reason == "no run can be ranked"


def test_what_the_data_do_not_carry_is_left_out_with_the_reason(findings: Findings) -> None:
    swept = findings.results
    one = dataclasses.replace(
        swept, runs=swept.runs.head(1), histories=swept.histories.iloc[:0][["run", "epoch", "step"]], predictions={}
    )
    gallery = figures.draw(find(one))
    assert gallery.figures == ()
    assert {item.title for item in gallery.left_out} == {
        "progress of the search", "valid/mcc against lr", "valid/mcc against batch_size",
        "valid/mcc against checkpoint",
        "valid/mcc over two parameters", "parallel coordinates", "configurations over seeds", "learning curves",
        "losses of the winner", "importance of the parameters", "metric against cost", "confusion matrix of the winner",
        "confusion matrix of the runner-up", "calibration of the winner",
    }  # fmt: skip
    assert all(item.reason for item in gallery.left_out)


def test_one_parameter_has_no_map_and_no_parallel_coordinates(findings: Findings) -> None:
    alone = dataclasses.replace(findings, parameters=findings.parameters[:1])
    assert isinstance(search.parameter_map(alone), figures.LeftOut)
    assert isinstance(parallel.parallel(alone), figures.LeftOut)


def test_a_parameter_that_has_one_value_is_no_axis(findings: Findings) -> None:
    """As early in a sweep, or where all others failed."""
    swept = find(changed(findings.results, **{"config.batch_size": 32}))
    assert {"lr", "checkpoint"} <= set(words(drawn_map := search.parameter_map(swept))), drawn_map
    lines = parallel.parallel(swept)
    assert isinstance(lines, figures.Figure)
    assert "batch_size" not in words(lines)
    alone = find(changed(findings.results, **{"config.batch_size": 32, "config.checkpoint": "c"}))
    assert isinstance(search.parameter_map(alone), figures.LeftOut)


def test_two_categorical_parameters_make_a_grid_of_means(findings: Findings) -> None:
    runs = findings.results.runs.assign(**{"config.pooling": ["cls", "mean"] * 6})
    config = {**findings.results.config, "parameters": {"pooling": {"values": ["cls", "mean"]},
              "checkpoint": {"values": ["a", "b"]}}}  # fmt: skip
    swept = find(dataclasses.replace(findings.results, runs=runs, config=config))
    figure = search.parameter_map(swept)
    assert isinstance(figure, figures.Figure)
    cell = swept.ranked[(swept.ranked["config.pooling"] == "cls")]
    part = cell[cell["config.checkpoint"] == cell["config.checkpoint"].iloc[0]]
    assert {f"{part['best'].mean():.3f}", f"n = {len(part)}"} <= set(words(figure))


def test_repeated_configurations_are_drawn_run_by_run(findings: Findings) -> None:
    swept = changed(
        findings.results, **{"config.lr": [1e-5, 2e-5] * 6, "config.batch_size": 32, "config.checkpoint": "c"}
    )
    figure = search.seeds(find(swept))
    assert isinstance(figure, figures.Figure)
    assert "all 2 configurations run more than once (lr, batch_size, checkpoint)" in figure.caption
    assert "1e-5, 32, c" in words(figure)


def test_importance_is_drawn_with_its_whiskers_and_what_chance_gives(findings: Findings) -> None:
    table = pd.DataFrame({"name": ["lr", "pooling"], "share": [0.6, 0.1], "low": [0.4, 0.12], "high": [0.8, 0.3],
                          "chance": [0.2, 0.2]})  # fmt: skip
    found = importance.Importance(table, 40, 0.3, {})
    figure = drawn_importance(dataclasses.replace(findings, importance=found))
    assert isinstance(figure, figures.Figure)
    assert "over 40 runs" in figure.caption
    assert {"lr", "pooling", "share of the variance"} <= set(words(figure))


def test_the_pareto_front_names_its_runs_and_its_unit(findings: Findings) -> None:
    table = pd.DataFrame({"id": list("abcd"), "name": ["cheap", "good", "as good", "neither"],
                          "best": [0.1, 0.3, 0.3, 0.2], "cost": [1.0, 50.0, 50.0, 60.0],
                          "on_front": [True, True, True, False]})  # fmt: skip
    found = dataclasses.replace(findings, fronts=[pareto.Front("seconds", "training time", "s", table)])
    (figure,) = drawn_pareto(found)
    assert isinstance(figure, figures.Figure)
    assert "of 4 runs; the 3 on the line" in figure.caption
    assert figure.caption.endswith(" From the cheapest: 1 cheap, 2 good, 3 as good.")
    assert {"1", "2–3", "training time (s)"} <= set(words(figure)), "runs in one place share a text"


def test_names_with_markup_dollars_or_underscores_are_drawn_as_they_are(findings: Findings) -> None:
    name = "_<b>$x_1$</b> & co"
    hostile = find(changed(findings.results, name=name, **{"config.checkpoint": [name, "other"] * 6}))
    for figure in (runs.learning_curves(hostile), against(hostile, "checkpoint")):
        assert isinstance(figure, figures.Figure)
        assert name in words(figure)
        assert "<b>" not in figure.svg
    lines = parallel.parallel(hostile)
    assert isinstance(lines, figures.Figure)
    assert "<b>" not in lines.svg
    root = ElementTree.fromstring(lines.svg)
    titles = [element.text or "" for element in root.iter() if element.tag.endswith("title")]
    assert len(titles) == len(hostile.ranked)
    assert all(name in title for title in titles)


def test_a_null_is_one_of_the_choices_and_may_win(findings: Findings) -> None:
    winner = findings.ranked["id"].iloc[0]
    column = pd.Series([16, 32, 64] * 4).where(findings.results.runs["id"] != winner)
    figure = against(find(changed(findings.results, **{"config.batch_size": column})), "batch_size")
    assert isinstance(figure, figures.Figure)
    assert figure.caption.endswith("; the ringed run won.")
    assert [word for word in words(figure) if word in ("16", "32", "64", "–")] == ["16", "32", "64", "–"]


def test_no_run_is_ringed_where_the_winner_has_no_place_on_the_axis(findings: Findings) -> None:
    winner = findings.ranked["id"].iloc[0]
    column = findings.results.runs["config.lr"].where(findings.results.runs["id"] != winner)
    figure = against(find(changed(findings.results, **{"config.lr": column})), "lr")
    assert isinstance(figure, figures.Figure)
    assert figure.caption == "Best valid/mcc of each of 8 runs against lr on a logarithmic axis."


def test_a_parameter_that_no_ranked_run_has_is_not_drawn(findings: Findings) -> None:
    swept = find(changed(findings.results, **{"config.lr": float("nan")}))
    assert isinstance(against(swept, "lr"), figures.LeftOut)


def test_of_very_many_runs_the_best_and_an_even_choice_of_the_others_are_lines(findings: Findings) -> None:
    many = findings.ranked.iloc[np.arange(1000) % 9]
    kept = parallel._chosen(many.assign(place=range(1000)))
    assert len(kept) == parallel.MOST_LINES
    assert kept["place"].tolist()[:6] == [0, 1, 2, 3, 4, 5]
    assert kept["place"].iloc[-1] == 999


def test_inline_figures_share_no_id(drawn: tuple[figures.Figure, ...]) -> None:
    page = "".join(map(figures.inline, drawn))
    ids = re.findall(r'\bid="([^"]*)"', page)
    assert ids
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="|url\()#([^")]*)', page)
    assert used
    assert set(used) <= set(ids)
    assert "<?xml" not in page
    ElementTree.fromstring(f"<div>{page}</div>")


def test_every_colour_has_its_dark_variant(drawn: tuple[figures.Figure, ...]) -> None:
    rules = figures.dark_rules("figure")
    for figure in drawn:
        used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", figure.svg)) - {"#000000"}
        assert used <= set(style.DARK), figure.name
    for light, dark in style.DARK.items():
        assert f'figure [style*="stroke: {light}"]{{stroke:{dark}!important}}' in rules


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ink_is_readable_on_paper_and_on_the_strongest_shade(theme: str) -> None:
    def told(color: str) -> np.ndarray:
        return np.array(to_rgb(style.DARK[color] if theme == "dark" else color))

    paper = told(style.PAPER)
    shade = 0.55 * told(style.BLUE) + 0.45 * paper
    for back in (paper, shade):
        assert contrast(told(style.INK), back) >= 4.5
    for color in (style.BLUE, style.ORANGE, style.GREEN, style.PINK, style.BROWN):
        assert contrast(told(color), paper) >= 2.4, color


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_standalone_figures_bring_their_paper_and_their_dark_variant(drawn: tuple[figures.Figure, ...]) -> None:
    root = ElementTree.fromstring(figures.standalone(drawn[0]))
    assert "prefers-color-scheme:dark" in (root[0].text or "")
    assert root[1].attrib["style"] == "fill: #ffffff"
