"""`cola-sweep serve`: the embedded server, in the foreground or the background. Light to import."""

import argparse
import logging
from pathlib import Path

from cola_sweep import login
from cola_sweep.errors import UserError
from cola_sweep.server import process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep serve`."""
    parser.add_argument("--port", type=int, default=8080, help="0 picks a free one (default: 8080)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--allow-remote", action="store_true", help="let --host be one that other machines reach")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(".cola-sweep/server"),
        help="folder of everything the server keeps (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, help="seed of each sweep's search (default: one drawn for each sweep)")
    parser.add_argument(
        "--login",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="with --background: log wandb in to the server in this folder, until --stop; never over another login",
    )
    parser.add_argument(
        "--allow-provisioning", action="store_true", help="let anyone make accounts; for W&B's own system tests alone"
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--background", action="store_true", help="return when the server answers")
    action.add_argument("--status", action="store_true", help="say what runs, and which fields it did not know")
    action.add_argument("--stop", action="store_true", help="end the server that runs on the data folder")


def main(args: argparse.Namespace) -> int:
    """Do what the flags say; returns the exit code.

    Raises:
        UserError: the folder, the port, the host or the flags cannot be used.
    """
    data_dir = args.data_dir.absolute()
    if args.status:
        return _status(data_dir)
    if args.stop:
        return _stop(data_dir)
    options = process.Options(
        data_dir, args.host, args.port, args.allow_remote, args.seed, provisioning=args.allow_provisioning
    )
    if args.login and not args.background:
        raise UserError("--login", rule="is for a server in the background", fix="add --background")
    if args.background:
        address = process.start(options)
        _announce(address)
        if args.login:
            print(login.login(address.base_url, address.api_key, Path.cwd(), _login_record(data_dir)))
    else:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        process.run(options)
    return 0


def _announce(address: process.Address) -> None:
    print(f"serving {address.base_url} as {address.user}")
    print(f"pages, signed in once: {address.login_url}")


def _status(data_dir: Path) -> int:
    address = process.find(data_dir)
    if address is None:
        print(f"no server runs on {data_dir}")
        return 1
    _announce(address)
    unknown = process.unknown_fields(data_dir)
    print(f"fields that clients asked for in vain: {len(unknown) or 'none'}")
    for name, count in unknown.items():
        print(f"  {name} {count}")
    return 0


def _stop(data_dir: Path) -> int:
    address = process.stop(data_dir)
    print(f"stopped {address.base_url}" if address else f"no server runs on {data_dir}")
    if login.logout(_login_record(data_dir)):
        print("wandb is logged out of it")
    return 0


def _login_record(data_dir: Path) -> Path:
    return data_dir / "login.json"
