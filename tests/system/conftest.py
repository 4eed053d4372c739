"""A running server and what the real client needs to talk to it and to nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cola_sweep.server import process


@dataclass(frozen=True)
class LiveServer:
    """A server in a process of its own, and the environment of a client that uses it."""

    base_url: str
    api_key: str
    user: str
    data_dir: Path
    env: dict[str, str]

    def run(self, *words: str, cwd: Path, timeout: float = 300, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program as the client's user would, and fail with its words if it fails."""
        done = subprocess.run(
            words, cwd=cwd, env=self.env | env, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def python(self, script: Path, *words: str, cwd: Path, timeout: float = 300, **env: str) -> str:
        """Run a Python script with the client in reach; returns what it printed."""
        return self.run(sys.executable, str(script), *words, cwd=cwd, timeout=timeout, **env).stdout


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """The embedded server on a free port, its data and the client's folders in temporary ones."""
    folder = tmp_path_factory.mktemp("live")
    data_dir = folder / "server"
    # Through a process of its own: a child that this one starts and leaves would be its to wait for.
    serve = [sys.executable, "-m", "cola_sweep.server", "--background", "--port", "0", "--data-dir", str(data_dir)]
    subprocess.run(serve, check=True, timeout=300)
    try:
        address = process.find(data_dir)
        assert address is not None
        yield LiveServer(address.base_url, address.api_key, address.user, data_dir, client_env(address, folder))
    finally:
        process.stop(data_dir)


def client_env(address: process.Address, folder: Path) -> dict[str, str]:
    """The environment of a client that knows this server and keeps everything it writes below `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    paths = {"DIR": "", "CONFIG_DIR": "config", "CACHE_DIR": "cache", "DATA_DIR": "data", "ARTIFACT_DIR": "artifacts"}
    home = folder / "home"
    home.mkdir()
    return kept | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
        "WANDB_BASE_URL": address.base_url,
        "WANDB_API_KEY": address.api_key,
        "WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "1",
        "WANDB_SILENT": "true",
        **{f"WANDB_{name}": str(folder / path) for name, path in paths.items()},
    }
