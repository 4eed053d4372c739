"""Sentences all of the best runs get wrong, and those that tell winner and runner-up apart."""

import dataclasses

import numpy as np
import pandas as pd

from cola_sweep.analysis.align import Aligned
from cola_sweep.analysis.mistakes import Mistakes, mistakes

SENTENCES = pd.DataFrame({"index": range(4), "sentence": list("WXYZ"), "label": [1, 0, 1, 0], "extra": 0})
ALIGNED = Aligned(
    ("a", "b", "c"), SENTENCES, np.array([1, 0, 1, 0]), np.array([[1, 1, 0, 0], [1, 0, 0, 1], [1, 0, 0, 0]])
)
RANKED = pd.DataFrame({"id": ["a", "b", "c", "d"]})


def test_sentences_wrong_in_every_run_and_sentences_that_tell_the_two_best_apart() -> None:
    found = mistakes(ALIGNED, RANKED)
    assert isinstance(found, Mistakes)
    assert (found.k, found.n) == (3, 4)
    assert found.always_wrong.to_dict("records") == [{"index": 2, "sentence": "Y", "label": 1}]
    assert found.differing.to_dict("records") == [
        {"index": 1, "sentence": "X", "label": 0, "winner": 1, "runner_up": 0, "right": "runner-up"},
        {"index": 3, "sentence": "Z", "label": 0, "winner": 0, "runner_up": 1, "right": "winner"},
    ]


def test_a_third_run_does_not_stand_in_for_the_runner_up() -> None:
    found = mistakes(dataclasses.replace(ALIGNED, runs=("a", "c", "d")), RANKED)
    assert isinstance(found, Mistakes)
    assert found.differing.empty
    assert list(found.differing) == ["index", "sentence", "label", "winner", "runner_up", "right"]


def test_one_run_alone_has_no_mistakes_in_common() -> None:
    assert "fewer than two" in str(mistakes(None, RANKED))
    alone = dataclasses.replace(ALIGNED, runs=("a",), predicted=ALIGNED.predicted[:1])
    assert "fewer than two" in str(mistakes(alone, RANKED))
