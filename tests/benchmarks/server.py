"""How fast the embedded server is: `python -m tests.benchmarks.server [PART ...]`; three minutes, one table.

start      a process of its own until `/ready` answers
logging    16 runs log 1,000 steps a second together through `file_stream`
heartbeat  64 agents of one sweep (--agents N) poll as the stock agent does, every 5 s, and their trials log and end
hyperband  a run logs epochs and is judged at its rungs against 500 runs of 20 epochs
runs       the real client reads 10,000 runs whole

The load shares the machine with the server, so quote figures of a quiet one. Reads /proc: Linux alone.
"""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from cola_sweep.server import ids, process
from cola_sweep.server.store import Store, agents, projects, runs, streams, sweeps, users
from tests.benchmarks.client import HEARTBEAT, PROJECT, Client, serving
from tests.system.conftest import client_env

AGENTS = 64
LONGEST = 120.0  # seconds of one method's polls, which are to take 40
SWEEP = """
method: {method}
metric: {{name: valid/mcc, goal: maximize}}
{more}
parameters:
  lr: {{distribution: log_uniform_values, min: 1.0e-6, max: 1.0e-3}}
  batch_size: {{values: [8, 16, 32, 64]}}
  checkpoint: {{values: [electra, minilm, distilbert, bert]}}
  warmup: {{min: 0.0, max: 0.3}}
"""
READ_RUNS = """
import json, sys, time
import wandb
api = wandb.Api()
begin = time.perf_counter()
found = {run.id: (run.config["lr"], run.summary["valid/mcc"]) for run in api.runs(sys.argv[1], lazy=False)}
whole = time.perf_counter() - begin
begin = time.perf_counter()
best = api.runs(sys.argv[1], order="-summary_metrics.valid/mcc", per_page=1)[0]
print(json.dumps([len(found), whole, time.perf_counter() - begin, best.id]))
"""
Beside = Callable[[process.Address], AbstractContextManager[Any]]  # what else goes on while a server is loaded


@dataclass(frozen=True)
class Row:
    """One line of the table; `target` is what the project promises, if it does."""

    what: str
    got: str
    target: str = ""


def start(folder: Path, *, times: int = 5) -> list[Row]:
    """From the start of a process to the first answer, as a user waits for it."""
    taken = []
    for number in range(times):
        data_dir = folder / f"start{number}"
        words = [sys.executable, "-m", "cola_sweep.server", "--port", "0", "--data-dir", str(data_dir)]
        begin = time.perf_counter()
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
            while (address := process.find(data_dir)) is None or not process.ready(address.base_url):
                assert server.poll() is None, "the server ended before it answered"
                time.sleep(0.005)
            taken.append(time.perf_counter() - begin)
            server.terminate()
    return [Row(f"start to /ready, median of {times}", f"{median(taken):.2f} s", "< 1 s")]


def logging(
    folder: Path, *, count: int = 16, steps: int = 1000, seconds: int = 30, beside: Beside = nullcontext
) -> list[Row]:
    """Runs that post once a second, 15 times as often as by default, all their steps of that second."""
    with serving(folder / "logging") as address, beside(address):
        upsert = """mutation($name: String, $project: String) {
            upsertBucket(input: {name: $name, modelName: $project}) { bucket { id } } }"""
        names = [f"run{i}" for i in range(count)]
        with closing(Client(address)) as client:
            for name in names:
                client.graphql(upsert, name=name, project=PROJECT)
        each = math.ceil(steps / count)
        begin = time.monotonic()

        def log(number: int) -> list[float]:
            taken = []
            with closing(Client(address)) as client:
                for second in range(seconds):
                    _sleep_until(begin + second + number / count)
                    rows = [_metrics(second * each + i) for i in range(each)]
                    taken.append(client.stream(address.user, names[number], second * each, rows)[1])
            return taken

        with ThreadPoolExecutor(count + 1) as pool:
            resident = pool.submit(_sampled, address.pid, begin, seconds)
            taken = [value for values in pool.map(log, range(count)) for value in values]
            early, middle, late = resident.result()
            elapsed = time.monotonic() - begin
        busy = _cpu_seconds(address.pid) / elapsed
    with opened(folder / "logging") as store:
        project = projects.ensure(store, address.user, PROJECT)
        kept = sum(run.history_lines for run in runs.select(store, project.id))
    assert kept == count * each * seconds, f"{kept} steps kept of {count * each * seconds}"
    return [
        Row(f"{count} runs logging: steps a second, all kept", f"{kept / elapsed:.0f}", f"{steps}"),
        Row("  post p50 / p99", _quantiles(taken)),
        Row("  cores the server used", f"{busy:.2f}"),
        Row(
            "  resident MiB after a third / two thirds / at the end",
            f"{early:.0f} / {middle:.0f} / {late:.0f}",
            "level",
        ),
    ]


def heartbeat(
    folder: Path,
    method: str,
    *,
    count: int = AGENTS,
    before: int = 400,
    rounds: int = 8,
    poll: float = 5.0,
    trial: int = 3,
    wait: float = 3.0,
    beside: Beside = nullcontext,
) -> list[Row]:
    """Agents that poll; a trial logs after each poll and ends at its `trial`-th, so every so many polls issue one.

    A server that cannot keep up is asked for `LONGEST` and no longer.

    Args:
        wait: seconds from the server's first answer to the first agent, which takes as long to start.
    """
    data_dir = folder / method
    with opened(data_dir) as store:
        opaque = _fill_sweep(store, method, before, count)
    with serving(data_dir) as address, beside(address):
        begin = time.monotonic() + wait

        def work(number: int) -> list[tuple[bool, float]]:
            """(whether a trial was issued, seconds) of each heartbeat."""
            taken, run, line = [], "", 0
            with closing(Client(address)) as client:
                for turn in range(rounds):
                    if time.monotonic() > begin + LONGEST:
                        break
                    _sleep_until(begin + poll * (turn + number / count))
                    live = json.dumps({run: True} if run else {})
                    data, seconds = client.graphql(HEARTBEAT, id=opaque[number], metrics="{}", runState=live)
                    commands = json.loads(data["agentHeartbeat"]["commands"])
                    taken.append((bool(commands), seconds))
                    if commands:
                        run, line = commands[0]["run_id"], 0
                    if not run:
                        continue  # told to ask again: the server has too many to find a trial for
                    # The trial's own process posts some time between two polls.
                    _sleep_until(begin + poll * (turn + 0.5 + number / count))
                    client.stream(address.user, run, line, [_metrics(line)], complete=line + 1 == trial)
                    run, line = ("", 0) if line + 1 == trial else (run, line + 1)
            return taken

        with ThreadPoolExecutor(count) as pool:
            taken = [item for items in pool.map(work, range(count)) for item in items]
        elapsed = max(time.monotonic() - begin, rounds * poll)
        busy = _cpu_seconds(address.pid) / elapsed
    given = [seconds for issued, seconds in taken if issued]
    with opened(data_dir) as store:
        project = projects.ensure(store, address.user, PROJECT)
        args = [run.args_json for run in runs.select(store, project.id)]
    assert len(args) == len(set(args)) == before + len(given), "a point was issued twice, or one was lost"
    return [
        Row(
            f"{method}, {before}-{len(args)} runs, {count} agents: heartbeat p50 / p99",
            _quantiles(s for _, s in taken),
            "p99 < 50 ms",
        ),
        Row(f"  the {len(given)} of {len(taken)} that issued a trial", _quantiles(given)),
        Row("  heartbeats a second, and as many logs", f"{len(taken) / elapsed:.0f}", f"{count / poll:.0f}"),
        Row("  cores the server used", f"{busy:.2f}"),
    ]


def heartbeats(folder: Path, count: int = AGENTS) -> list[Row]:
    """Of both kinds of search: the one that costs least, and the one that costs most."""
    return [row for method in ("random", "bayes") for row in heartbeat(folder, method, count=count)]


def hyperband(folder: Path, *, before: int = 500, epochs: int = 20) -> list[Row]:
    """A run that is among the best at every rung, so that it is judged at each post."""
    data_dir = folder / "hyperband"
    with opened(data_dir) as store, store.write():
        _fill_sweep(store, "random", before, 0, "early_terminate: {type: hyperband, min_iter: 3}")
        project = projects.ensure(store, users.first(store).name, PROJECT)
        for run in runs.select(store, project.id):
            rows = [_metrics(run.id * epochs + epoch) for epoch in range(epochs)]
            streams.write_lines(store, run.id, "history", 0, [json.dumps(row) for row in rows])
        runs.create(store, project.id, "own", state="running", display_name="own", sweep_id=run.sweep_id)
    with serving(data_dir) as address, closing(Client(address)) as client:
        rows = [_metrics(epoch) | {"valid/mcc": 1.0} for epoch in range(epochs)]
        taken = [client.stream(address.user, "own", epoch, [row])[1] for epoch, row in enumerate(rows)]
    return [
        Row(f"hyperband, {before} runs of {epochs} epochs: post of an epoch p50 / p99", _quantiles(taken[3:])),
        Row("  the first, which reads their histories", _quantiles(taken[2:3])),
    ]


def read_runs(folder: Path, *, count: int = 10_000) -> list[Row]:
    """`Api().runs`, configs and summaries too, by pages of the default size."""
    data_dir = folder / "runs"
    with opened(data_dir) as store, store.write():
        project = projects.ensure(store, users.first(store).name, PROJECT)
        for i in range(count):
            _add_run(store, project.id, i, {"lr": i / count})
    with serving(data_dir) as address:
        words = [sys.executable, "-c", READ_RUNS, f"{address.user}/{PROJECT}"]
        done = subprocess.run(words, env=client_env(address, folder), cwd=folder, stdout=subprocess.PIPE, check=True)
        busy = _cpu_seconds(address.pid)
    found, whole, ordered, best = json.loads(done.stdout)
    assert (found, best) == (count, f"run{max(range(count), key=_score)}")
    return [
        Row(f"Api().runs, {count} runs, full", f"{whole:.1f} s", "< 20 s"),
        Row("  the first by a summary key", f"{ordered:.2f} s"),
        Row("  CPU seconds of the server", f"{busy:.1f} s"),
    ]


PARTS: dict[str, Callable[[Path], list[Row]]] = {
    "start": start,
    "logging": logging,
    "heartbeat": heartbeats,
    "hyperband": hyperband,
    "runs": read_runs,
}


def table(rows: list[Row]) -> str:
    """The rows in columns."""
    lines = [("", "got", "target"), *((row.what, row.got, row.target) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.server", description="Measure the server.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--agents", type=int, default=AGENTS, help="that send heartbeats (default: %(default)s)")
    args = parser.parse_args()
    parts = args.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for part in parts:
            print(f"{part} ...", file=sys.stderr)
            rows += heartbeats(Path(folder), args.agents) if part == "heartbeat" else PARTS[part](Path(folder))
    print(table(rows))


@contextmanager
def opened(data_dir: Path) -> Iterator[Store]:
    """The records of a server that does not run."""
    data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(data_dir / "server.db")
    try:
        yield store
    finally:
        store.close()


def _fill_sweep(store: Store, method: str, before: int, count: int, more: str = "") -> list[str]:
    """A sweep that has `before` finished runs; returns the ids of `count` agents."""
    dice = random.Random(0)
    with store.write():
        project = projects.ensure(store, users.first(store).name, PROJECT)
        config = SWEEP.format(method=method, more=more)
        sweep = sweeps.create(store, project.id, "sweep", config=config, method=method, state="RUNNING", seed=0)
        for i in range(before):
            args = {
                "lr": dice.uniform(1e-6, 1e-3),
                "batch_size": dice.choice([8, 16, 32, 64]),
                "checkpoint": dice.choice(["electra", "minilm", "distilbert", "bert"]),
                "warmup": dice.uniform(0, 0.3),
            }
            _add_run(store, project.id, i, args, sweep_id=sweep.id)
        return [ids.encode("Agent", agents.create(store, sweep.id, f"agent{i}", "host").id) for i in range(count)]


def _add_run(store: Store, project_id: int, number: int, args: dict[str, Any], **columns: Any) -> None:
    """A finished run with as much config and summary as a trial of this project leaves."""
    wrapped = {key: {"value": value} for key, value in args.items()}
    runs.create(
        store,
        project_id,
        f"run{number}",
        state="finished",
        display_name=f"run-{number}",
        heartbeat_at=store.now(),
        args_json=json.dumps(wrapped),
        config_json=json.dumps(wrapped | {f"setting{i}": {"value": i} for i in range(30)}),
        summary_json=json.dumps(_metrics(number)),
        **columns,
    )


def _metrics(step: int) -> dict[str, Any]:
    """A row of 40 values."""
    values = {f"train/metric{i}": (step * 31 + i * 17) % 997 / 997 for i in range(36)}
    return values | {"valid/mcc": _score(step), "_step": step, "_timestamp": 1.8e9 + step, "_runtime": step / 10}


def _score(step: int) -> float:
    return step * 7919 % 10_007 / 10_007


def _sampled(pid: int, begin: float, seconds: int) -> list[float]:
    """Resident MiB of a process after a third, two thirds and all of the time."""
    values = []
    for third in (1, 2, 3):
        _sleep_until(begin + seconds * third / 3)
        kib = next(line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmRSS" in line)
        values.append(int(kib) / 1024)
    return values


def _cpu_seconds(pid: int) -> float:
    """CPU that a process has used, its start included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _quantiles(seconds: Any) -> str:
    values = sorted(seconds)
    if not values:
        return "none"
    return " / ".join(f"{values[min(int(len(values) * q), len(values) - 1)] * 1e3:.0f}" for q in (0.5, 0.99)) + " ms"


if __name__ == "__main__":
    main()
