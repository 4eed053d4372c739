"""`cola-sweep report` as a command: what it prints, and when it makes a report anew."""

import argparse
import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cola_sweep import champion, connection, report, results
from cola_sweep.analysis import blimp
from cola_sweep.errors import UserError
from tests.fake_sweep import PATH, FakeApi, FakeSweep, fake_runs

pytestmark = pytest.mark.usefixtures("few_shuffles")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None) -> Callable[..., str]:
    """`cola-sweep report k3x9a1bc`, from a server of its own; returns what it printed but the path."""
    runs = fake_runs(6, sentences=60)
    monkeypatch.setattr(connection, "connect", lambda: FakeApi([FakeSweep()], runs))
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)

    def run(*flags: str) -> str:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            assert report.main(parser.parse_args(["k3x9a1bc", "--out", str(tmp_path / "out"), *flags])) == 0
        *lines, last = said.getvalue().splitlines()
        assert last == str(tmp_path / "out" / "k3x9a1bc" / "index.html")
        return "\n".join(lines)

    return run


def test_the_command_prints_the_best_three_and_the_path(command: Callable[[], str]) -> None:
    lines = command().splitlines()
    assert [line[:2] for line in lines] == ["1.", "2.", "3."]
    assert re.fullmatch(r"1\. valid/mcc 0\.\d{3}  lr=\S+ batch_size=\d+ checkpoint=\S+  light-sweep-\d+", lines[0])


def test_a_report_is_made_again_only_if_something_changed(command: Callable[[], str], tmp_path: Path) -> None:
    said, index = command(), tmp_path / "out" / "k3x9a1bc" / "index.html"
    page, made = index.read_bytes(), index.stat().st_ino
    assert command() == said
    assert index.stat().st_ino == made
    index.write_bytes(b"edited")
    assert command() == said
    assert index.read_bytes() == page


def test_annotated_sentences_are_reported_and_part_of_what_a_report_is_made_of(
    command: Callable[..., str], tmp_path: Path
) -> None:
    file, made = tmp_path / "major_features.tsv", tmp_path / "out" / "k3x9a1bc" / "by-phenomenon.csv"
    command()
    assert not made.exists()
    swept = results.read(FakeApi([FakeSweep()], fake_runs(6, sentences=60)), PATH)
    sentences = next(iter(swept.predictions.values())).sort_values("index")["sentence"]
    for feature in ("Question", "Adjunct"):
        rows = [f"s\tin\t1\t{sentence}\t1" for sentence in sentences]
        file.write_text("\n".join([f"Source\tDomain\tAcceptability\tSentence\t{feature}", *rows, ""]))
        command("--annotations", str(file))
        assert made.read_text().splitlines()[1].startswith(f"{feature},60,")
    with pytest.raises(UserError, match="--annotations"):
        command("--annotations", str(tmp_path / "out"))
    (tmp_path / "unreadable" / "major_features.tsv").mkdir(parents=True)
    with pytest.raises(
        UserError, match=r"--annotations: got '.*/major_features\.tsv'; cannot be read \(Is a directory"
    ):
        command("--annotations", str(tmp_path / "unreadable"))


def test_what_was_edited_by_hand_is_seen_when_read_afresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_figures: None
) -> None:
    runs = fake_runs(4, sentences=60)
    monkeypatch.setattr(connection, "connect", lambda: FakeApi([FakeSweep()], runs))
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)

    def page(*flags: str) -> str:
        assert report.main(parser.parse_args(["k3x9a1bc", "--out", str(tmp_path), *flags])) == 0
        return (tmp_path / "k3x9a1bc" / "index.html").read_text()

    first = page()
    for run in runs:
        run.config["lr"] = 0.125
    assert page() == first, "nothing of a run that W&B lists has changed"
    assert "0.125" in page("--fresh")
    assert "0.125" in page(), "what was read afresh is kept"


def test_the_winners_model_is_probed_once(
    command: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def probe(model: Path, blimp: Path, *, pairs: int) -> pd.DataFrame:
        asked.append((model.name, pairs))
        numbers = {"n": [pairs], "right": [1.0], "accuracy": [0.5], "low": [0.1], "high": [0.9]}
        return pd.DataFrame({"paradigm": ["island"], "field": ["syntax"], "term": ["islands"], **numbers})

    monkeypatch.setattr(champion, "model_of", lambda taken, runs: "model-x:v0")
    monkeypatch.setattr(champion, "download_model", lambda api, path, folder: Path(path))
    monkeypatch.setattr(blimp, "probe", probe)
    command()
    for _ in range(2):
        command("--blimp", str(tmp_path / "pairs"), "--pairs", "2")
    assert asked == [("model-x:v0", 2)]
    assert (
        (tmp_path / "out" / "k3x9a1bc" / "blimp.csv").read_text().splitlines()[1].startswith("island,syntax,islands,2,")
    )


def test_the_flags_cost_no_heavy_import() -> None:
    code = "import sys, cola_sweep.report; print({'pandas', 'matplotlib', 'wandb', 'jinja2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
