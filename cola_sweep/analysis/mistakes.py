"""Single sentences: those that all of the best runs get wrong, and those on which winner and runner-up differ.

Imports numpy, pandas and `align`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cola_sweep.analysis.align import Aligned

BEST = 10
SHOWN = ("index", "sentence", "label", "source", "domain")


@dataclass(frozen=True)
class Mistakes:
    """Sentences, in the order of the validation split; labels and predictions are 0 and 1.

    Attributes:
        always_wrong: what all of the best `k` runs get wrong: `SHOWN`, as far as the tables have them.
        differing: where the two best runs disagree: `SHOWN`, then `winner` and `runner_up`, their predictions, and
            `right`, which of the two that is. Empty where the runner-up's predictions are not at hand.
        n: sentences in all.
    """

    k: int
    n: int
    always_wrong: pd.DataFrame
    differing: pd.DataFrame


def mistakes(aligned: Aligned | None, ranked: pd.DataFrame) -> Mistakes | str:
    """The best runs' mistakes in common and apart, or why they cannot be told.

    Args:
        aligned: predictions of the best runs, best first.
        ranked: all ranked runs, best first, with `id`.
    """
    if aligned is None or len(aligned.runs) < 2:
        return "the predictions of fewer than two of the best runs are at hand"
    shown = aligned.sentences[[name for name in SHOWN if name in aligned.sentences]]
    predicted = aligned.predicted[:BEST]
    wrong = (predicted != aligned.labels).all(axis=0)
    # Only the two best: a third in place of an absent runner-up would go by its name.
    apart = predicted[0] != predicted[1] if aligned.runs[:2] == tuple(ranked["id"].head(2)) else np.zeros_like(wrong)
    winner, runner_up = predicted[0][apart], predicted[1][apart]
    right = np.where(winner == aligned.labels[apart], "winner", "runner-up")
    return Mistakes(
        k=len(predicted),
        n=len(aligned.labels),
        always_wrong=shown[wrong].reset_index(drop=True),
        differing=shown[apart].assign(winner=winner, runner_up=runner_up, right=right).reset_index(drop=True),
    )
