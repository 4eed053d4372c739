"""BLiMP: does a trained model find the acceptable sentence of a minimal pair the more acceptable one?

Warstadt, Parrish, Liu, Mohananey, Peng, Wang and Bowman (2020), BLiMP: The Benchmark of Linguistic Minimal Pairs for
English, TACL 8: 67 paradigms of 1,000 generated pairs. A pair is right when the acceptable sentence has the larger
logit of "acceptable" less that of "unacceptable"; chance is 50 %.

    table = probe(Path("model"), Path("blimp"), pairs=100)

Imports pandas, `calibration` (the interval of a share) and the user error; torch and the model inside functions.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cola_sweep.analysis.calibration import wilson
from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from cola_sweep.model import AcceptabilityModel

PAIRS = 100  # of each paradigm: an interval of at most +-10 points, and about 13,000 short sentences in all
BATCH = 256
COLUMNS = ["UID", "pairID", "sentence_good", "sentence_bad"]
KINDS = ["UID", "field", "linguistics_term"]


def probe(model_folder: Path, blimp: Path, *, pairs: int = PAIRS) -> pd.DataFrame:
    """Accuracy by paradigm: `paradigm`, `field`, `term`, `n`, `right`, `accuracy`, `low`, `high` (95% Wilson interval).

    Args:
        model_folder: what `model.save_model` wrote, such as a run's model artifact.
        blimp: a folder with blimp_pairs.tsv.gz and paradigms.tsv.
        pairs: so many of each paradigm, the first by number. A pair with equal scores counts half.

    Raises:
        UserError: a file is missing or not as it must be, or the folder holds no model.
    """
    table = read_pairs(blimp, pairs)
    good, bad = np.split(_scores(model_folder, [*table["sentence_good"], *table["sentence_bad"]]), 2)
    return _summed(table.assign(right=np.where(good == bad, 0.5, good > bad)), ["field", "term", "paradigm"])


def by_term(probed: pd.DataFrame) -> pd.DataFrame:
    """The same by linguistic term, over its paradigms: `field`, `term`, `n`, `right`, `accuracy`, `low`, `high`."""
    return _with_share(probed.groupby(["field", "term"], sort=True)[["n", "right"]].sum().reset_index())


def read_pairs(blimp: Path, pairs: int) -> pd.DataFrame:
    """The first `pairs` of each paradigm, with `paradigm`, `field`, `term`, `sentence_good` and `sentence_bad`."""
    table, kinds = _read(blimp / "blimp_pairs.tsv.gz", COLUMNS), _read(blimp / "paradigms.tsv", KINDS)
    table = table.assign(pairID=pd.to_numeric(table["pairID"])).sort_values(["UID", "pairID"], kind="stable")
    table = table.groupby("UID", sort=False).head(pairs).merge(kinds[KINDS], on="UID", how="left").fillna("unknown")
    return table.rename(columns={"UID": "paradigm", "linguistics_term": "term"}).drop(columns="pairID")


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", quoting=3, keep_default_na=False, dtype=str, usecols=columns)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(
            "--blimp", got=str(path), rule=f"cannot be read ({reason})",
            fix="name the folder with blimp_pairs.tsv.gz and paradigms.tsv",
        ) from error  # fmt: skip


def _scores(model_folder: Path, sentences: list[str]) -> np.ndarray:
    """Logit of "acceptable" less that of "unacceptable", by sentence."""
    import torch

    from cola_sweep.checkpoints import load_tokenizer, resolve
    from cola_sweep.model import load_model

    model = load_model(model_folder)
    tokenizer = load_tokenizer(resolve(str(model_folder)))
    rows = tokenizer(sentences, truncation=True, max_length=model.config.max_length)
    order = np.argsort([len(row) for row in rows["input_ids"]], kind="stable")
    scores = np.empty(len(sentences))
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            picked = order[start : start + BATCH]
            scores[picked] = _batch_scores(model, tokenizer, {key: [rows[key][i] for i in picked] for key in rows})
    return scores


def _batch_scores(model: "AcceptabilityModel", tokenizer: Any, batch: dict[str, Any]) -> np.ndarray:
    logits = model(dict(tokenizer.pad(batch, return_tensors="pt")))
    return (logits[:, 1] - logits[:, 0]).numpy()


def _summed(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    sums = table.groupby(keys, sort=True)["right"].agg(n="size", right="sum").reset_index()
    return _with_share(sums)[["paradigm", "field", "term", "n", "right", "accuracy", "low", "high"]]


def _with_share(sums: pd.DataFrame) -> pd.DataFrame:
    low, high = wilson(sums["right"], sums["n"])
    return sums.assign(accuracy=sums["right"] / sums["n"], low=low, high=high)
