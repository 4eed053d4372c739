"""fANOVA against Optuna's on the same forest, and its honesty about noise."""

from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from cola_sweep.analysis import importance as module
from cola_sweep.analysis.importance import Importance, importance
from cola_sweep.analysis.swept import swept_parameters

SPACE: dict[str, Any] = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-6, "max": 1e-3},
    "batch_size": {"values": [16, 32, 64]},
    "checkpoint": {"values": ["a", "b", "c"]},
    "optimizer": {"parameters": {"decay": {"min": 0.0, "max": 0.1}}},
    "seed": {"values": [1, 2]},
}
CONFIG = {"parameters": SPACE}


def runs(n: int = 40) -> pd.DataFrame:
    """The value hangs on lr mostly, on the checkpoint a little, on nothing else."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "config.lr": 10 ** rng.uniform(-6, -3, n), "config.batch_size": rng.choice([16, 32, 64], n),
            "config.checkpoint": rng.choice(["a", "b", "c"], n), "config.optimizer.decay": rng.uniform(0, 0.1, n),
            "config.seed": rng.choice([1, 2], n),
        }
    )  # fmt: skip
    best = 0.5 - 0.1 * (np.log10(frame["config.lr"]) + 4.5) ** 2 + 0.1 * (frame["config.checkpoint"] == "c")
    return frame.assign(best=best + rng.normal(0, 0.01, n))


def found(frame: pd.DataFrame, config: dict[str, Any] = CONFIG) -> Importance:
    result = importance(frame, swept_parameters(config, frame))
    assert isinstance(result, Importance)
    return result


def test_shares_are_those_of_optunas_fanova() -> None:
    frame = runs(25)
    orders = {"config.batch_size": [16, 32, 64], "config.checkpoint": list(dict.fromkeys(frame["config.checkpoint"]))}
    distributions = {
        "lr": FloatDistribution(np.log(1e-6), np.log(1e-3)), "batch_size": FloatDistribution(-0.5, 2.5),
        "checkpoint": CategoricalDistribution((0, 1, 2)), "optimizer.decay": FloatDistribution(0, 0.1),
    }  # fmt: skip
    # Whole numbers as such would give the first and the last choice half the space of one between.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    for _, row in frame.iterrows():
        params = {
            "lr": float(np.log(row["config.lr"])), "optimizer.decay": row["config.optimizer.decay"],
            **{name.removeprefix("config."): order.index(row[name]) for name, order in orders.items()},
        }  # fmt: skip
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=row["best"]))
    axes = [module._axis(p, frame[p.column]) for p in swept_parameters(CONFIG, frame) if not p.is_seed]
    ordered = sorted((axis for axis in axes if not isinstance(axis, str)), key=lambda axis: axis.name)  # as Optuna does
    ours = module._shares(ordered, frame["best"].to_numpy(), 8, 3).mean(axis=0)
    theirs = optuna.importance.FanovaImportanceEvaluator(n_trees=8, seed=3).evaluate(study)
    assert dict(zip((axis.name for axis in ordered), ours, strict=True)) == pytest.approx(theirs)


def test_what_matters_stands_out_and_what_does_not_stays_below_chance() -> None:
    result = found(runs())
    pd.testing.assert_frame_equal(result.table, found(runs()).table)
    table = result.table.set_index("name")
    assert table.index.tolist()[:2] == ["lr", "checkpoint"]
    assert (table.loc[["lr", "checkpoint"], "share"] > table.loc[["lr", "checkpoint"], "chance"]).all()
    assert (table.loc[["batch_size", "optimizer.decay"], "share"] < table["chance"].min()).all()
    assert ((table["low"] <= table["share"]) & (table["share"] <= table["high"])).all()
    assert result.unexplained == pytest.approx(1 - table["share"].sum())
    assert (result.n, result.skipped) == (40, {})


def test_pure_noise_seldom_passes_for_importance() -> None:
    rng = np.random.default_rng(1)
    passed = 0
    for _ in range(4):
        frame = runs(15).assign(best=rng.normal(size=15))
        table = found(frame, {"parameters": {"lr": SPACE["lr"]}}).table
        passed += int((table["share"] > table["chance"]).sum())
    assert passed <= 1


def test_too_few_runs_are_told_and_not_guessed_from() -> None:
    frame = runs(15)
    assert importance(frame, swept_parameters(CONFIG, frame)) == (
        "15 ranked runs are too few for 4 parameters: it takes 16"
    )
    few = swept_parameters({"parameters": {"lr": SPACE["lr"]}}, frame)
    assert "it takes 10" in str(importance(frame.head(9), few))
    assert "same value" in str(importance(frame.assign(best=0.0), few))
    assert "no parameter differs" in str(importance(frame, []))


def test_parameters_that_are_not_in_every_run_are_skipped_with_the_reason() -> None:
    frame = runs()
    frame.loc[:4, "config.optimizer.decay"] = np.nan
    frame["config.batch_size"] = 32
    assert found(frame).skipped == {
        "batch_size": "it has the same value in all ranked runs",
        "optimizer.decay": "5 of 40 runs have no value of it",
    }


def test_values_outside_the_declared_bounds_widen_the_axis() -> None:
    frame = runs()
    frame.loc[0, "config.lr"] = 0.1
    assert found(frame).table["share"].between(0, 1).all()
    undeclared = found(frame, {"parameters": {"lr": {"distribution": "no such thing"}}})
    assert undeclared.table["name"].tolist() == ["lr"]
