"""What reports keep between two calls: runs as they were pulled, tables, and what a report was made of.

All of it can be pulled and made again, so whatever cannot be read is as if it were not there, and the
oldest goes when there is too much. Files take their place whole: two reports at once do no harm.
Imports `cache` and `records`.

    kept/runs/<sweep>.json    runs with the time of their last change
    kept/tables/<sha256>      bytes that never change
    kept/reports/<folder>     digests of the files written there
"""

import contextlib
import functools
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cola_sweep.cache import cache_folder
from cola_sweep.records import Record

MOST_BYTES = 256 * 2**20
# Versions that decide a report's bytes, beside this package's own files.
DRAWN_WITH = ("jinja2", "matplotlib", "numpy", "optuna", "pandas", "scikit-learn", "scipy", "seaborn")

Stamp = list[Any]  # what tells that a run has changed since


def default_folder() -> Path:
    """In the user's cache, which `COLA_SWEEP_CACHE` moves."""
    return cache_folder("report")


def load_runs(folder: Path | None, sweep: str) -> dict[str, tuple[Stamp, Record]]:
    """Runs by id, each with its stamp.

    Args:
        folder: None for a report that keeps nothing.
        sweep: address of the server and path of the sweep.
    """
    kept = _read_json(folder, "runs", _name(sweep))
    try:
        if kept["made_by"] == code_version():
            return {run["id"]: (stamp, Record(**run)) for stamp, run in kept["runs"]}
    except (KeyError, TypeError, ValueError):
        pass
    return {}


def every_run(folder: Path | None) -> list[Record]:
    """The runs of all sweeps that were pulled, whichever code kept them; what cannot be read is left out."""
    found = []
    for path in sorted(folder.glob("runs/*")) if folder else ():
        with contextlib.suppress(OSError, KeyError, TypeError, ValueError):
            found += [Record(**run) for _, run in json.loads(path.read_bytes())["runs"]]
    return found


def save_runs(folder: Path | None, sweep: str, runs: Mapping[str, tuple[Stamp, Record]]) -> None:
    """Keep runs in the place of those of an earlier pull."""
    content = {"made_by": code_version(), "runs": [[stamp, asdict(record)] for stamp, record in runs.values()]}
    _write(folder, "runs", _name(sweep), json.dumps(content).encode())


def load_bytes(folder: Path | None, sha256: str) -> bytes | None:
    """What has that SHA-256, if it is kept and unharmed."""
    content = _read(folder, "tables", sha256) if sha256.isalnum() else None
    return content if content is not None and digest(content) == sha256 else None


def save_bytes(folder: Path | None, sha256: str, content: bytes) -> None:
    """Keep `content`, if that is its SHA-256."""
    if digest(content) == sha256:
        _write(folder, "tables", sha256, content)


def recall(folder: Path | None, target: Path, inputs: str) -> list[str] | None:
    """What was said when the files now in `target` were made of the same `inputs` by the same code, else None."""
    kept = _read_json(folder, "reports", _name(str(target.resolve())))
    try:
        if [kept["made_by"], kept["inputs"], kept["files"]] == [code_version(), inputs, _digests(target)]:
            return [str(line) for line in kept["said"]]
    except (KeyError, TypeError, OSError):
        pass
    return None


def remember(folder: Path | None, target: Path, inputs: str, said: Sequence[str]) -> None:
    """Note what the files in `target` were made of, and what was said of it."""
    content = {"made_by": code_version(), "inputs": inputs, "files": _digests(target), "said": list(said)}
    _write(folder, "reports", _name(str(target.resolve())), json.dumps(content).encode())


@functools.cache
def code_version() -> str:
    """Digest of this package's files (the server's aside) and of the versions of what it draws with."""
    package = Path(__file__).parent
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*")):
        inside = path.relative_to(package)
        if path.is_file() and inside.parts[0] != "server" and "__pycache__" not in inside.parts:
            whole.update(f"{inside}\0{digest(path.read_bytes())}\0".encode())
    for name in DRAWN_WITH:
        with contextlib.suppress(PackageNotFoundError):
            whole.update(f"{name} {version(name)}\0".encode())
    return whole.hexdigest()


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: digest(path.read_bytes()) for path in sorted(folder.iterdir())}


def _name(text: str) -> str:
    return digest(text.encode())[:32]


def _read(folder: Path | None, *parts: str) -> bytes | None:
    if folder is None:
        return None
    path = folder.joinpath(*parts)
    try:
        content = path.read_bytes()
        os.utime(path)  # the oldest go first
    except OSError:
        return None
    return content


def _read_json(folder: Path | None, *parts: str) -> Any:
    try:
        return json.loads(_read(folder, *parts) or b"{}")
    except ValueError:
        return {}


def _write(folder: Path | None, kind: str, name: str, content: bytes) -> None:
    """Put a file in its place whole; a full or read-only disk costs the next report time, and this one nothing."""
    if folder is None:
        return
    with contextlib.suppress(OSError):
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".new-", delete=False) as file:
            file.write(content)
        os.replace(file.name, place / name)
        _drop_oldest(folder)


def _drop_oldest(folder: Path) -> None:
    """Keep the newest files that MOST_BYTES hold; what a killed report left half written ages like the rest."""
    left = MOST_BYTES
    for _, size, path in sorted(_sizes(folder), reverse=True):
        left -= size
        if left < 0:
            path.unlink(missing_ok=True)


def _sizes(folder: Path) -> Iterator[tuple[float, int, Path]]:
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            status = path.stat()
            yield status.st_mtime, status.st_size, path
