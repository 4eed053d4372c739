"""How long a report of 1,000 runs takes: `python -m tests.benchmarks.report [--runs N]`; two minutes, one table.

An embedded server is filled with a finished sweep, 3 epochs of history a run, predictions of 1,043 sentences
(as many as CoLA's dev set) for the best few; then `cola-sweep report` runs as a process of its own, from its
start to its end: first with nothing kept, then again, then after one run has logged more.
"""

import argparse
import http.client
import json
import resource
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from cola_sweep.metric_names import METRIC_NAMES
from cola_sweep.server import process
from cola_sweep.server.store import Store, projects, runs, streams, sweeps, users
from tests import fake_sweep
from tests.benchmarks.client import PROJECT, Client, serving
from tests.benchmarks.server import Row, opened, table
from tests.system.conftest import client_env

SWEEP = "bench1000"
EPOCHS = 3
STEP_ROWS = 5  # lines of single training steps that a trial logs in an epoch
SENTENCES = 1043
WITH_TABLES = 10  # of the best runs: more than a report reads
TABLE = "media/table/predictions.table.json"


def report(folder: Path, *, count: int = 1000) -> list[Row]:
    """`cola-sweep report` three times over a sweep of `count` runs."""
    data_dir = folder / "server"
    with opened(data_dir) as store:
        best = fill(store, count)
    with serving(data_dir) as address:
        put_tables(address, best)
        env = client_env(address, folder) | {"WANDB_PROJECT": PROJECT, "XDG_CACHE_HOME": str(folder / "kept")}
        first, first_cpu, page = timed(folder, env)
        second, second_cpu, same = timed(folder, env)
        assert page == same, "the second report differs from the first"
        with closing(Client(address)) as client:
            rows = epoch_rows(np.random.default_rng(count), EPOCHS, 0.99)
            client.stream(address.user, best[0], EPOCHS * (STEP_ROWS + 2), rows, complete=True, exitcode=0)
        third, third_cpu, other = timed(folder, env)
        assert "0.990" in other, "the third report does not show what was logged before it"
    what = f"cola-sweep report, {count} runs of {EPOCHS} epochs, nothing kept"
    return [
        Row(what, f"{first:.1f} s ({first_cpu:.1f} s CPU)", "< 60 s"),
        Row("  again, nothing changed, same bytes", f"{second:.1f} s ({second_cpu:.1f} s CPU)", "< 5 s"),
        Row("  again, one run changed", f"{third:.1f} s ({third_cpu:.1f} s CPU)"),
    ]


def fill(store: Store, count: int) -> list[str]:
    """A finished sweep of `count` runs; returns the names of those that are to have tables, best first."""
    dice = np.random.default_rng(0)
    tops = {f"run{i:05d}": float(dice.uniform(0, 0.6)) for i in range(count)}
    best = sorted(tops, key=lambda name: -tops[name])[:WITH_TABLES]
    with store.write():
        project = projects.ensure(store, users.first(store).name, PROJECT)
        sweep = sweeps.create(
            store, project.id, SWEEP, config=json.dumps(fake_sweep.CONFIG), method="bayes", state="FINISHED", seed=0
        )
        for number, (name, top) in enumerate(tops.items()):
            checkpoint = f"encoder-{number % 2}"
            config = {
                "lr": float(10 ** dice.uniform(-6, -3)), "batch_size": int(dice.choice([16, 32, 64])),
                "checkpoint": checkpoint, "epochs": EPOCHS, "seed": 1,
                "provenance": fake_sweep.provenance(checkpoint), **{f"setting{i}": i for i in range(20)},
            }  # fmt: skip
            rows = [row for epoch in range(EPOCHS) for row in epoch_rows(dice, epoch, top)]
            summary = {key: {"max": value, "last": value} for key, value in rows[-1].items() if "/" in key}
            summary["valid/mcc"] = {"max": top, "last": top}
            summary |= {"cost/seconds": 41.5, "cost/kwh": 0.001, "cost/peak_memory_mb": 812.0, "collapsed": False}
            if name in best:
                summary["predictions"] = {"_type": "table-file", "path": TABLE, "sha256": f"{number:064x}"}
            run = runs.create(
                store, project.id, name, state="finished", display_name=f"light-sweep-{number + 1}",
                sweep_id=sweep.id, heartbeat_at=store.now(), summary_json=json.dumps(summary),
                config_json=json.dumps({key: {"value": value} for key, value in config.items()}),
            )  # fmt: skip
            streams.write_lines(store, run.id, "history", 0, [json.dumps(row) for row in rows])
    return best


def epoch_rows(dice: np.random.Generator, epoch: int, top: float) -> list[dict[str, Any]]:
    """The lines of one epoch, as Lightning's logger sends them: single steps, validation, the epoch's means."""
    size = STEP_ROWS + 2
    shared = {"epoch": epoch, "_timestamp": 1.8e9}
    steps = [
        {"train/loss_step": dice.random(), "train/acc_step": dice.random(), "trainer/global_step": 50 * line}
        for line in range(epoch * STEP_ROWS, (epoch + 1) * STEP_ROWS)
    ]
    last = {"trainer/global_step": 268 * (epoch + 1) - 1}
    valid = {name: dice.random() for name in METRIC_NAMES if name.startswith("valid/")} | last
    valid["valid/mcc"] = top if epoch >= EPOCHS - 1 else top * (epoch + 1) / (EPOCHS + 1)
    means = {name: dice.random() for name in METRIC_NAMES if name.startswith("train/") and name.endswith("_epoch")}
    rows: list[dict[str, Any]] = [*steps, means | last, valid]
    return [{**row, **shared, "_step": epoch * size + line} for line, row in enumerate(rows)]


def put_tables(address: process.Address, names: list[str]) -> None:
    """The predictions of those runs, the better ones with fewer errors."""
    dice = np.random.default_rng(1)
    labels, hard = (dice.random(SENTENCES) < 0.7).astype(int), dice.random(SENTENCES)
    where = urlsplit(address.base_url)
    headers = {"Authorization": "Basic " + b64encode(f"api:{address.api_key}".encode()).decode()}
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)) as connection:
        for place, name in enumerate(names):
            wrong = hard + dice.normal(0, 0.05, SENTENCES) < 0.2 + 0.005 * place
            content = json.dumps(fake_sweep.table(labels, np.where(wrong, 1 - labels, labels), hard))
            connection.request("PUT", f"/files/{address.user}/{PROJECT}/{name}/{TABLE}", content, headers)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            response.read()


def timed(folder: Path, env: Mapping[str, str]) -> tuple[float, float, str]:
    """Seconds of one `cola-sweep report`, a process of its own, those of CPU in it, and the page it wrote."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [sys.executable, "-m", "cola_sweep", "report", SWEEP]
    subprocess.run(words, env=env, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, cpu, (folder / "reports" / SWEEP / "index.html").read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.report", description="Measure the report.")
    parser.add_argument("--runs", type=int, default=1000, metavar="N", help="size of the sweep (default: 1000)")
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        print(table(report(Path(folder), count=count)))


if __name__ == "__main__":
    main()
