"""The winner: the best configurations again over fresh seeds, the champion's alias, and the gate of a later report."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import LiveServer

PROJECT = "champions"
SWEEP = """
method: grid
project: champions
program: cola_sweep_trial.py
command: ["${env}", "${interpreter}", "${program}"]
metric: {name: valid/mcc, goal: maximize}
parameters:
  lr: {values: [VALUES]}
  width: {value: 8}
"""
# As a trial of this project logs, but untrained: how many of 300 sentences are right follows from `lr` and the seed.
TRIAL = """
import random
import wandb

CLASSES = ("unacceptable", "acceptable")

with wandb.init() as run:
    settings = {**run.config, **run.config.get("cell", {})}
    dice = random.Random(settings.get("seed", 0))
    labels = [index % 2 for index in range(300)]
    right = [dice.random() < settings["lr"] for _ in labels]
    rows = [[i, f"s{i}", CLASSES[y], CLASSES[y if ok else 1 - y]] for i, (y, ok) in enumerate(zip(labels, right))]
    run.define_metric("valid/mcc", summary="max,last")
    run.log({"epoch": 0, "trainer/global_step": 9, "valid/mcc": 2 * sum(right) / len(right) - 1})
    run.log({"predictions": wandb.Table(["index", "sentence", "label", "predicted"], rows)})
    artifact = wandb.Artifact(f"model-{run.id}", type="model")
    with artifact.new_file("weights.txt") as file:
        file.write(run.id)
    run.log_artifact(artifact, aliases=["best", "latest"])
"""
CHAMPIONS = """
import json, sys, wandb
models = wandb.Api().artifact_collections(sys.argv[1], "model")
print(json.dumps([model.name for model in models if "champion" in model.aliases]))
"""


class User:
    """Who types commands in a folder, against the server."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        (folder / "cola_sweep_trial.py").write_text(TRIAL)
        (folder / "champions.py").write_text(CHAMPIONS)
        self.env = server.env | {"WANDB_PROJECT": PROJECT, "COLA_SWEEP_CACHE": str(folder / "cache")}
        del self.env["WANDB_SILENT"]  # `wandb sweep` says the path

    def types(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=240)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def sweeps(self, values: str) -> str:
        """Runs a sweep over `lr`; its path."""
        (self.folder / "sweep.yaml").write_text(SWEEP.replace("VALUES", values))
        path = re.search(r"wandb agent (\S+)", self.types("wandb", "sweep", "sweep.yaml"))
        assert path is not None
        self.types("cola-sweep", "agents", path[1], "--n", "2")
        return path[1]

    def champions(self) -> list[str]:
        said = self.types("python", "champions.py", f"{self.server.user}/{PROJECT}")
        # The client's own lines, of stderr, may come before or after it.
        (line,) = (line for line in said.splitlines() if line.startswith("["))
        return json.loads(line)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def user(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(live_server, tmp_path_factory.mktemp("winner"))


def test_the_winner_over_seeds_becomes_champion_and_guards_reports(user: User) -> None:
    first = user.sweeps("0.7, 0.95")
    said = user.types("cola-sweep", "winner", first, "--best", "2", "--seeds", "2", "--n", "2")
    assert re.search(r"^1\. valid/mcc 0\.\d{3} ± 0\.\d{3} over 2  lr=0\.95$", said, re.MULTILINE), said
    assert "1 is better than 2: mean MCC differs by +0." in said
    (model,) = user.champions()
    assert f"champion: {model}:v0" in said

    # Again: the sweep that is there is taken up, nothing is run, and all stays as it is.
    again = user.types("cola-sweep", "winner", first, "--best", "2", "--seeds", "2")
    (seeds,) = re.findall(r"^sweep (\S+)$", said, re.MULTILINE)
    assert f"sweep {seeds}\n" in again
    assert f"champion: {model}:v0" in again
    assert not re.search(r"^agent \d", again, re.MULTILINE)
    assert user.champions() == [model]
    assert f"gate: passed: the winner is the champion, {model}:v0" in user.types(
        "cola-sweep", "report", seeds, "--gate"
    )
