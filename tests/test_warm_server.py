"""What a warm server has ready; how trials pass through it: test_warm.py."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from cola_sweep import warm_server


@pytest.mark.parametrize("name", warm_server.PRELOAD)
def test_what_is_preloaded_is_there(name: str) -> None:
    top, *rest = name.split(".")
    spec = find_spec(top)
    assert spec is not None
    assert spec.submodule_search_locations
    place = Path(spec.submodule_search_locations[0], *rest)
    assert place.is_dir() or place.with_suffix(".py").is_file()


def test_the_program_that_is_handed_over_is_not_imported_ahead() -> None:
    assert "cola_sweep.train" not in warm_server.PRELOAD


def test_what_wandb_is_told_of_the_installed_packages_stays_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb.util

    found = list(wandb.util.working_set())
    monkeypatch.setattr(wandb.util, "working_set", lambda: iter(found))
    warm_server.fill_caches()
    for _ in range(2):  # once when a run begins, once when it is asked for
        assert list(wandb.util.working_set()) == found
    assert {"torch", "wandb"} <= {package.key for package in found}
