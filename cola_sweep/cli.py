"""The `cola-sweep` command: names each subcommand's module and imports only the one that is run."""

import sys
from collections.abc import Sequence
from importlib import import_module

from cola_sweep import __version__
from cola_sweep.errors import ArgumentParser, run_main

# name: (module with add_arguments(parser) and main(args), line of help)
COMMANDS = {
    "check": ("cola_sweep.check", "check sweep files before anything starts"),
    "doctor": ("cola_sweep.doctor", "look for what a trial would stumble over on this machine"),
    "serve": ("cola_sweep.server.serve", "start, stop or ask after the embedded W&B server"),
    "agents": ("cola_sweep.agents", "run several wandb agents on this machine"),
    "warm": ("cola_sweep.warm_server", "fork trials from one process that has everything imported"),
    "report": ("cola_sweep.report", "write the report of a sweep"),
    "winner": ("cola_sweep.winner", "repeat the best configurations over fresh seeds, and name the champion"),
    "dashboard": ("cola_sweep.dashboard", "show a sweep as a study in optuna-dashboard"),
    "demo": ("cola_sweep.demo", "a whole sweep on the embedded server, no account and no network"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Raises:
        UserError: what the user gave cannot be used; `entry` shows it.
    """
    parser = ArgumentParser(prog="cola-sweep", description="W&B sweeps that fine-tune text encoders on CoLA.")
    parser.add_argument("--version", action="version", version=f"cola-sweep {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    words = sys.argv[1:] if argv is None else list(argv)
    for name, (module, help_text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_text, description=f"{help_text[0].upper()}{help_text[1:]}.")
        if name in words[:1]:
            import_module(module).add_arguments(subparser)
    args = parser.parse_args(words)
    code: int = import_module(COMMANDS[args.command][0]).main(args)
    return code


def entry() -> int:
    """The console script: a user's mistake is one line on stderr and exit code 2."""
    return run_main(main)
