"""The winner: the best configurations again over fresh seeds, the champion's alias, and the gate of a later report."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.system.conftest import LiveServer

PROJECT = "champions"
# As a trial of this project logs, but untrained: how many of 300 sentences are right follows from `lr` and the seed.
TRIAL = """
import random
import wandb

CLASSES = ("unacceptable", "acceptable")

def trial():
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

if __name__ == "__main__":
    trial()
"""
# In one process: how agents run trials is what other tests are about.
SWEEP = """
import wandb
from cola_sweep_trial import trial

config = {
    "method": "grid", "program": "cola_sweep_trial.py", "command": ["${env}", "${interpreter}", "${program}"],
    "metric": {"name": "valid/mcc", "goal": "maximize"},
    "parameters": {"lr": {"values": [0.7, 0.95]}, "width": {"value": 8}},
}
sweep = wandb.sweep(config)
wandb.agent(sweep, trial)
"""


class User:
    """Who types commands in a folder, against the server."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.folder = folder
        (folder / "cola_sweep_trial.py").write_text(TRIAL)
        (folder / "sweep.py").write_text(SWEEP)
        self.env = server.env | {"WANDB_PROJECT": PROJECT, "COLA_SWEEP_CACHE": str(folder / "cache")}

    def types(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def user(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> User:
    return User(live_server, tmp_path_factory.mktemp("winner"))


def test_the_winner_over_seeds_becomes_champion_and_guards_reports(user: User) -> None:
    user.types("python", "sweep.py")
    said = user.types("cola-sweep", "winner", "--best", "2", "--seeds", "2", "--cold")
    assert re.search(r"^1\. valid/mcc 0\.\d{3} ± 0\.\d{3} over 2  lr=0\.95$", said, re.MULTILINE), said
    assert "1 is better than 2: mean MCC differs by +0." in said
    (seeds,) = re.findall(r"^sweep (\S+)$", said, re.MULTILINE)
    (model,) = re.findall(r"^champion: (\S+):v0$", said, re.MULTILINE)

    # Again: the sweep that is there is taken up, nothing is run, and all stays as it is.
    again = user.types("cola-sweep", "winner", seeds, "--best", "2", "--seeds", "2")
    assert f"sweep {seeds}\n" in again
    assert f"champion: {model}:v0" in again
    assert not re.search(r"^agent \d", again, re.MULTILINE)
    # The gate asks the server who is champion.
    gate = user.types("cola-sweep", "report", seeds, "--gate")
    assert f"gate: passed: the winner is the champion, {model}:v0" in gate
