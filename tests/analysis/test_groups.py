"""A run's predictions by group."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from cola_sweep import stats
from cola_sweep.analysis import groups


def predictions(n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    label = (rng.random(n) < 0.7).astype(int)
    predicted = np.where(rng.random(n) < 0.2, 1 - label, label)
    return pd.DataFrame({"label": label, "predicted": predicted, "domain": ["in", "out", "out"] * (n // 3)})


def test_groups_are_measured_apart_largest_first() -> None:
    rows = predictions()
    table = groups.by_group(rows, "domain")
    assert list(table) == ["domain", "n", "acceptable", "accuracy", "mcc", "low", "high", "note"]
    assert table[["domain", "n"]].to_numpy().tolist() == [["out", 40], ["in", 20]]
    out = rows[rows["domain"] == "out"]
    first = table.iloc[0]
    assert first["mcc"] == pytest.approx(matthews_corrcoef(out["label"], out["predicted"]))
    assert first["accuracy"] == (out["label"] == out["predicted"]).mean()
    assert first["acceptable"] == out["label"].mean()
    interval = stats.mcc_interval(stats.confusion(out["label"].to_numpy(), out["predicted"].to_numpy()))
    assert (first["low"], first["high"], first["note"]) == (interval.low, interval.high, "")


def test_rows_without_a_group_are_skipped() -> None:
    rows = predictions().assign(source=[None] * 30 + ["b"] * 30)
    assert groups.by_group(rows, "source")["n"].tolist() == [30]


@pytest.mark.parametrize(
    ("label", "predicted", "mcc", "note"),
    [
        ([1] * 20, [1, 0] * 10, np.nan, "only acceptable sentences"),
        ([1, 0, 0], [1, 0, 1], matthews_corrcoef([1, 0, 0], [1, 0, 1]), "fewer than 10 sentences"),
        ([1, 0] * 10, [1] * 20, 0.0, "one class is predicted"),
    ],
)
def test_a_group_without_an_interval_says_why(label: list[int], predicted: list[int], mcc: float, note: str) -> None:
    rows = pd.DataFrame({"label": label, "predicted": predicted, "source": "a"})
    row = groups.by_group(rows, "source").iloc[0]
    assert row["mcc"] == pytest.approx(mcc, nan_ok=True)
    assert row[["low", "high"]].isna().all()
    assert note in row["note"]


def test_sentences_are_binned_by_words_and_the_bins_keep_their_order() -> None:
    sentences = pd.Series([" ".join(["word"] * length) for length in [2, 3, 4, 5, 6, 7, 8, 9, 10, 25]])
    assert list(dict.fromkeys(groups.words(sentences))) == ["2 to 3", "4 to 5", "6 to 7", "8 to 9", "10 to 25"]
    rows = predictions(30).assign(words=groups.words(pd.Series(list(sentences)[::-1] * 3)))
    assert groups.by_group(rows, "words")["words"].tolist() == ["2 to 3", "4 to 5", "6 to 7", "8 to 9", "10 to 25"]


def test_sentences_of_one_length_are_one_bin() -> None:
    assert set(groups.words(pd.Series(["It rains.", "She left."]))) == {"2"}
