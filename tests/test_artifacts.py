"""What stays is decided here; the deleting itself is seen in tests/system/test_kept_models.py."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep import artifacts
from cola_sweep.artifacts import behind, is_outranked, is_protected, remove_surplus, sweep_metric, swept_score

MCC = ("valid/mcc", "maximize")
SCORES = st.lists(st.sampled_from([0.1, 0.2, 0.3, math.nan]) | st.floats(-1, 1), max_size=12)


def scores(values: list[float]) -> list[dict[str, float]]:
    return [{"valid/mcc": value} for value in values]


def test_the_best_stay_and_the_worst_go() -> None:
    assert behind(scores([0.1, 0.4, math.nan, 0.3, 0.2]), 2, *MCC) == [0, 2, 4]
    assert behind(scores([0.1, 0.4]), 1, "valid/mcc", "minimize") == [1]
    assert behind([{}, {"valid/mcc": -1.0}, {"valid/mcc": "much"}], 1, *MCC) == [0, 2]
    assert behind(scores([0.1]), 3, *MCC) == []


@given(SCORES, st.integers(1, 4), st.data())
def test_who_sees_only_some_of_the_trials_deletes_none_of_the_best(
    values: list[float], keep: int, data: st.DataObject
) -> None:
    """Trials end in any order, and each looks at those that have ended."""
    best = set(range(len(values))) - set(behind(scores(values), keep, *MCC))
    seen = sorted(data.draw(st.sets(st.sampled_from(range(len(values)))))) if values else []
    deleted = {seen[place] for place in behind(scores([values[place] for place in seen]), keep, *MCC)}
    assert len(seen) - len(deleted) == min(keep, len(seen))
    assert not deleted & best


@pytest.mark.parametrize(
    ("aliases", "links", "protected"),
    [(["best", "latest"], [], False), (["latest"], [], False), (["best", "champion"], [], True), ([], ["x"], True)],
)
def test_an_alias_of_somebody_elses_or_a_link_protects(aliases: list[str], links: list[str], protected: bool) -> None:
    assert is_protected(SimpleNamespace(aliases=aliases, linked_artifacts=links)) is protected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "metric"),
    [
        ({"metric": {"name": "valid/loss_epoch"}}, ("valid/loss_epoch", "minimize")),
        ({"metric": {"name": "valid/f1", "goal": "maximize"}}, ("valid/f1", "maximize")),
        ({}, MCC),
        ({"metric": None}, MCC),
    ],
)
def test_ranked_is_by_what_the_sweep_is_after(config: dict[str, Any], metric: tuple[str, str]) -> None:
    api: Any = SimpleNamespace(sweep=lambda path: SimpleNamespace(config=config))
    assert sweep_metric(api, SimpleNamespace(entity="e", project="p", sweep_id="s")) == metric  # type: ignore[arg-type]


def summary_run(summary: dict[str, Any]) -> Any:
    return SimpleNamespace(id="me", entity="e", project="p", sweep_id="s", summary=summary)


@pytest.mark.parametrize(
    ("goal", "logged", "score"),
    [
        ("minimize", {"train/loss_epoch": {"min": 0.2, "last": 0.3}}, {"train/loss_epoch": 0.2}),
        ("maximize", {"train/loss_epoch": {"min": 0.2, "last": 0.3}}, {"train/loss_epoch": 0.3}),
        ("minimize", {"train/loss_epoch": 7}, {"train/loss_epoch": 7}),
        ("minimize", {"train/loss_epoch": "NaN"}, {}),
        ("minimize", {"train/loss_epoch": {"min": math.nan, "last": 0.3}}, {"train/loss_epoch": 0.3}),
        ("minimize", {"train/loss_epoch": {"min": "NaN", "last": "NaN"}}, {}),
        ("minimize", {}, {}),
    ],
)
def test_a_model_is_ranked_by_what_its_sweep_is_after_whatever_that_is(
    monkeypatch: pytest.MonkeyPatch, goal: str, logged: dict[str, Any], score: dict[str, float]
) -> None:
    config = {"metric": {"name": "train/loss_epoch", "goal": goal}}
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(sweep=lambda path: SimpleNamespace(config=config)))
    assert swept_score(summary_run(logged)) == score


def test_a_model_that_cannot_be_deleted_keeps_no_other(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    deleted: list[str] = []

    def model(name: str, mcc: float) -> Any:
        def delete() -> None:
            if name == "second":
                raise ConnectionError("busy")
            deleted.append(name)

        collection = SimpleNamespace(delete=delete, artifacts=lambda: [])
        return SimpleNamespace(name=name, metadata={"valid/mcc": mcc}, collection=collection)

    models = [model("first", 0.9), model("second", 0.1), model("third", 0.2)]
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(sweep=lambda path: SimpleNamespace(config={})))
    monkeypatch.setattr(artifacts, "sweep_models", lambda api, run: models)
    remove_surplus(summary_run({}), 1)
    assert deleted == ["third"]
    (line,) = said
    assert line == "second is no longer among the best, and was not deleted: busy"


def test_a_server_that_refuses_is_a_warning_and_the_model_is_uploaded(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace())
    monkeypatch.setattr(wandb, "termwarn", said.append)
    run = summary_run({})
    assert is_outranked(run, {"valid/mcc": 0.5}, 1) is False
    remove_surplus(run, 1)
    assert len(said) == 2
