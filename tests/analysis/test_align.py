"""Tables of predictions brought into one order of sentences."""

import numpy as np
import pandas as pd
import pytest

from cola_sweep.analysis.align import align

TABLE = pd.DataFrame(
    {
        "index": [0, 1, 2, 3],
        "sentence": ["A cat sat.", "Cat a sat.", "It rains.", "Rains it do."],
        "label": [1, 0, 1, 0],
        "predicted": [1, 1, 0, 0],
        "probability": [0.9, 0.8, 0.3, 0.2],
        "domain": ["in", "in", "out", "out"],
    }
)


def test_rows_are_paired_by_sentence_whatever_their_order() -> None:
    other = TABLE.assign(predicted=[0, 1, 1, 0]).iloc[[2, 0, 3, 1]]
    aligned = align({"b": other, "a": TABLE}, ["a", "b", "no table"])
    assert aligned is not None
    assert (aligned.runs, aligned.left_out) == (("a", "b"), ())
    np.testing.assert_array_equal(aligned.labels, [1, 0, 1, 0])
    np.testing.assert_array_equal(aligned.predicted, [[1, 1, 0, 0], [0, 1, 1, 0]])
    assert list(aligned.sentences) == ["index", "sentence", "label", "domain"]


def test_a_sentence_that_occurs_twice_is_told_apart_by_its_row_number() -> None:
    twice = TABLE.assign(sentence="A cat sat.")
    aligned = align({"a": twice, "b": twice.iloc[::-1]}, ["a", "b"])
    assert aligned is not None
    np.testing.assert_array_equal(aligned.predicted[0], aligned.predicted[1])
    unnumbered = twice.drop(columns="index")
    without = align({"a": unnumbered, "b": unnumbered}, ["a", "b"])
    assert without is not None
    assert without.left_out == ("b",)


@pytest.mark.parametrize(
    "other",
    [
        TABLE.assign(sentence="Something else."),
        TABLE.assign(label=1 - TABLE["label"]),
        TABLE.head(3),
        TABLE.assign(index=0),
        TABLE.assign(index=[0, 1, 2, 9]),
        TABLE.drop(columns=["index", "sentence"]),
    ],
    ids=["other sentences", "other labels", "fewer", "numbered twice", "other numbers", "no key"],
)
def test_tables_about_other_sentences_are_left_out(other: pd.DataFrame) -> None:
    aligned = align({"a": TABLE, "b": other}, ["a", "b"])
    assert aligned is not None
    assert (aligned.runs, aligned.left_out) == (("a",), ("b",))


def test_the_first_run_with_a_table_sets_the_sentences_and_without_any_there_is_nothing() -> None:
    aligned = align({"b": TABLE, "a": TABLE.iloc[:0]}, ["a", "b"])
    assert aligned is not None
    assert aligned.runs == ("b",)
    assert align({}, ["a"]) is None
