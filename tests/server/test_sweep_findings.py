"""What `wandb sweep` says of a file, against the server, is what `cola-sweep check` says of it.

But for file and line, which the server does not see, and for what is on a machine: agents may run on another.
"""

from pathlib import Path
from typing import Any

import pytest
import wandb
from starlette.testclient import TestClient
from wandb.errors import UsageError

from cola_sweep import sources
from cola_sweep.check import SWEEPS, examine
from tests.server.test_sweep_files import upsert
from tests.test_check import DOUBTFUL, FITTING, HEAD, ROOT, TRIAL, WRONG, started

# The client leaves the files that it reads to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
OURS = [path.read_text() for path in sorted((ROOT / SWEEPS).glob("*.yaml"))]
LISTED = [f"{HEAD}{TRIAL}parameters: {parameters}" for parameters in (*FITTING, *(p for p, _ in WRONG))]


def told(client: TestClient, file: Path) -> list[str]:
    """What `wandb sweep` shows: why it was refused, or what it was warned of."""

    def execute(query: str, variables: dict[str, Any]) -> Any:
        answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
        if "errors" in answer:
            raise UsageError(answer["errors"][0]["message"])
        return answer["data"]

    try:
        return upsert(execute, file)[1]
    except UsageError as refused:
        return str(refused).splitlines()


def expected(file: Path) -> list[str]:
    """What `cola-sweep check` says, of errors alone where there are any."""
    found = [(finding.severity, str(finding).split(": ", 1)[1]) for finding in examine(file)[1]]
    return [line for severity, line in found if severity == "error"] or [line for _, line in found]


def test_the_server_says_what_check_says(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "findings", lambda spec: [])
    file, differ = tmp_path / "sweep.yaml", []
    for text in (*OURS, *LISTED, *(started(text) for text, _ in DOUBTFUL)):
        file.write_text(text)
        lines = sorted(expected(file))
        if any("`wandb sweep` takes" in line for line in lines):
            with pytest.raises((ValueError, wandb.Error), match="ambiguous"):  # the client's own word
                told(client, file)
        elif sorted(told(client, file)) != lines:
            differ.append((text, told(client, file), lines))
    assert differ == []
