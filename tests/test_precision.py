"""The choice of a precision, with the clock in the test's hand: nothing here depends on what this machine can do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, DistilBertConfig, MPNetConfig

from cola_sweep import precision
from cola_sweep.precision import Choice, Probe, choose

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
BERT = BertConfig(num_hidden_layers=2, pad_token_id=40, **SIZES)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **_: None)
    return tmp_path / "cache"


def measured(monkeypatch: pytest.MonkeyPatch, *probes: Probe) -> list[Any]:
    """Let the next measurements give these; the list fills with what was measured."""
    asked: list[Any] = []

    def measure(*about: Any) -> Probe:
        asked.append(about)
        return probes[len(asked) - 1]

    monkeypatch.setattr(precision, "measure", measure)
    return asked


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_what_is_asked_for_is_not_probed(wanted: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch)
    assert choose(wanted, BERT, 8) == Choice(wanted)
    assert asked == []


@pytest.mark.parametrize(
    ("fp32_ms", "bf16_ms", "wanted"), [(10, 5, "bf16"), (12, 10, "bf16"), (11.9, 10, "fp32"), (10, 500, "fp32")]
)
def test_bf16_needs_a_clear_gain(fp32_ms: float, bf16_ms: float, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, Probe(fp32_ms, bf16_ms))
    assert choose("auto", BERT, 8).name == wanted


def test_all_trials_on_a_machine_follow_the_first_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, Probe(12.0, 10.0), Probe(11.9, 10.0), Probe(1.0, 1.0))
    assert choose("auto", BERT, 8) == choose("auto", BERT, 8) == Choice("bf16", Probe(12.0, 10.0))
    assert len(asked) == 1
    assert choose("auto", BertConfig(**SIZES | {"hidden_size": 32}), 8).name == "fp32", "another encoder"
    assert len(asked) == 2


def test_of_two_trials_that_measure_at_once_both_follow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    others = []

    def measure(*_: Any) -> Probe:
        monkeypatch.setattr(precision, "measure", lambda *_: Probe(12.0, 10.0))
        others.append(choose("auto", BERT, 8))  # begins later and ends sooner
        return Probe(11.9, 10.0)

    monkeypatch.setattr(precision, "measure", measure)
    assert [choose("auto", BERT, 8)] == others


@pytest.mark.parametrize("content", ["", "{}", '{"fp32_ms": 1'])
def test_a_cache_that_cannot_be_used_does_no_harm(content: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, Probe(9.0, 3.0), Probe(9.0, 2.0), Probe(9.0, 3.0))
    choose("auto", BERT, 8)
    (file,) = cache.rglob("*.json")
    file.write_text(content)
    assert choose("auto", BERT, 8) == choose("auto", BERT, 8) == Choice("bf16", Probe(9.0, 2.0))
    assert len(asked) == 2, "what was damaged is written anew"
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(file))
    assert choose("auto", BERT, 8).name == "bf16"


def test_the_choice_names_what_it_rests_on() -> None:
    assert str(Choice("fp32")) == "fp32"
    assert str(Choice("fp32", Probe(1.234, 60))) == "fp32 (fp32 1.23 ms, bf16 60.00 ms)"
    assert Choice("bf16").facts() == {"precision": "bf16", "precision_probe": None}
    assert Choice("fp32", Probe(1.0, 6.0)).facts()["precision_probe"] == {"fp32_ms": 1.0, "bf16_ms": 6.0}


class Clock:
    """Work takes as many seconds as it is told for each precision; the time goes on with it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fp32: float, bf16: float) -> None:
        self.now, self.done = 0.0, 0
        self.seconds = {False: fp32, True: bf16}
        monkeypatch.setattr(precision.time, "process_time", lambda: self.now)
        monkeypatch.setattr(precision.time, "monotonic", lambda: self.now)

    def work(self) -> None:
        self.done += 1
        # The first turn of all warms up; the next is disturbed.
        extra = {1: 100.0, 3: 0.1}.get(self.done, 0.0)
        self.now += self.seconds[torch.is_autocast_enabled("cpu")] + extra


def test_turns_alternate_and_the_quickest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, fp32=0.03, bf16=0.02)
    probe = precision._compare(clock.work, torch.device("cpu"), seconds=0.4)
    assert (round(probe.fp32_ms, 3), round(probe.bf16_ms, 3)) == (30.0, 20.0)
    assert clock.now < 100.8, "no longer than it was given, and one turn"


@pytest.mark.parametrize(
    "encoder",
    [BERT, MPNetConfig(pad_token_id=1, **SIZES), DistilBertConfig(vocab_size=50, dim=16, n_heads=2, hidden_dim=32)],
    ids=["bert", "mpnet", "distilbert"],
)
def test_the_probe_trains_one_layer_of_the_encoder_and_leaves_the_seed_alone(
    encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    works: list[Callable[[], object]] = []

    def compare(work: Callable[[], object], device: torch.device, seconds: float) -> Probe:
        works.append(work)
        return Probe(1.0, 1.0)

    monkeypatch.setattr(precision, "_compare", compare)
    before, layers = torch.get_rng_state(), encoder.num_hidden_layers
    precision.measure(encoder, 4, torch.device("cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    assert encoder.num_hidden_layers == layers
    product, layer = works
    product()
    layer()


def test_a_device_without_the_instructions_is_told_by_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    works = []
    monkeypatch.setattr(precision, "_compare", lambda work, *_, **__: works.append(work) or Probe(1.0, 50.0))
    assert precision.measure(BERT, 4, torch.device("cpu")) == Probe(1.0, 50.0)
    assert len(works) == 1
