"""How the server holds out: `python -m tests.benchmarks.soak [--trials 2000] [--agents 16]`; minutes, one table.

Agents speak the stock client's protocol (the client itself would take the machine): heartbeat, upsert, history,
summary, console, the end; each posts for its trial as often as it asks for work. Meanwhile the server is sampled:
memory, open files, threads, database with its log, how long heartbeats take, and the CPU time that a trial takes, which
says the same on a busy machine too. All must be level (`verdicts` says how level), but for what grows by design: the
database with what it keeps, the memory with what the search of an open sweep knows of its trials. Exit code 1 where
anything grows. Reads /proc: Linux alone.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cola_sweep.server import process
from cola_sweep.server.app import THREADS
from tests.benchmarks.client import HEARTBEAT, PROJECT, Client, serving
from tests.benchmarks.server import SWEEP, _cpu_seconds, _metrics

JOIN = """mutation Join($sweep: String!, $project: String!) {
    createAgent(input: {sweep: $sweep, projectName: $project, host: "soak"}) { agent { id } } }"""
MAKE = """mutation Make($config: String!, $project: String) {
    upsertSweep(input: {config: $config, projectName: $project}) { sweep { name } } }"""
BEGIN = """mutation Begin($name: String, $project: String, $sweep: String, $config: JSONString) {
    upsertBucket(input: {name: $name, modelName: $project, sweep: $sweep, config: $config, host: "soak",
    jobProgram: "train.py"}) { bucket { id name } inserted } }"""
EPOCHS = 3
KEPT = 3.0  # KiB of a trial that the search of an open sweep may keep: its point, its place on each axis, its result
LOG = 24.0  # MiB; the store lets it grow to 16 and to what one commit adds
PAUSE = 0.1  # seconds between two polls of an agent; 5 with the stock one
SAMPLES = 40  # of the server; the first quarter is not judged: caches fill


@dataclass(frozen=True)
class Sample:
    """The server at one moment; `heartbeat` is the median of those since the last sample, in milliseconds.

    Attributes:
        cpu: seconds of the server since its start.
    """

    seconds: float
    trials: int
    resident_mib: float
    handles: int
    threads: int
    database_mib: float
    log_mib: float
    heartbeat: float
    cpu: float


@dataclass(frozen=True)
class Verdict:
    """A figure that the samples give, and what it may be."""

    what: str
    got: float
    bound: float
    unit: str

    @property
    def level(self) -> bool:
        return self.got <= self.bound


class Soak:
    """The agents, and what they have done so far."""

    def __init__(self, address: process.Address, sweep: str, trials: int) -> None:
        self.address, self.sweep, self.trials = address, sweep, trials
        self.ended = 0
        self.latest: list[float] = []
        self._lock = threading.Lock()

    def work(self, number: int) -> None:
        """One agent, until it is told to leave."""
        dice = random.Random(number)
        with closing(Client(self.address)) as client:
            joined, _ = client.graphql(JOIN, sweep=self.sweep, project=PROJECT)
            agent, run, epoch = joined["createAgent"]["agent"]["id"], "", 0
            while True:
                live = json.dumps({run: True} if run else {})
                data, seconds = client.graphql(HEARTBEAT, id=agent, metrics="{}", runState=live)
                with self._lock:
                    self.latest.append(seconds)
                for command in json.loads(data["agentHeartbeat"]["commands"]):
                    if command["type"] == "exit":
                        return
                    run, epoch = command["run_id"], 0
                    config = json.dumps(command["args"])
                    client.graphql(BEGIN, name=run, project=PROJECT, sweep=self.sweep, config=config)
                if run:
                    row = _metrics(dice.randrange(10_000)) | {"_step": epoch}
                    last = epoch + 1 == EPOCHS
                    client.stream(self.address.user, run, epoch, [row], complete=last, exitcode=0)
                    epoch += 1
                    if last:
                        run = ""
                        with self._lock:
                            self.ended += 1
                time.sleep(PAUSE)

    def sample(self, data_dir: Path, began: float) -> Sample:
        """The server now."""
        with self._lock:
            taken, self.latest = sorted(self.latest), []
        status = Path(f"/proc/{self.address.pid}/status").read_text().splitlines()
        values = dict(line.split(":", 1) for line in status)
        size = {name: (data_dir / name).stat().st_size / 2**20 for name in ("server.db", "server.db-wal")}
        return Sample(
            time.monotonic() - began,
            self.ended,
            int(values["VmRSS"].split()[0]) / 1024,
            len(list(Path(f"/proc/{self.address.pid}/fd").iterdir())),
            int(values["Threads"]),
            size["server.db"],
            size["server.db-wal"],
            taken[len(taken) // 2] * 1e3 if taken else 0.0,
            _cpu_seconds(self.address.pid),
        )


def soak(folder: Path, *, trials: int, agents: int, method: str = "random") -> list[Sample]:
    """Run that many trials by that many agents; the server, sampled each time another part of them has ended."""
    with serving(folder) as address:
        config = SWEEP.format(method=method, more=f"run_cap: {trials}")
        with closing(Client(address)) as client:
            made, _ = client.graphql(MAKE, config=config, project=PROJECT)
        it = Soak(address, made["upsertSweep"]["sweep"]["name"], trials)
        threads = [threading.Thread(target=it.work, args=(number,)) for number in range(agents)]
        began, samples = time.monotonic(), []
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(0.05)
            if it.ended >= len(samples) * trials / SAMPLES:
                samples.append(it.sample(folder, began))
        assert it.ended == trials, f"{it.ended} of {trials} trials ended"
    return samples


def verdicts(samples: list[Sample]) -> list[Verdict]:
    """What must be level over the last three quarters of the trials, agents still at work."""
    judged = samples[len(samples) // 4 : -1]
    trials = [s.trials for s in judged]
    first, last = judged[: len(judged) // 2], judged[len(judged) // 2 :]

    def a_trial(values: Iterable[float]) -> float:
        """Of a line through the samples, how steep it is."""
        return slope(trials, list(values))

    def later(name: str) -> float:
        """What a trial of the second half takes, over what one of the first half does."""
        early, late = (slope([s.trials for s in part], [getattr(s, name) for s in part]) for part in (first, last))
        return late / max(early, 1e-9)

    return [
        Verdict("resident memory", a_trial(s.resident_mib * 1024 for s in judged), KEPT, "KiB a trial"),
        Verdict("threads", max(s.threads for s in judged), THREADS + 1, "at once"),
        # Each thread has two of its own: the database and its log.
        Verdict("open files", a_trial(s.handles - 2 * s.threads for s in judged) * 1000, 2.0, "in 1000 trials"),
        Verdict("write-ahead log", max(s.log_mib for s in judged), LOG, "MiB"),
        Verdict("database, second half over first", later("database_mib"), 1.25, "times"),
        Verdict("CPU time of the server, second half over first", later("cpu"), 1.25, "times"),
        Verdict("heartbeat, median", a_trial(s.heartbeat for s in judged) * 1000, 10.0, "ms in 1000 trials"),
    ]


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of the line with the least squares through the points."""
    n, mean_x, mean_y = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if n > 1 and spread else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.soak", description="Run trials for long.", allow_abbrev=False
    )
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--method", choices=("grid", "random", "bayes"), default="random")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(Path(folder), trials=args.trials, agents=args.agents, method=args.method)
    print(" seconds  trials  resident MiB  files  threads  database MiB  log MiB  heartbeat ms  CPU s")
    for s in samples[:: max(len(samples) // 10, 1)] + samples[-1:]:
        print(
            f"{s.seconds:8.1f}{s.trials:8}{s.resident_mib:14.1f}{s.handles:7}{s.threads:9}"
            f"{s.database_mib:14.2f}{s.log_mib:9.2f}{s.heartbeat:14.1f}{s.cpu:7.1f}"
        )
    found = verdicts(samples)
    for verdict in found:
        words = "level" if verdict.level else "GROWS"
        print(f"{verdict.what}: {verdict.got:.2f} {verdict.unit} (at most {verdict.bound:g}): {words}")
    return int(not all(verdict.level for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
