"""The benchmark of the server, at tiny sizes: its parts check themselves that nothing is lost or doubled."""

import re
from pathlib import Path

import pytest

from tests.benchmarks import server


def test_a_start_is_timed(tmp_path: Path) -> None:
    (row,) = server.start(tmp_path, times=1)
    assert re.fullmatch(r"\d+\.\d\d s", row.got)


def test_runs_that_log_are_counted_to_the_last_step(tmp_path: Path) -> None:
    rate, latency, cores, resident = server.logging(tmp_path, count=2, steps=20, seconds=1)
    assert 0 < float(rate.got) < 30
    assert float(cores.got) > 0
    assert all(float(value) > 10 for value in resident.got.split(" / "))
    assert latency.got.endswith(" ms")


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_agents_get_a_trial_at_each_third_heartbeat(method: str, tmp_path: Path) -> None:
    every, issued, rate, _ = server.heartbeat(tmp_path, method, count=2, before=12, rounds=4, poll=0.1, wait=0)
    assert every.what.startswith(f"{method}, 12-16 runs, 2 agents")
    assert "the 4 of 8 that issued a trial" in issued.what
    assert (int(rate.got) > 0, rate.target) == (True, "20")


def test_a_server_that_cannot_keep_up_is_not_asked_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST", 0)
    every, _, rate, _ = server.heartbeat(tmp_path, "random", count=2, before=2, rounds=4, poll=0.01, wait=-1)
    assert (every.got, rate.got) == ("none", "0")


def test_a_run_is_judged_at_each_epoch(tmp_path: Path) -> None:
    every, first = server.hyperband(tmp_path, before=3, epochs=5)
    assert every.what.startswith("hyperband, 3 runs of 5 epochs")
    assert every.got.endswith(" ms")
    assert first.got.endswith(" ms")


def test_the_real_client_reads_every_run(tmp_path: Path) -> None:
    whole, ordered, _ = server.read_runs(tmp_path, count=60)
    assert whole.what == "Api().runs, 60 runs, full"
    assert ordered.got.endswith(" s")


def test_the_table_has_columns() -> None:
    rows = [server.Row("what is measured", "9 s", "< 1 s"), server.Row("  a part of it", "1 s")]
    assert server.table(rows).splitlines()[1:] == ["what is measured  9 s  < 1 s", "  a part of it    1 s"]
