"""What is said where configurations were repeated over seeds, and how much the choice of the best flatters."""

import dataclasses

import pandas as pd
import pytest

from cola_sweep import results
from cola_sweep.analysis.selection import Optimism
from cola_sweep.findings import Findings, find
from cola_sweep.reporting import answer
from cola_sweep.reporting.document import Table, Text
from cola_sweep.reporting.evidence import evidence
from cola_sweep.stats import Interval
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeSweep, fake_runs


@pytest.fixture(scope="module")
def findings(few_shuffles: None) -> Findings:
    """Two learning rates, two seeds each."""
    parameters = {"lr": {"values": [1e-4, 5e-5]}, "seed": {"values": [1, 2]}}
    runs = fake_runs(5, sentences=80)
    runs.pop(3)  # the one that predicts a single class
    for place, run in enumerate(runs):
        run.state = "finished"
        run.config.update(lr=[1e-4, 5e-5][place // 2], seed=place % 2 + 1)
    return find(results.read(FakeApi([FakeSweep(config={**CONFIG, "parameters": parameters})], runs), PATH))


def test_repeated_configurations_are_answered_by_their_means(findings: Findings) -> None:
    assert findings.repeats is not None
    assert findings.seed_comparison is not None
    best = findings.repeats.table.iloc[0]
    assert answer.which(findings).answer == f"lr {'1e-4' if best['config.lr'] == 1e-4 else '5e-5'}"
    good = answer.how_good(findings)
    assert (good.question, good.answer) == ("Mean valid/mcc over 2 seeds", f"{best['mean']:.3f}")
    assert any(detail.startswith("Best single run: ") for detail in good.details)
    sure = answer.how_sure(findings)
    assert sure.answer.endswith("the next configuration") or sure.answer.startswith("No: ")
    assert "; 2 runs each, 80 sentences." in sure.details[0]
    expected = next(detail for detail in good.details if "On new sentences" in detail)
    assert " of that run (" in expected, "the mean over seeds is another number"


@pytest.mark.parametrize(("name", "said"), [("lr", 1), ("checkpoint", 0), ("encoder.checkpoint", 0)])
def test_a_checkpoint_that_was_searched_is_among_the_settings_alone(findings: Findings, name: str, said: int) -> None:
    (swept, *others) = findings.parameters
    renamed = dataclasses.replace(findings, parameters=[dataclasses.replace(swept, name=name), *others])
    assert [fact for fact, _ in answer.which(renamed).facts].count("checkpoint") == said


def test_a_winner_that_was_run_once_is_answered_for_itself(findings: Findings) -> None:
    assert findings.repeats is not None
    table = findings.repeats.table.assign(n=1)
    once = dataclasses.replace(findings, repeats=dataclasses.replace(findings.repeats, table=table))
    assert answer.best_over_seeds(once) is None
    assert answer.how_good(once).question == "Best valid/mcc"


@pytest.mark.parametrize(("low", "rank"), [(0.01, "Winning"), (-0.01, "Leading")])
def test_a_lead_that_may_be_chance_is_no_win(findings: Findings, low: float, rank: str) -> None:
    assert findings.seed_comparison is not None
    gap = Interval(0.05, low, 0.1, 80)
    found = dataclasses.replace(findings.seed_comparison, difference=gap, seeds=(3, 2))
    told = dataclasses.replace(findings, seed_comparison=found)
    assert answer.which(told).question == f"{rank} configuration"
    assert answer.how_sure(told).details[0].endswith("; 3 runs against 2, 80 sentences.")


def test_the_evidence_says_each_rule_and_each_n(findings: Findings) -> None:
    blocks = list(evidence(findings))
    tables = {block.title: block for block in blocks if isinstance(block, Table)}
    assert tables["Configurations over seeds"].rows[0][-1] == "2"
    assert "degrees of freedom" in tables["Configurations over seeds"].note
    rivals = tables["The winning run against the next best"]
    assert len(rivals.rows) == 3
    assert "On the same 80 validation sentences" in rivals.note
    assert findings.rivals[0].comparison.rule in rivals.note
    texts = [block.text for block in blocks if isinstance(block, Text)]
    assert findings.seed_comparison is not None
    assert any(findings.seed_comparison.rule in text for text in texts)


@pytest.mark.parametrize(
    ("naive", "complete", "said"), [(0.35, True, "0.050"), (0.35, False, "at least 0.050"), (0.3, True, "less than")]
)
def test_the_choice_of_the_best_is_told_with_its_bound(naive: float, complete: bool, said: str) -> None:
    found = Optimism(naive, Interval(0.3, 0.2, 0.4, 80), pd.DataFrame(columns=["id", "name", "share"]), 4, 4, complete)
    assert answer.flattery(found).startswith(said)
