from pathlib import Path

import pytest

from cola_sweep.cache import cache_folder


@pytest.mark.parametrize(
    ("ours", "xdg", "folder"),
    [("", "", "/home/me/.cache/cola-sweep"), ("", "/x", "/x/cola-sweep"), ("/own", "/x", "/own")],
)
def test_the_folder_is_the_users_and_can_be_moved(
    ours: str, xdg: str, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLA_SWEEP_CACHE", ours), ("XDG_CACHE_HOME", xdg), ("HOME", "/home/me")):
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
    assert cache_folder("a", "b") == Path(folder, "a", "b")
