"""The annotated development set: made-up annotations, and the real ones where they are at hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from cola_sweep.analysis.phenomena import find_annotations, phenomena
from cola_sweep.errors import UserError

REAL = Path(__file__).parents[2] / "../shared/data/cola"


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    """Forty sentences; every second is a question, none an imperative; one is spelled otherwise than in the corpus."""
    rows = [f"gj04\tIn\t1\t{'The  End.' if n == 7 else f'sentence {n}.'}\t{n % 2}\t{int(n < 5)}\t0" for n in range(40)]
    folder = tmp_path / "corpus" / "analysis"
    folder.mkdir(parents=True)
    header = "Source\tDomain\tAcceptability\tSentence\tQuestion\tN, Adj\tImperative"
    (folder / "major_features.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "major_features.tsv"


def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    label = (rng.random(40) < 0.6).astype(int)
    predicted = np.where(rng.random(40) < 0.2, 1 - label, label)
    sentence = [f"Sentence {n}." for n in range(40)]
    return pd.DataFrame({"index": range(40), "sentence": sentence, "label": label, "predicted": predicted})


def found(rows: pd.DataFrame | None, path: Path | None) -> pd.DataFrame:
    table = phenomena(rows, path)
    assert isinstance(table, pd.DataFrame)
    return table


def test_sentences_are_measured_by_what_they_show_and_counted_for_each(annotations: Path) -> None:
    rows = predictions()
    table = found(rows, annotations)
    assert table[["phenomenon", "n"]].to_numpy().tolist() == [["Question", 20], ["N, Adj", 5]]
    questions = rows[rows["index"] % 2 == 1]
    assert table["mcc"].iloc[0] == pytest.approx(matthews_corrcoef(questions["label"], questions["predicted"]))
    assert table["note"].iloc[1] != ""


def test_rows_are_found_by_number_whatever_their_order_and_though_some_are_missing(annotations: Path) -> None:
    rows = predictions()
    pd.testing.assert_frame_equal(found(rows.sample(frac=1, random_state=1), annotations), found(rows, annotations))
    assert found(rows[rows["index"] >= 20], annotations)["n"].tolist() == [10]


@pytest.mark.parametrize("change", [{"sentence": "Another corpus."}, {"index": range(5, 45)}, {"index": "first"}])
def test_annotations_of_other_sentences_are_not_used(annotations: Path, change: dict[str, object]) -> None:
    assert "other sentences" in str(phenomena(predictions().assign(**change), annotations))


def test_without_annotations_or_predictions_the_reason_is_given(annotations: Path) -> None:
    assert "no annotated development set" in str(phenomena(predictions(), None))
    assert "not at hand" in str(phenomena(None, annotations))
    assert "not at hand" in str(phenomena(predictions().drop(columns="index"), annotations))


@pytest.mark.parametrize("text", ["", "a\tb\n1\t2\n", "Source\tDomain\tAcceptability\tSentence\tX\na\tIn\t1\ts\t7\n"])
def test_a_file_that_is_no_annotation_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "major_features.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be read as annotations"):
        phenomena(predictions(), path)


def test_annotations_are_found_in_the_option_the_data_or_the_corpus_folder(
    annotations: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COLA_SWEEP_DATA", raising=False)
    corpus = str(annotations.parents[1])
    for option in (str(annotations), str(annotations.parent), corpus):
        assert find_annotations(option) == annotations
    assert find_annotations(None, corpus) == annotations
    assert find_annotations(None, "auto") is None
    monkeypatch.setenv("COLA_SWEEP_DATA", corpus)
    assert find_annotations(None, "synthetic") == annotations
    monkeypatch.setattr("os.access", lambda *_: False)
    assert find_annotations(None, corpus) is None, "what nobody asked for is no mistake where it cannot be read"
    with pytest.raises(UserError, match=r"--annotations.*major_features\.tsv"):
        find_annotations(str(tmp_path / "nowhere"))


@pytest.mark.skipif(not (REAL / "analysis").is_dir(), reason="needs CoLA's annotations in ../shared/data/cola")
def test_the_real_annotations_are_of_the_real_development_set() -> None:
    columns = ["source", "label", "mark", "sentence"]
    dev = pd.read_csv(REAL / "dev.tsv", sep="\t", names=columns, quoting=3, keep_default_na=False)
    rows = dev.assign(index=range(len(dev)), predicted=1)
    table = found(rows, find_annotations(str(REAL)))
    assert len(table) == 15
    assert table.set_index("phenomenon").loc["Simple", "n"] == 87
