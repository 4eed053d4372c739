"""`wandb verify`, the client's own check of a server."""

from pathlib import Path

from tests.system.conftest import LiveServer

# Its last check runs nine trials one after the other, most of a minute; test_sweeps.py has agents.
VERIFY = """
import os
from wandb.cli.cli import cli
from wandb.sdk.verify import verify
verify.check_sweeps = lambda api: True
cli(["verify", "--host", os.environ["WANDB_BASE_URL"]])
"""


def test_every_check_passes_but_those_for_https(live_server: LiveServer, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(VERIFY)
    printed = live_server.python(script, cwd=tmp_path, PYTHONIOENCODING="utf-8", TMPDIR=str(tmp_path))
    checks = [line for line in printed.splitlines() if line.startswith("Checking")]
    failed = [check.split("..")[0] for check in checks if not check.endswith("\N{WHITE HEAVY CHECK MARK}")]
    assert failed == ["Checking requests to base url", "Checking requests made over signed URLs"]
    assert len(checks) == 9
