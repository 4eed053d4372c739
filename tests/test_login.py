import netrc
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cola_sweep import login

KEY = "0123456789" * 4
URL = "http://127.0.0.1:8123"


@dataclass(frozen=True)
class Machine:
    """A user's home, the folder they work in, and where the server keeps what its login wrote."""

    home: Path
    folder: Path
    record: Path

    @property
    def netrc(self) -> Path:
        return self.home / ".netrc"

    @property
    def settings(self) -> Path:
        return self.folder / "wandb" / "settings"

    def login(self, url: str = URL, key: str = KEY) -> str:
        return login.login(url, key, self.folder, self.record)

    def logout(self) -> bool:
        return login.logout(self.record)

    def files(self) -> dict[str, bytes]:
        found = (path for root in (self.home, self.folder) for path in root.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in found}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    for name in [name for name in os.environ if name.startswith("WANDB")] + ["NETRC"]:
        monkeypatch.delenv(name, raising=False)
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return Machine(home, folder, tmp_path / "login.json")


def client_sees(machine: Machine) -> tuple[str, str | None]:
    """The server and the key that the real client would use in the user's folder."""
    code = (
        "import wandb; from wandb.sdk.lib import wbauth\n"
        "url = wandb.setup().settings.base_url\n"
        "print(url, wbauth.read_netrc_auth(host=url))"
    )
    environment = {**os.environ, "WANDB_SILENT": "true"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=machine.folder, env=environment, capture_output=True, text=True, check=True
    )
    url, key = done.stdout.split()
    return url, None if key == "None" else key


def test_the_real_client_finds_the_server_after_login_and_not_after_logout(machine: Machine) -> None:
    said = machine.login()
    assert URL in said
    assert client_sees(machine) == (URL, KEY)
    assert machine.logout()
    url, key = client_sees(machine)
    assert url != URL
    assert key is None


def test_nothing_is_left_behind(machine: Machine) -> None:
    machine.login()
    machine.logout()
    assert machine.files() == {}
    assert not machine.settings.parent.exists()
    assert not machine.record.exists()
    assert machine.logout() is False


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"machine example.org login a password b",
        b"machine example.org\r\n  login a\r\n  password b\r\n",
        b"# mine\nmachine example.org login a password b\n\n",
        b"machine a login b password c\nmacdef init\ncd /tmp\nls\n\n",
        b"default login anonymous password me@example.org\n",
    ],
)
def test_other_netrc_entries_are_kept_byte_for_byte(machine: Machine, before: bytes) -> None:
    machine.netrc.write_bytes(before)
    machine.netrc.chmod(0o600)
    known = netrc.netrc(machine.netrc).hosts if before else {}
    machine.login()
    assert machine.netrc.read_bytes().startswith(before)
    assert netrc.netrc(machine.netrc).hosts == {**known, "127.0.0.1:8123": ("user", "", KEY)}
    machine.logout()
    assert machine.netrc.read_bytes() == before


def test_what_others_added_meanwhile_stays(machine: Machine) -> None:
    machine.login()
    with machine.netrc.open("a") as file:
        file.write("machine later.example login a password b\n")
    machine.settings.write_text(machine.settings.read_text() + "mode = offline\n")
    machine.logout()
    assert netrc.netrc(machine.netrc).hosts == {"later.example": ("a", "", "b")}
    assert "mode = offline" in machine.settings.read_text()
    assert "base_url" not in machine.settings.read_text()


def test_a_server_named_after_the_login_is_not_taken_back(machine: Machine) -> None:
    machine.login()
    machine.settings.write_text("[default]\nbase_url = https://other.example\n")
    machine.logout()
    assert "https://other.example" in machine.settings.read_text()


def test_other_settings_of_the_folder_are_kept(machine: Machine) -> None:
    machine.settings.parent.mkdir()
    machine.settings.write_text("[default]\nproject = demo\n")
    machine.login()
    assert client_sees(machine)[0] == URL
    machine.logout()
    assert "project = demo" in machine.settings.read_text()
    assert "base_url" not in machine.settings.read_text()


def test_the_key_is_for_its_owner_alone_even_in_a_netrc_that_was_open(machine: Machine) -> None:
    machine.netrc.write_text("machine example.org login a password b\n")
    machine.netrc.chmod(0o644)
    machine.login()
    for path in (machine.netrc, machine.record):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_netrc_that_is_a_link_stays_one(machine: Machine) -> None:
    real = machine.home / "dotfiles-netrc"
    real.write_text("machine example.org login a password b\n")
    machine.netrc.symlink_to(real)
    machine.login()
    assert machine.netrc.is_symlink()
    assert KEY in real.read_text()
    machine.logout()
    assert real.read_text() == "machine example.org login a password b\n"


def test_the_clients_own_variables_say_where_its_files_are(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.folder / ".wandb").mkdir()
    monkeypatch.setenv("NETRC", "~/my-netrc")
    monkeypatch.setenv("WANDB_DIR", str(machine.home))
    machine.login()
    assert set(machine.files()) == {str(machine.home / "my-netrc"), str(machine.folder / ".wandb" / "settings")}
    assert client_sees(machine) == (URL, KEY)


def test_a_second_login_replaces_the_first(machine: Machine) -> None:
    machine.login()
    machine.login("http://127.0.0.1:9999", "x" + KEY)
    assert netrc.netrc(machine.netrc).hosts == {"127.0.0.1:9999": ("user", "", "x" + KEY)}
    assert "http://127.0.0.1:9999" in machine.settings.read_text()
    machine.logout()
    assert machine.files() == {}


def logged_in(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.netrc.write_text(f"machine api.wandb.ai login user password {KEY}\n")


def logged_in_by_the_new_name(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.netrc.write_text(f"machine api.forge.coreweave.com\n  login user\n  password {KEY}\n")


def with_key(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)


def with_server(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")


def with_folder_settings(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.settings.parent.mkdir()
    machine.settings.write_text("[default]\nbase_url = https://wandb.example.org\n")


def with_global_settings(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine.home / ".config" / "wandb"
    folder.mkdir(parents=True)
    (folder / "settings").write_text("[default]\nbase_url = https://wandb.example.org\n")


def with_broken_netrc(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.netrc.write_text("machine\nlogin what password\n")


@pytest.mark.parametrize(
    "arrange",
    [
        logged_in,
        logged_in_by_the_new_name,
        with_key,
        with_server,
        with_folder_settings,
        with_global_settings,
        with_broken_netrc,
    ],
)
def test_where_the_user_has_another_login_nothing_is_redirected(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, arrange: Callable[[Machine, pytest.MonkeyPatch], None]
) -> None:
    arrange(machine, monkeypatch)
    before = machine.files()
    said = machine.login()
    assert f"  export WANDB_BASE_URL={URL}\n  export WANDB_API_KEY={KEY}" in said
    assert machine.files() == before
    assert machine.logout() is False
    assert machine.files() == before
