from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from cola_sweep.cost import Cost, EnergyMeter

NONE: Any = None  # the callback reads no trainer
MODULE: Any = torch.nn.Linear(3, 2)


def write_zone(powercap: Path, name: str, microjoules: int, wrap: int = 1_000_000_000) -> None:
    zone = powercap / name
    zone.mkdir(parents=True, exist_ok=True)
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text(f"{wrap}\n")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_packages_are_added_up_and_their_parts_are_not(tmp_path: Path) -> None:
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        write_zone(tmp_path, name, 0)
    meter = EnergyMeter(tmp_path)
    for name, used in (("intel-rapl:0", 3_000_000), ("intel-rapl:1", 4_000_000), ("intel-rapl:0:0", 2_000_000)):
        write_zone(tmp_path, name, used)
    meter.update()
    meter.update()
    assert meter.joules == pytest.approx(7.0)


def test_a_counter_that_wraps_goes_on(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", 9_000_000, wrap=10_000_000)
    meter = EnergyMeter(tmp_path)
    write_zone(tmp_path, "intel-rapl:0", 2_000_000, wrap=10_000_000)
    meter.update()
    assert meter.joules == pytest.approx(3.0)


def test_costs_of_a_fit(tmp_path: Path) -> None:
    write_zone(tmp_path, "intel-rapl:0", 0)
    clock = SimpleNamespace(now=100.0)
    cost = Cost(EnergyMeter(tmp_path), clock=lambda: clock.now)
    clock.now = 200.0
    cost.on_fit_start(NONE, MODULE)
    for size in (32, 32, 16):
        clock.now += 2.0
        cost.on_train_batch_end(NONE, NONE, None, {"labels": torch.zeros(size)}, 0)
    cost.on_validation_start(NONE, NONE)
    clock.now += 1.0  # of metrics and files, not of answers
    for size in (100, 50):
        cost.on_validation_batch_start(NONE, NONE, None, 0)
        clock.now += 1.5
        cost.on_validation_batch_end(NONE, NONE, None, {"labels": torch.zeros(size)}, 0)
    write_zone(tmp_path, "intel-rapl:0", 36_000_000)
    cost.on_validation_end(NONE, NONE)
    totals = cost.totals()
    assert totals["cost/seconds"] == pytest.approx(10.0)
    assert totals["cost/samples_per_second"] == pytest.approx(80 / 6)
    assert totals["cost/seconds_per_1000"] == pytest.approx(20.0)
    assert totals["cost/parameters"] == 8
    assert totals["cost/kwh"] == pytest.approx(36 / 3.6e6)
    assert 10 < totals["cost/peak_memory_mb"] < 1e6


def test_a_fit_that_was_stopped_while_validating_has_a_cost_without_energy(tmp_path: Path) -> None:
    clock = SimpleNamespace(now=0.0)
    cost = Cost(EnergyMeter(tmp_path), clock=lambda: clock.now)
    cost.on_fit_start(NONE, MODULE)
    clock.now = 2.0
    cost.on_train_batch_end(NONE, NONE, None, {"labels": torch.zeros(8)}, 0)
    cost.on_validation_start(NONE, NONE)
    clock.now = 5.0
    totals = cost.totals()
    assert totals["cost/samples_per_second"] == pytest.approx(4.0)
    assert not {"cost/kwh", "cost/seconds_per_1000"} & totals.keys()
