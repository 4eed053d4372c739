"""The benchmark of the training, at tiny sizes."""

import re
from pathlib import Path

import pytest
import torch

from cola_sweep.config import TrialConfig
from cola_sweep.corpus import load_corpus
from tests.benchmarks import fits, training
from tests.benchmarks.setting import Setting, judged, ratio

pytestmark = [
    # Lightning 2.6 still asks torch 2.13 in the old way what a leaf is.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
    # Its hints: no validation is meant, and the tutorial's two workers are what is measured.
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
]


@pytest.fixture
def setting(tiny_corpus: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    for module in ("setting", "training"):  # the tiny encoder has 32 places
        monkeypatch.setattr(f"tests.benchmarks.{module}.TUTORIAL_LENGTH", 20)
    config = TrialConfig(checkpoint=str(tiny_checkpoint), data=str(tiny_corpus), batch_size=8, max_length=16)
    return Setting(load_corpus(str(tiny_corpus)), config)


def test_each_way_trains_an_epoch_and_knows_its_padding(setting: Setting) -> None:
    rows = training.batching(setting, turns=1, steps=2)
    ours, *others = (row for row in rows if row.what.startswith("CPU of an epoch"))
    shares = [float(re.search(r"([\d.]+)% real", row.got)[1]) for row in (ours, *others)]  # type: ignore[index]
    assert shares[0] > shares[1] == shares[3] > shares[2] == shares[4]
    targets = [row.target for row in rows if row.what == "  over ours"]
    assert [target.split(":")[0] for target in targets] == [">= 1.6", ">= 6", "", ""]


def test_the_second_reading_of_the_tokens_is_the_cheaper_one(setting: Setting) -> None:
    cpu, _ = training.tokens(setting, turns=1)
    first, later = re.findall(r"\d+\.\d+", cpu.got)
    assert float(later) < float(first) + 0.01


def test_the_validation_split_is_scored_both_ways(setting: Setting) -> None:
    _, row = training.scoring(setting, turns=1)
    assert float(row.got.split()[0]) > 0


def test_logging_is_measured_in_the_whole_tree_of_processes(setting: Setting) -> None:
    rows = fits.logging(setting, turns=1, steps=20, idle=0.1)
    assert [row.target.split(":")[0] for row in rows] == [""] * 5 + ["<= 3 %"]
    shown = r"-?[\d.]+ ms, (-?[\d.]+) \((-?[\d.]+) - (-?[\d.]+)\) % of a step"
    for row in rows[1:]:
        share, least, most = map(float, re.fullmatch(shown, row.got).groups())  # type: ignore[union-attr]
        assert least <= share <= most


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Of what was to be compiled, in place of the compiler, which takes a minute."""
    asked: list[str | None] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, *, dynamic, mode: asked.append(mode))
    return asked


def test_a_gpus_epochs_are_timed_by_fits_that_run_anywhere(setting: Setting, modes: list[str | None]) -> None:
    first, off, over, graphs, _ = fits.gpu(setting, turns=1, epochs=1, compiled=["off", "graphs"])
    assert first.what.endswith("the tutorial's way")
    assert off.what.endswith("ours, compile off")
    assert graphs.what.endswith("ours, compile graphs")
    assert modes == ["reduce-overhead"]
    assert float(over.got.split()[0]) > 0


def test_what_is_compiled_is_counted_over_all_shapes_of_batches(setting: Setting, modes: list[str | None]) -> None:
    shapes, graphs, breaks, _, moved = (row.got for row in fits.compiling(setting))
    assert (shapes, graphs, breaks, moved) == ("1 / 1", "0 / 0", "0", "0.0e+00"), "nothing was compiled here"
    assert modes == [None]


def test_without_a_gpu_its_part_is_refused_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["training", "gpu"])
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        training.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: gpu: torch finds none on this machine")


def test_a_ratio_is_shown_with_its_spread_and_a_target_with_what_came_of_it() -> None:
    assert ratio([4.0, 9.0, 2.0], [2.0, 3.0, 2.0]) == "2.00 (1.00 - 3.00)"
    assert [judged(">= 6", met) for met in (True, False)] == [">= 6: met", ">= 6: MISSED"]
