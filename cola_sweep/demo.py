"""`cola-sweep demo`: the whole path once, with the stock client against the embedded server.

    server -> wandb sweep -> wandb agents -> report

No account and no network: whatever W&B login or server the user has is left out of it, and stays as it
is. Every step is the command a person would type, run as a process.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cola_sweep import agents
from cola_sweep.errors import UserError

FOLDER = Path(".cola-sweep/demo")
REPORTS = Path("reports")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep demo`."""
    parser.add_argument(
        "--sweep", type=Path, default=Path("sweeps/demo.yaml"), help="sweep file (default: %(default)s)"
    )
    parser.add_argument("--n", type=int, default=2, help="agents to start (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Run the sweep and write its report; 0 if at least one trial finished and nobody interrupted.

    Raises:
        UserError: the sweep file is refused, or the server cannot start.
    """
    agents.require_positive("--n", args.n)
    if not args.sweep.is_file():
        raise UserError("--sweep", got=str(args.sweep), rule="is no file", fix="run it where sweeps/demo.yaml is")
    begin = time.monotonic()
    with server(FOLDER / "server") as env:
        sweep = create_sweep(args.sweep, env)
        print(f"sweep {sweep}", flush=True)
        code = agents.run(sweep, n=args.n, env=env)
        if reported := subprocess.run(cola_sweep("report", sweep, "--out", str(REPORTS)), env=env).returncode:
            return reported
    with (REPORTS / sweep.split("/")[-1] / "runs.csv").open(newline="", encoding="utf-8") as file:
        states = [row["state"] for row in csv.DictReader(file)]
    finished = states.count("finished")
    print(f"{finished} of {len(states)} trials finished; from server to report in {time.monotonic() - begin:.0f} s")
    print(f"its pages: cola-sweep serve --data-dir {FOLDER / 'server'}")
    if code in agents.INTERRUPTED:
        return code
    return 0 if finished else 1


@contextmanager
def server(data_dir: Path) -> Iterator[dict[str, str]]:
    """The embedded server on a free port while the block runs; gives the environment of its clients."""
    where = ["--data-dir", str(data_dir)]
    # Seeded, so that the demo tries the same trials each time.
    serve = cola_sweep("serve", "--background", "--port", "0", "--seed", "1", *where)
    done = subprocess.run(serve, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise UserError("the embedded server", rule=done.stderr.strip().removeprefix("error: "), fix="then try again")
    try:
        address = json.loads((data_dir / "server.json").read_text(encoding="utf-8"))
        yield client_environment(os.environ, data_dir.parent, address["base_url"], address["api_key"])
    finally:
        subprocess.run(cola_sweep("serve", "--stop", *where))


def client_environment(env: Mapping[str, str], folder: Path, base_url: str, api_key: str) -> dict[str, str]:
    """`env` with no other W&B setting than this server, and the client's files below `folder`."""
    kept = {name: value for name, value in env.items() if not name.startswith("WANDB_")}
    folders = {
        f"WANDB_{name}": str(folder.absolute() / "client") for name in ("DIR", "CONFIG_DIR", "DATA_DIR", "CACHE_DIR")
    }
    Path(folders["WANDB_DIR"]).mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    # Quiet: without each run's summary and sparklines, which the report shows better.
    return {
        **kept,
        **folders,
        "PATH": path,
        "WANDB_BASE_URL": base_url,
        "WANDB_API_KEY": api_key,
        "WANDB_QUIET": "true",
    }


def create_sweep(file: Path, env: Mapping[str, str]) -> str:
    """`wandb sweep FILE`; returns the path it prints: entity/project/id."""
    command = [sys.executable, "-m", "wandb", "sweep", str(file)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # The last column is coloured where the client thinks it writes to a terminal.
    match = re.search(r"wandb agent (?P<path>[\w./-]+)", re.sub(r"\x1b\[[0-9;]*m", "", done.stdout))
    if match is None:
        last = done.stdout.strip().splitlines()[-1:] or ["no answer"]
        raise UserError(str(file), rule=f"wandb sweep refused it: {last[0]}", fix=f"run cola-sweep check {file}")
    return match["path"]


def cola_sweep(*words: str) -> list[str]:
    return [sys.executable, "-m", "cola_sweep", *words]
