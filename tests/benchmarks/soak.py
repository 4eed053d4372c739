"""How the server holds out: `python -m tests.benchmarks.soak [--trials 2000] [--agents 16]`; minutes, one table.

Agents speak the stock client's protocol (the client itself would take the machine): heartbeat, upsert, history,
summary, console, the end; each posts for its trial as often as it asks for work. Meanwhile the server is sampled:
memory, open files, threads, database with its log, and how long heartbeats take. Each must be flat; the database may
grow with what it keeps, but no faster for the last trials than for the first. Reads /proc: Linux alone.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cola_sweep.server import process
from tests.benchmarks.server import HEARTBEAT, PROJECT, SWEEP, Client, _metrics, serving

JOIN = """mutation Join($sweep: String!, $project: String!) {
    createAgent(input: {sweep: $sweep, projectName: $project, host: "soak"}) { agent { id } } }"""
MAKE = """mutation Make($config: String!, $project: String) {
    upsertSweep(input: {config: $config, projectName: $project}) { sweep { name } } }"""
BEGIN = """mutation Begin($name: String, $project: String, $sweep: String, $config: JSONString) {
    upsertBucket(input: {name: $name, modelName: $project, sweep: $sweep, config: $config, host: "soak",
    jobProgram: "train.py"}) { bucket { id name } inserted } }"""
EPOCHS = 3
PAUSE = 0.1  # seconds between two polls of an agent; 5 with the stock one
SAMPLES = 40  # of the server; the first tenth is not judged: caches fill


@dataclass(frozen=True)
class Sample:
    """The server at one moment; `heartbeat` is the median of those since the last sample, in milliseconds."""

    seconds: float
    trials: int
    resident_mib: float
    handles: int
    threads: int
    database_mib: float
    log_mib: float
    heartbeat: float


@dataclass(frozen=True)
class Verdict:
    """A quantity's growth over the judged time, by a line through its samples, and what it may be."""

    what: str
    growth: float
    bound: float
    unit: str

    @property
    def flat(self) -> bool:
        return self.growth <= self.bound


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
    """How each quantity grew over the last nine tenths of the trials."""
    judged = samples[len(samples) // 10 :]
    middle = len(judged) // 2

    def grown(name: str, part: list[Sample]) -> float:
        return slope([s.trials for s in part], [getattr(s, name) for s in part]) * (part[-1].trials - part[0].trials)

    # What is kept grows with the trials: the second half must take no more than the first, but for a quarter.
    first, second = grown("database_mib", judged[:middle]), grown("database_mib", judged[middle:])
    return [
        Verdict("resident memory", grown("resident_mib", judged), 8.0, "MiB"),
        Verdict("open files", grown("handles", judged), 2.0, ""),
        Verdict("threads", grown("threads", judged), 2.0, ""),
        Verdict("write-ahead log", grown("log_mib", judged), 4.0, "MiB"),
        Verdict("database, second half over first", second / max(first, 1e-9), 1.25, "times"),
        Verdict("heartbeat, median", grown("heartbeat", judged), 10.0, "ms"),
    ]


def slope(xs: list[int], ys: list[float]) -> float:
    """Of the line with the least squares through the points."""
    n, mean_x, mean_y = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if n > 1 and spread else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description="Run trials for long.")
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--method", choices=("grid", "random", "bayes"), default="random")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(Path(folder), trials=args.trials, agents=args.agents, method=args.method)
    print(" seconds  trials  resident MiB  files  threads  database MiB  log MiB  heartbeat ms")
    for s in samples[:: max(len(samples) // 10, 1)] + samples[-1:]:
        print(
            f"{s.seconds:8.1f}{s.trials:8}{s.resident_mib:14.1f}{s.handles:7}{s.threads:9}"
            f"{s.database_mib:14.2f}{s.log_mib:9.2f}{s.heartbeat:14.1f}"
        )
    found = verdicts(samples)
    for verdict in found:
        words = "flat" if verdict.flat else "GROWS"
        print(f"{verdict.what}: {verdict.growth:+.2f} {verdict.unit} (at most {verdict.bound:g}): {words}")
    return int(not all(verdict.flat for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
