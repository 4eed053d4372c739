"""Log `wandb` in to a server, for one folder, the way the client itself keeps it; and take that back.

The client (0.31) reads `base_url` from `wandb/settings` below the folder it runs in, and the key from the
netrc file under the machine `HOST:PORT`. Where the user has a W&B login or server already, nothing is
changed. Imports nothing but the standard library.
"""

import configparser
import json
import netrc
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

_SECTION = "default"  # the only one the client reads
# W&B's own service; 0.31 speaks to it at the second, and finds the key of any.
_CLOUD = frozenset({"api.wandb.ai", "api.forge.coreweave.com", "forge.coreweave.com"})


@dataclass(frozen=True)
class _Written:
    """What a login wrote, kept so that the logout can take back just that."""

    netrc_path: str
    entry: str
    netrc_is_new: bool
    settings_path: str
    base_url: str
    settings_are_new: bool


def login(base_url: str, api_key: str, folder: Path, record: Path) -> str:
    """Make `wandb`, run in `folder`, speak to the server at `base_url`; returns what to tell the user.

    Args:
        record: a file in which to remember what was written.
    """
    logout(record)
    settings_path = _settings_path(folder)
    if reason := obstacle(settings_path):
        return (
            f"{reason}, so nothing is redirected. To use the server in this shell:\n"
            f"  export WANDB_BASE_URL={base_url}\n"
            f"  export WANDB_API_KEY={api_key}"
        )
    netrc_path = _netrc_path()
    before = netrc_path.read_bytes() if netrc_path.exists() else b""
    entry = f"{_gap(before)}machine {urlsplit(base_url).netloc}\n  login user\n  password {api_key}\n"
    written = _Written(
        str(netrc_path), entry, not netrc_path.exists(), str(settings_path), base_url, not settings_path.exists()
    )
    # Recorded first: a login cut short is taken back whole.
    _replace(record, json.dumps(asdict(written), indent=2).encode())
    _replace(netrc_path, before + entry.encode())
    settings = _settings(settings_path)
    settings[_SECTION]["base_url"] = base_url
    _write_settings(settings_path, settings)
    return f"wandb is logged in to {base_url} in {folder} ({settings_path}, {netrc_path})"


def logout(record: Path) -> bool:
    """Take back what the login that `record` remembers wrote, where it is still there; whether there was one."""
    try:
        written = _Written(**json.loads(record.read_text()))
    except FileNotFoundError:
        return False
    _forget_entry(written)
    _forget_settings(written)
    record.unlink()
    return True


def obstacle(settings_path: Path) -> str | None:
    """Why the user's `wandb` must be left as it is, or None."""
    for name in ("WANDB_BASE_URL", "WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(name):
            return f"{name} is set"
    path = _netrc_path()
    try:
        for machine in _CLOUD.intersection(netrc.netrc(path).hosts):
            return f"you are logged in to {machine} ({path})"
    except FileNotFoundError:
        pass
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        return f"{path} cannot be read ({error})"
    config_dir = Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb").expanduser()
    for candidate in (config_dir / "settings", settings_path):
        try:
            server = _settings(candidate)[_SECTION].get("base_url")
        except (configparser.Error, OSError, UnicodeDecodeError) as error:
            return f"{candidate} cannot be read ({error})"
        if server:
            return f"{candidate} names the server {server}"
    return None


def _forget_entry(written: _Written) -> None:
    path = Path(written.netrc_path)
    with suppress(FileNotFoundError):
        text = path.read_bytes()
        rest = text.replace(written.entry.encode(), b"", 1)
        if written.netrc_is_new and not rest:
            path.unlink()
        elif rest != text:
            _replace(path, rest)


def _forget_settings(written: _Written) -> None:
    path = Path(written.settings_path)
    with suppress(FileNotFoundError, configparser.Error):
        settings = _settings(path)
        if settings[_SECTION].get("base_url") != written.base_url:
            return
        settings.remove_option(_SECTION, "base_url")
        if written.settings_are_new and not any(settings[name] for name in settings.sections()):
            path.unlink()
            with suppress(OSError):  # the client keeps its runs there
                path.parent.rmdir()
        else:
            _write_settings(path, settings)


def _netrc_path() -> Path:
    """The file the client reads: NETRC, else ~/.netrc, else ~/_netrc if only that is there."""
    if named := os.environ.get("NETRC"):
        return Path(named).expanduser()
    usual, other = Path("~/.netrc").expanduser(), Path("~/_netrc").expanduser()
    return other if other.exists() and not usual.exists() else usual


def _settings_path(folder: Path) -> Path:
    """The client's settings of a folder: in `.wandb` if that is there, else in `wandb`, whatever WANDB_DIR says."""
    return folder / (".wandb" if (folder / ".wandb").exists() else "wandb") / "settings"


def _settings(path: Path) -> configparser.RawConfigParser:
    settings = configparser.RawConfigParser()
    settings.read(path)
    if not settings.has_section(_SECTION):
        settings.add_section(_SECTION)
    return settings


def _write_settings(path: Path, settings: configparser.RawConfigParser) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        settings.write(file)


def _gap(text: bytes) -> str:
    """What ends the last entry of a netrc file: a macro goes on to the next empty line."""
    return "" if not text or text.endswith(b"\n\n") else "\n" if text.endswith(b"\n") else "\n\n"


def _replace(path: Path, content: bytes) -> None:
    """Write a file that holds a key: whole or not at all, for its owner alone."""
    target = path.resolve()  # a netrc may be a link into someone's dotfiles
    fresh = target.with_name(target.name + ".cola-sweep")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(target)
