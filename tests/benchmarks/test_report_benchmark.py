"""The benchmark of the report: its sweep is what it says. (The reports themselves are too slow for a test.)"""

from pathlib import Path

from cola_sweep import records
from cola_sweep.server.store import projects, runs, streams, users
from tests.benchmarks import client, report, server


def test_every_run_is_finished_with_three_epochs_and_the_best_are_named(tmp_path: Path) -> None:
    with server.opened(tmp_path) as store:
        best = report.fill(store, 15)
        project = projects.ensure(store, users.first(store).name, client.PROJECT)
        found = {run.name: run for run in runs.select(store, project.id)}
        epochs = {name: records.by_epoch(streams.history_rows(store, run.id)) for name, run in found.items()}
    assert {run.state for run in found.values()} == {"finished"}
    assert {tuple(row["epoch"] for row in rows) for rows in epochs.values()} == {(1, 2, 3)}
    tops = {name: max(row["valid/mcc"] for row in rows) for name, rows in epochs.items()}
    assert best == sorted(tops, key=lambda name: -tops[name])[: report.WITH_TABLES]
