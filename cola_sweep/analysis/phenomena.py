"""The winner's MCC by grammatical phenomenon, where the annotated development set of CoLA is at hand.

The annotations are Warstadt and Bowman's (2019), Linguistic Analysis of Pretrained Sentence Encoders with
Acceptability Judgments, arXiv:1901.03438: 15 major features, 0 or 1 for each of the 1,043 sentences in GLUE's order.
They may not be passed on with this project, as CoLA may not.

Imports the user error; pandas and `groups` inside the functions.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cola_sweep.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

FILE = "*major_features.tsv"
BESIDE = ["Source", "Domain", "Acceptability", "Sentence"]  # its columns that are no feature
FOLDER_VARIABLE = "COLA_SWEEP_DATA"
SAME_SHARE = 0.95  # five sentences of the annotations are spelled otherwise than GLUE's


def find_annotations(option: str | None, data: str | None = None) -> Path | None:
    """The file of annotations: `option`, a file or folder, else what lies in a corpus folder; None if there is none.

    Args:
        option: what the user named; must hold it.
        data: the `data` setting of the trials; then the folder in COLA_SWEEP_DATA is looked into.

    Raises:
        UserError: `option` holds none.
    """
    if option:
        if found := _in_folder(Path(option).expanduser()):
            return found
        rule, fix = "holds no major_features.tsv", "name the file, or the folder it lies in"
        raise UserError("--annotations", got=option, rule=rule, fix=fix)
    for place in (data, os.environ.get(FOLDER_VARIABLE)):
        folder = Path(place or "").expanduser()
        if place and folder.is_dir() and (found := _in_folder(folder)) and os.access(found, os.R_OK):
            return found
    return None


def _in_folder(place: Path) -> Path | None:
    if place.is_file():
        return place
    return next((path for folder in (place, place / "analysis") for path in sorted(folder.glob(FILE))), None)


def phenomena(predictions: "pd.DataFrame | None", path: Path | None) -> "pd.DataFrame | str":
    """`groups.MEASURES` of the sentences with each feature, most first, under `phenomenon`; or why there are none.

    A sentence has any number of features. The labels are those of the predictions.

    Args:
        predictions: with `index`, the row in the development set, `sentence`, `label` and `predicted`.

    Raises:
        UserError: the file cannot be read as annotations.
    """
    import pandas as pd

    from cola_sweep.analysis.groups import measured

    if path is None:
        return "no annotated development set (major_features.tsv) is at hand"
    if predictions is None or not {"index", "sentence"} <= set(predictions):
        return "the winner's predictions are not at hand, or do not say of which rows they are"
    features = _read(path)
    rows = pd.to_numeric(predictions["index"], errors="coerce").fillna(-1).astype(int)
    if not rows.between(0, len(features) - 1).all() or _same(predictions, features.iloc[rows]) < SAME_SHARE:
        return "the annotations are of other sentences than those of this sweep"
    marks = features.drop(columns=BESIDE).iloc[rows].set_axis(predictions.index).astype(int) == 1
    table = measured(((name, predictions[marks[name]]) for name in marks if marks[name].any()), "phenomenon")
    return table.sort_values(["n", "phenomenon"], ascending=[False, True], kind="stable").reset_index(drop=True)


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        table = pd.read_csv(path, sep="\t", quoting=3, keep_default_na=False)
        features = table.drop(columns=BESIDE)
        if features.empty or not features.isin([0, 1]).all(axis=None):
            raise ValueError("its features must be 0 or 1")
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0].strip("\"'")
        raise UserError(
            "--annotations", got=str(path), rule=f"cannot be read as annotations of CoLA ({reason})",
            fix="take major_features.tsv as Warstadt and Bowman published it",
        ) from error  # fmt: skip
    return table


def _same(predictions: "pd.DataFrame", features: "pd.DataFrame") -> float:
    """The share of sentences that are the same but for case and spaces."""
    ours, theirs = (
        frame.str.lower().str.split().str.join(" ").to_numpy()
        for frame in (predictions["sentence"], features["Sentence"])
    )
    return float((ours == theirs).mean())
