"""The probe with minimal pairs: a tiny model whose answer is known, and the real pairs where they are at hand."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
import torch
from scipy import stats as scipy_stats

from cola_sweep.analysis.blimp import by_term, probe, read_pairs
from cola_sweep.checkpoints import load_encoder, load_tokenizer, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.model import AcceptabilityModel, load_model, save_model

REAL = Path(__file__).parents[2] / "../shared/data/cola/blimp"
PAIRS = [
    ("agreement", 0, "the cat sees the dog .", "the dog sees"),
    ("agreement", 1, "a dog sees the cat", "the cat sees the dog . the cat"),
    ("agreement", 10, "the cat", "the dog"),
    ("agreement", 2, "sees the cat", "sees the cat"),
    ("island", 0, "the dog .", "the dog sees the cat ."),
]


@pytest.fixture(scope="module")
def blimp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blimp")
    rows = ["UID\tpairID\tsentence_good\tsentence_bad", *("\t".join(map(str, pair)) for pair in PAIRS)]
    with gzip.open(folder / "blimp_pairs.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
    kinds = "UID\tfield\tlinguistics_term\nagreement\tmorphology\tnumber\nisland\tsyntax\tislands\n"
    (folder / "paradigms.tsv").write_text(kinds, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def model_folder(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    checkpoint = resolve(str(tiny_checkpoint))
    torch.manual_seed(0)
    model = AcceptabilityModel(load_encoder(checkpoint), TrialConfig(max_length=8))
    save_model(model, load_tokenizer(checkpoint), folder)
    return folder


def test_a_pair_is_right_when_the_model_prefers_the_acceptable_sentence(model_folder: Path, blimp: Path) -> None:
    table = probe(model_folder, blimp, pairs=3).set_index("paradigm")
    model, tokenizer = load_model(model_folder), load_tokenizer(resolve(str(model_folder)))

    def score(sentence: str) -> float:
        with torch.inference_mode():
            logits = model(tokenizer([sentence], return_tensors="pt", truncation=True, max_length=8))
        return float(logits[0, 1] - logits[0, 0])

    right = [float(score(good) > score(bad)) for name, number, good, bad in PAIRS if name == "agreement" and number < 2]
    assert table.loc["agreement", ["n", "right"]].tolist() == [3, sum(right) + 0.5]  # equal sentences count half
    assert table.loc["island", ["field", "term", "n"]].tolist() == ["syntax", "islands", 1]
    interval = scipy_stats.binomtest(int(table.loc["island", "right"]), 1).proportion_ci(0.95, method="wilson")
    assert table.loc["island", ["low", "high"]].tolist() == pytest.approx([interval.low, interval.high])


def test_paradigms_add_up_to_their_term() -> None:
    probed = pd.DataFrame(
        {"paradigm": list("abc"), "field": "syntax", "term": ["x", "x", "y"], "n": [10, 30, 10], "right": [5, 27, 9]}
    )
    assert by_term(probed)[["term", "n", "accuracy"]].to_numpy().tolist() == [["x", 40, 0.8], ["y", 10, 0.9]]


def test_the_first_pairs_by_number_are_taken(blimp: Path) -> None:
    assert read_pairs(blimp, 3)["sentence_good"].tolist() == [PAIRS[place][2] for place in (0, 1, 3, 4)]


def test_a_folder_without_pairs_is_refused(tmp_path: Path, blimp: Path) -> None:
    with pytest.raises(UserError, match=r"--blimp.*blimp_pairs\.tsv\.gz"):
        read_pairs(tmp_path, 1)
    (tmp_path / "blimp_pairs.tsv.gz").write_bytes((blimp / "blimp_pairs.tsv.gz").read_bytes()[:40])
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(tmp_path, 1)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs BLiMP in ../shared/data/cola/blimp")
def test_the_real_pairs_are_read_whole() -> None:
    table = read_pairs(REAL, 2)
    assert len(table) == 2 * 67
    assert table["term"].nunique() == 13
    assert not table.isna().any(axis=None)
