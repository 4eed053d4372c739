"""The alias, what of a sweep stands against its holder, and when the gate opens; against fakes of the API."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cola_sweep import champion, results, snapshot, stats
from cola_sweep.analysis import seeds
from cola_sweep.champion import Challenge
from cola_sweep.stats import Interval
from tests.fake_sweep import PATH, FakeApi, FakeModel, FakeModels, FakeRun, FakeSweep, fake_runs


def test_the_alias_moves_and_is_never_nowhere() -> None:
    old, new = FakeModel("model-a:v0", "best", "champion"), FakeModel("model-b:v1", "best")
    saved: list[tuple[list[str], list[str]]] = []
    for model in (old, new):
        model.save = lambda model=model: (  # type: ignore[method-assign,misc]
            FakeModel.save(model), saved.append((list(old.saved), list(new.saved)))
        )  # fmt: skip
    api = FakeModels(old, new, FakeModel("model-c:v0"))
    assert champion.holders(api, PATH) == {"model-a:v0": old}
    champion.crown(api, PATH, "model-b:v1")
    assert champion.holders(api, PATH) == {"model-b:v1": new}
    assert saved == [(["best", "champion"], ["best", "champion"]), (["best"], ["best", "champion"])]
    champion.crown(api, PATH, "model-b:v1")
    assert new.saved == ["best", "champion"]


def challenge(low: float, high: float, flattery: float | None = 0.0, *, tried: int = 3) -> Challenge:
    gap = Interval((low + high) / 2, low, high, 300)
    return Challenge(seeds.SeedComparison(gap, (0.5, 0.4), (3, 1), "", {}, {}), tried, flattery, True)


def ranked(*runs: tuple[str, float, float], seeds_swept: bool = False) -> Any:
    """As findings: runs by (id, lr, best), with the configurations that were repeated."""
    frame = pd.DataFrame(runs, columns=["id", "config.lr", "best"]).sort_values("best", ascending=False)
    frame = frame.reset_index(drop=True)
    repeats = seeds.repeats(frame, ["config.lr"], "maximize")
    return SimpleNamespace(
        ranked=frame,
        repeats=None if isinstance(repeats, str) else repeats,
        parameters=[SimpleNamespace(is_seed=False), *[SimpleNamespace(is_seed=True)] * seeds_swept],
        results=SimpleNamespace(metric="valid/mcc", predictions={}),
    )


def test_a_single_run_stands_for_its_configuration_where_none_was_repeated() -> None:
    assert champion.candidates(ranked(("a", 1e-5, 0.3), ("b", 2e-5, 0.5))) == [["b"], ["a"]]
    assert champion.candidates(ranked()) == []


def test_the_best_run_wins_where_repeats_are_chance() -> None:
    runs = [("a", 1e-5, 0.6), ("b", 1e-5, 0.1), ("c", 2e-5, 0.5), ("d", 2e-5, 0.5), ("e", 3e-5, 0.7)]
    assert champion.candidates(ranked(*runs)) == [["e"], ["a", "b"], ["c", "d"]]


def test_the_best_mean_wins_where_seeds_were_swept_and_one_left_of_failed_runs_cannot() -> None:
    runs = [("a", 1e-5, 0.6), ("b", 1e-5, 0.1), ("c", 2e-5, 0.5), ("d", 2e-5, 0.5), ("e", 3e-5, 0.7)]
    assert champion.candidates(ranked(*runs, seeds_swept=True)) == [["c", "d"], ["a", "b"]]


@pytest.fixture(scope="module")
def swept() -> tuple[FakeApi, list[FakeRun], snapshot.Snapshot]:
    """Sixteen ranked runs; each has a table of predictions, and ten are read in detail."""
    runs = fake_runs(sentences=200)
    api = FakeApi([FakeSweep()], runs)
    return api, runs, snapshot.take(api, PATH)


def of_sweep(taken: snapshot.Snapshot) -> Any:
    found = results.of(taken)
    board = stats.rank(found.runs, "maximize")
    return SimpleNamespace(ranked=board[board["rank"].notna()], repeats=None, parameters=[], results=found)


def by(run: FakeRun) -> Any:
    """A model, as `wandb` has it, that this run logged."""
    logged_by = SimpleNamespace(entity="ada", project="cola-sweep", sweep_name="k3x9a1bc", id=run.id)
    return SimpleNamespace(name=f"model-{run.id}:v0", logged_by=lambda: logged_by)


def test_a_champion_that_is_not_among_the_best_of_its_sweep_is_compared_all_the_same(
    swept: tuple[FakeApi, list[FakeRun], snapshot.Snapshot],
) -> None:
    api, runs, taken = swept
    found = of_sweep(taken)
    last = next(run for run in runs if run.id == found.ranked["id"].iloc[-1])
    assert last.id not in taken.tables
    result = champion.compare(api, found, by(last), None)
    assert isinstance(result, Challenge)
    assert (result.tried, result.compared.seeds) == (16, (1, 1))
    assert result.won
    assert result.flattery is not None
    assert result.difference.low == pytest.approx(result.compared.difference.low - result.flattery)


def test_what_the_choice_flatters_is_taken_off_before_the_gate_opens() -> None:
    """Runs that are all as good as the champion: the best of many beats it as measured, and does not pass."""
    rng = np.random.default_rng(4)
    labels = (rng.random(200) < 0.7).astype(int)
    right = rng.random((12, 200)) < 0.8
    values = [float(stats.mcc(stats.confusion(labels, np.where(row, labels, 1 - labels)))) for row in right]
    order = np.argsort(values)[::-1]
    tables = {
        f"r{place}": pd.DataFrame(
            {"index": range(200), "label": labels, "predicted": np.where(right[place], labels, 1 - labels)}
        )
        for place in order
    }
    found = ranked(*[(f"r{place}", float(place), values[place]) for place in order])
    found.results.predictions = tables
    flattery, complete = champion.flattery(found)
    assert complete
    assert flattery is not None
    assert flattery > 0.03
    low = 0.5 * flattery
    assert challenge(low, low + 0.2).won
    assert not challenge(low, low + 0.2, flattery).won


def test_where_nothing_was_chosen_or_not_by_mcc_nothing_is_taken_off() -> None:
    assert champion.flattery(ranked(("a", 1e-5, 0.3))) == (0.0, True)
    assert champion.flattery(ranked(("a", 1e-5, 0.3), ("b", 2e-5, 0.5))) == (None, False), "no predictions"
    found = ranked(("a", 1e-5, 0.3), ("b", 2e-5, 0.5))
    table = pd.DataFrame({"index": range(9), "label": [0, 1, 1] * 3, "predicted": [1, 1, 0] * 3})
    found.results = SimpleNamespace(metric="valid/loss_epoch", predictions={"a": table, "b": table})
    assert champion.flattery(found) == (None, False)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (challenge(0.1, 0.2), "MCC higher by 0.150 than that of the champion, m:v0 (95% interval of the difference "
         "+0.100 to +0.200; 3 runs against 1; 0.000 taken off for the choice of the best of 3)"),
        (challenge(-0.2, -0.1, None), "lower by 0.150 than .*flatters it by an amount that is not known"),
        (challenge(0.1, 0.2, 0.02), r"higher by 0.130 .*\+0.080 to \+0.180; .*0.020 taken off"),
        (challenge(0.1, 0.2, tried=1), "nothing was chosen"),
    ],
)  # fmt: skip
def test_the_comparison_says_what_was_taken_off(result: Challenge, words: str) -> None:
    line = champion.against(result, "m:v0")
    assert words in line or re.search(words, line), line


@pytest.mark.parametrize(
    ("models", "runs", "result", "code", "words"),
    [
        ([], ["a"], None, 0, "passed: no model of this project has the alias champion yet"),
        ([FakeModel("model-b:v0", "champion")], [], None, 1, "failed: no run of this sweep can be ranked"),
        ([FakeModel("model-a:v0", "champion")], ["a"], None, 0, "passed: the winner is the champion, model-a:v0"),
        ([FakeModel("model-b:v0", "champion")], ["a"], "no tables", 1, "failed: not comparable .*: no tables"),
        (
            [FakeModel("model-b:v0", "champion")],
            ["a"],
            challenge(0.1, 0.2),
            0,
            "passed: MCC higher by 0.150 .*\nrule: ",
        ),
        ([FakeModel("model-b:v0", "champion")], ["a"], challenge(0.1, 0.2, 0.11), 1, "failed: MCC higher by 0.040"),
    ],
)
def test_the_gate_opens_for_a_winner_that_beats_the_champion(
    monkeypatch: pytest.MonkeyPatch, models: list[FakeModel], runs: list[str], result: Any, code: int, words: str
) -> None:
    monkeypatch.setattr(champion, "candidates", lambda found: [runs] * bool(runs))
    monkeypatch.setattr(champion, "compare", lambda *_: result)
    source = SimpleNamespace(path=PATH, artifacts=({"run": "a", "type": "model", "name": "model-a:v0"},))
    got, line = champion.gate(FakeModels(*models), source, None, None)  # type: ignore[arg-type]
    assert got == code
    assert re.match(f"gate: {words}", line), line
