"""Fault drills: `python -m tests.drills [--seed N] [--minutes M] [--short] [--fuzz N] [NAME ...]`, three at a time.

Each drill runs a sweep with the stock client and harms it; then everything is accounted for: every suggestion once,
every row that the client was told is safe, every process. Linux alone. Prints a table; exit code 1 where anything was
wrong. `--fuzz N` sends the server N examples of each kind of nonsense instead (see tests/server/test_fuzz.py).

| drill | what is injected | what is checked beside the above |
| --- | --- | --- |
| deaths | kill -9 of trials, their clients, agents, the server and the warm one; requests or answers lost | |
| clocks | the server's clock jumps by a minute to a day, ahead and back | nobody is taken for dead; all is well |
| full-disk | no byte free under the server's folder (root) | all is well: what was refused comes again |
| full-trial-disk | no byte free where agents and trials write (root) | the next trial is well |
| tried-again | trials fail, always or once, under `_retry: 2`; agents and the server are killed | each point is \
tried until it is well or three times; each time names the run that it repeats |
| at-fault | a machine on which no trial comes to its first step | its agent is told to leave, and why; every cell \
is well |
| checkpoints | weights that are cut off, then kill -9 of the warm server | the others are well, the reason is kept |
| silence | for longer than any limit: the port closed (a minute in the long form), the server stopped, all agents and \
trials stopped | nobody is taken for dead by a server that could not hear; all is well |
| bad-trials | a trial logs nothing and exits 0, logs NaN, fails, takes more memory than there is, leaves children, \
prints (a gigabyte in the long form), hangs and ignores SIGTERM | nothing is left of them; the report says why |
| together | 16 agents join and ask at the same instant; one in four dies with what it was given | |
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.drills.audit import Audit, examine, reported
from tests.drills.cases import DRILLS, Faults
from tests.drills.world import ROOT, opened

DISK = "96m"  # uploads leave 64 MiB of a disk free
FUZZES = ("tests/server/test_fuzz.py", "tests/server/test_growth.py")
AT_ONCE = 3  # more than the cores: most of a drill is waiting


@dataclass(frozen=True)
class Result:
    """What a drill did and what was found; the time in seconds."""

    name: str
    faults: Faults
    audit: Audit
    wall: float


def conduct(name: str, folder: Path, *, seed: int, short: bool) -> Result:
    """Run a drill in an empty folder and examine what it left."""
    drill, faults = DRILLS[name], Faults()
    cells = drill.short if short else drill.long
    begin = time.monotonic()
    with _disk(folder / drill.small_disk) if drill.small_disk else nullcontext(), opened(folder) as world:
        try:
            faults = drill.act(world, random.Random(f"{name}:{seed}"), cells)
            wrong = []
        except (AssertionError, TimeoutError) as error:
            wrong = [str(error)]
        audit = examine(world, cells, retries=drill.retries)
        if drill.report or not short:
            wrong += reported(world, drill.said)
    if strange := audit.states.keys() - drill.states:
        wrong.append(f"runs are {', '.join(sorted(strange))}")
    audit.complaints[:0] = wrong
    return Result(name, faults, audit, time.monotonic() - begin)


def table(results: list[Result]) -> str:
    """One line a drill, and the sum."""
    head = ("", "faults", "suggestions", "rows safe", "rows lost", "wall s")
    rows = [(r.name, r.faults.total(), r.audit.suggestions, r.audit.rows, r.audit.lost, round(r.wall)) for r in results]
    total = ("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True)))
    lines = [tuple(map(str, line)) for line in [head, *rows, total]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills", description="Harm sweeps and look what is lost.", allow_abbrev=False
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(DRILLS)} (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and places of the faults (default: 0)")
    parser.add_argument("--minutes", type=float, default=30, help="begin no drill after so long (default: 30)")
    parser.add_argument("--short", action="store_true", help="few trials each")
    parser.add_argument("--fuzz", type=int, metavar="N", help="no drills: N examples of each kind of nonsense")
    args = parser.parse_args()
    if unknown := set(args.names) - set(DRILLS):
        parser.error(f"no such drill: {', '.join(sorted(unknown))}")
    if args.fuzz:
        words = [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider", *FUZZES]
        return subprocess.run(words, cwd=ROOT, env=os.environ | {"COLA_SWEEP_FUZZ": str(args.fuzz)}).returncode
    end = time.monotonic() + args.minutes * 60

    def one(name: str) -> Result | None:
        if time.monotonic() > end:
            print(f"{name}: left out, no time", file=sys.stderr)
            return None
        if DRILLS[name].small_disk and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            print(f"{name}: left out, nobody but root may mount a disk of its own", file=sys.stderr)
            return None
        result = conduct(name, Path(folder, name), seed=args.seed, short=args.short)
        complaints = [f"\n  WRONG: {complaint}" for complaint in result.audit.complaints]
        print(f"{name}: {dict(result.faults)} {result.audit.states}{''.join(complaints)}", file=sys.stderr)
        return result

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        results = [result for result in pool.map(one, args.names or DRILLS) if result]
    print(f"{table(results)}\nCPU s of all: {sum(os.times()[:4]):.0f}")
    return int(any(result.audit.complaints for result in results))


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """A small disk of its own at `path`, which takes root."""
    path.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


if __name__ == "__main__":
    sys.exit(main())
