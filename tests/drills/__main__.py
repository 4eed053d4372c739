"""Fault drills: `python -m tests.drills [--seed N] [--minutes M] [--short] [--fuzz N] [NAME ...]`.

Each drill runs a sweep with the stock client and harms it; then everything is accounted for: every suggestion once,
every row that the client was told is safe, every process. Linux alone. Prints a table; exit code 1 where anything was
wrong. `--fuzz N` sends the server N examples of each kind of nonsense instead (see tests/server/test_fuzz.py).
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.drills.audit import Audit, examine, reported
from tests.drills.cases import DRILLS, Faults
from tests.drills.world import ROOT, opened

DISK = "96m"  # uploads leave 64 MiB of a disk free


@dataclass(frozen=True)
class Result:
    """What a drill did and what was found; times in seconds, CPU of all processes that have ended."""

    name: str
    faults: Faults
    audit: Audit
    wall: float
    cpu: float


def conduct(name: str, folder: Path, *, seed: int, short: bool) -> Result:
    """Run a drill in an empty folder and examine what it left."""
    drill, faults = DRILLS[name], Faults()
    cells = drill.short if short else drill.long
    begin, used = time.monotonic(), _cpu()
    with _disk(folder / "data", small=drill.small_disk), opened(folder) as world:
        try:
            faults = drill.act(world, random.Random(f"{name}:{seed}"), cells)
            wrong = []
        except (AssertionError, TimeoutError) as error:
            wrong = [str(error)]
        audit = examine(world, cells)
        if drill.report or not short:
            wrong += reported(world)
    if strange := audit.states.keys() - drill.states:
        wrong.append(f"runs are {', '.join(sorted(strange))}")
    audit.complaints[:0] = wrong
    return Result(name, faults, audit, time.monotonic() - begin, _cpu() - used)


def table(results: list[Result]) -> str:
    """One line a drill, and the sum."""
    head = ("", "faults", "suggestions", "rows safe", "rows lost", "wall s", "CPU s")
    rows = [
        (r.name, r.faults.total(), r.audit.suggestions, r.audit.rows, r.audit.lost, round(r.wall), round(r.cpu))
        for r in results
    ]
    total = ("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True)))
    lines = [tuple(map(str, line)) for line in [head, *rows, total]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drills", description="Harm sweeps and look what is lost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(DRILLS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places of the faults (default: 0)")
    parser.add_argument("--minutes", type=float, default=30, help="begin no drill after so long (default: 30)")
    parser.add_argument("--short", action="store_true", help="few trials each")
    parser.add_argument("--fuzz", type=int, metavar="N", help="no drills: N examples of each kind of nonsense")
    args = parser.parse_args()
    if unknown := set(args.names) - set(DRILLS):
        parser.error(f"no such drill: {', '.join(sorted(unknown))}")
    if args.fuzz:
        words = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", "tests/server/test_fuzz.py"]
        return subprocess.run(words, cwd=ROOT, env=os.environ | {"COLA_SWEEP_FUZZ": str(args.fuzz)}).returncode
    end = time.monotonic() + args.minutes * 60
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or DRILLS:
            if time.monotonic() > end:
                print(f"{name}: left out, no time", file=sys.stderr)
                continue
            if (
                DRILLS[name].small_disk
                and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode
            ):
                print(f"{name}: left out, nobody but root may mount a disk of its own", file=sys.stderr)
                continue
            print(f"{name} ...", file=sys.stderr)
            result = conduct(name, Path(folder, name), seed=args.seed, short=args.short)
            results.append(result)
            print(f"  {dict(result.faults)} {result.audit.states}", file=sys.stderr)
            for complaint in result.audit.complaints:
                print(f"  WRONG: {complaint}", file=sys.stderr)
    print(table(results))
    return int(any(result.audit.complaints for result in results))


@contextmanager
def _disk(path: Path, *, small: bool) -> Iterator[None]:
    """With `small`, a disk of its own at `path`, which takes root."""
    path.mkdir(parents=True)
    if small:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(path)], check=True)
    try:
        yield
    finally:
        if small:
            subprocess.run(["umount", str(path)], check=True)


def _cpu() -> float:
    return sum(os.times()[:4])


if __name__ == "__main__":
    sys.exit(main())
