"""`cola-sweep agents`: several stock `wandb agent` processes, on this machine or on others.

`cola-sweep agents ENTITY/PROJECT/ID --n 2` starts two agents here, gives each its own GPU (or an equal share of the
cores), joins their output line by line, and ends them together. `--per-device K` lets up to K agents share a device, as
many as its memory holds: the first trial shows how much one takes. `--on ray` and `--on slurm` start them on machines
that Ray or SLURM gives.

Imports of ours the error, the hub's probe and, when it runs, `connection`, `doctor` and the place in `launch`.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers

PLACES = ("local", "ray", "slurm")
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes, as a shell has them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", help="the path that `wandb sweep` printed: ENTITY/PROJECT/ID")
    parser.add_argument("--n", type=int, help="agents to start (default: 1, or as --per-device says)")
    parser.add_argument(
        "--per-device", type=int, metavar="K",
        help="at most so many agents on each GPU, or on the machine without one; "
        "those after the first start when a first trial has shown that memory is left for them",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=int, help="trials each agent runs before it leaves (default: until the sweep ends)"
    )
    parser.add_argument("--cold", action="store_true", help="start each trial as a process of its own, imports and all")
    parser.add_argument(
        "--on", choices=PLACES, default="local",
        help="this machine (the default), actors of a Ray cluster (RAY_ADDRESS), or an array of SLURM jobs",
    )  # fmt: skip
    parser.add_argument(
        "--slurm", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of the SLURM jobs, as submitit names it: slurm_partition=gpu, timeout_min=600",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Run the agents to their end, or hand them to SLURM; see `run` of the place in `launch` for the exit code.

    Raises:
        UserError: a flag, the server or the sweep cannot be used.
    """
    require_positive("--n", args.n)
    require_positive("--per-device", args.per_device)
    require_positive("--count", args.count)
    if args.slurm and args.on != "slurm":
        raise UserError("--slurm", got=args.slurm[0], rule="is for --on slurm", fix="add --on slurm")
    settings = {"settings": read_settings(args.slurm)} if args.on == "slurm" else {}
    if args.on == "local":
        hub_answers()  # one look for all trials, which inherit the answer
    env = dict(os.environ)  # now: what wandb adds when it connects is for this process alone
    sweep = find(args.sweep)
    how = {"n": args.n, "per_device": args.per_device, "count": args.count, "cold": args.cold}
    if args.on == "local":
        return preflight(sweep.config, env) or run(path_of(sweep), env=env, **how)
    from cola_sweep.launch import far

    place = import_module(f"cola_sweep.launch.{args.on}")
    code: int = place.run(path_of(sweep), env=far.environment(env), **how, **settings)
    return code


def require_positive(flag: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(flag, got=value, rule="must be at least 1", fix=f"write {flag} 1")


def read_settings(words: list[str]) -> dict[str, str]:
    """`NAME=VALUE` by name."""
    for word in words:
        if not word.partition("=")[0] or not word.partition("=")[2]:
            raise UserError("--slurm", got=word, rule="must be NAME=VALUE", fix="write --slurm timeout_min=600")
    return dict(word.split("=", 1) for word in words)


def find(sweep: str) -> Any:
    """The sweep, which is there: an agent would look for it 20 s long, and each would complain."""
    from cola_sweep.connection import connect, find_sweep

    return find_sweep(connect(), sweep)


def path_of(sweep: Any) -> str:
    """The whole path of a sweep."""
    return f"{sweep.entity}/{sweep.project}/{sweep.id}"


def preflight(config: Mapping[str, Any], env: Mapping[str, str]) -> int:
    """Say what trials of this sweep would stumble over here; 2 if no agent should start."""
    from cola_sweep import doctor
    from cola_sweep.space import read_mapping

    try:
        spec = read_mapping(config)
    except UserError:
        spec = None  # the server took it; agents may know better
    return doctor.show(doctor.quick(spec, env), sys.stderr, silent=("ok",))


def run(sweep: str, *, env: Mapping[str, str], **how: Any) -> int:
    """Agents on this machine; see `launch.local.run`."""
    from cola_sweep.launch import local

    return local.run(sweep, env=env, **how)
