"""Server, sweep, two agents at once, report: as a person types it, logged in by `serve --login` and nothing else."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SWEEP = """
method: grid
project: cola-sweep
program: cola_sweep/train.py
command: ["${{env}}", "${{interpreter}}", "-m", "cola_sweep.train"]
metric: {{name: valid/mcc, goal: maximize}}
parameters:
  lr: {{values: [1.0e-3, 5.0]}}
  batch_size: {{values: [4, 8]}}
  epochs: {{value: 2}}
  data: {{value: {data}}}
  checkpoint: {{value: {checkpoint}}}
"""

READ_BACK = """
import json, sys, wandb
api = wandb.Api()
sweep = api.sweep(sys.argv[1])
best = sweep.best_run()
tables = {}
for artifact in best.logged_artifacts():
    if artifact.type == "run_table":
        name = artifact.name.split(":")[0].removeprefix(f"run-{best.id}-")
        (key,) = [p.removesuffix(".table.json") for p in artifact.manifest.entries if p.endswith(".table.json")]
        tables[name] = json.loads(artifact.get(key).get_dataframe().to_json(orient="records"))
print(json.dumps({
    "best": best.name,
    "state": sweep.state,
    "summary": dict(best.summary._json_dict),
    "config": best.config,
    "models": [a.aliases for a in best.logged_artifacts() if a.type == "model"],
    "history": [row["valid/mcc"] for row in best.scan_history(keys=["valid/mcc"])],
    "all": {run.name: run.summary["valid/mcc"]["max"] for run in sweep.runs},
    "tables": tables,
}))
"""


class Shell:
    """A folder in which a user types, with no W&B setting but what `serve --login` writes, and no way outside."""

    def __init__(self, folder: Path) -> None:
        home = folder / "home"
        home.mkdir()
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "COLA_SWEEP_"))}
        # wandb-core is no Python process: a proxy that nobody runs closes its way outside.
        nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
        self.env = kept | nowhere | {
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
            "PYTHONPATH": str(Path(__file__).parent / "no_network"),
        }  # fmt: skip

    def type(self, *words: str) -> str:
        done = subprocess.run(words, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    shell = Shell(tmp_path_factory.mktemp("user"))
    shell.type("cola-sweep", "serve", "--background", "--login", "--port", "0")
    yield shell
    shell.type("cola-sweep", "serve", "--stop")
    assert not (shell.folder / "home" / ".netrc").exists()


@pytest.fixture(scope="module")
def sweep(shell: Shell, tiny_corpus: Path, tiny_checkpoint: Path) -> str:
    """A finished sweep of four trials: its path."""
    (shell.folder / "sweep.yaml").write_text(SWEEP.format(data=tiny_corpus, checkpoint=tiny_checkpoint))
    said = shell.type("wandb", "sweep", "sweep.yaml")
    path = re.search(r"wandb agent (\S+)", said)
    assert path is not None, said
    said = shell.type("cola-sweep", "agents", path[1], "--n", "2")
    assert {"agent 1", "agent 2"} <= set(re.findall(r"^agent \d", said, re.MULTILINE))
    if sys.platform == "linux":
        assert "warm: ready" in said
        assert "starts cold" not in said
    return path[1]


@pytest.fixture(scope="module")
def read_back(shell: Shell, sweep: str) -> dict[str, object]:
    (shell.folder / "read_back.py").write_text(READ_BACK)
    said = shell.type("python", "read_back.py", sweep)
    return json.loads(next(line for line in said.splitlines() if line.startswith("{")))  # type: ignore[no-any-return]


def test_two_agents_try_each_cell_once_and_the_report_ranks_them(shell: Shell, sweep: str) -> None:
    shell.type("cola-sweep", "report")  # the newest sweep, of the project in the file
    folder = shell.folder / "reports" / sweep.split("/")[-1]
    with (folder / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = sorted((float(row["config.lr"]), int(float(row["config.batch_size"]))) for row in rows)
    assert cells == [(1e-3, 4), (1e-3, 8), (5.0, 4), (5.0, 8)]
    page = (folder / "index.html").read_text()
    assert "CoLA from folder" in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//(?!127\.0\.0\.1)""", page), "the page reaches outside"
    assert (folder / "report.md").read_text().startswith("# ")


def test_the_best_run_of_the_api_is_the_best_epoch_of_all(read_back: dict) -> None:  # type: ignore[type-arg]
    assert read_back["state"] == "FINISHED"
    best = max(read_back["all"].values())
    assert read_back["all"][read_back["best"]] == best == read_back["summary"]["valid/mcc"]["max"]
    assert len(read_back["history"]) == 2
    assert max(read_back["history"]) == best
    assert read_back["summary"]["valid/mcc"]["last"] == read_back["history"][-1]
    assert read_back["models"] == [["best", "latest"]] or read_back["models"] == [["latest", "best"]]
    assert read_back["config"]["provenance"]["data_kind"] == "folder"


def test_the_examples_are_exactly_the_wrong_predictions(read_back: dict) -> None:  # type: ignore[type-arg]
    predictions = read_back["tables"]["predictions"]
    assert [row["index"] for row in predictions] == list(range(24))
    wrong = {row["sentence"] for row in predictions if row["label"] != row["predicted"]}
    assert {row["sentence"] for row in read_back["tables"]["examples"]} == wrong


def test_a_sweep_that_the_trial_cannot_run_is_refused_before_anything_starts(shell: Shell) -> None:
    (shell.folder / "bad.yaml").write_text("method: grid\nprogram: x.py\nparameters: {lr: {min: 2, max: 1}}\n")
    done = subprocess.run(
        ["wandb", "sweep", "bad.yaml"], cwd=shell.folder, env=shell.env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode != 0
    assert "parameters.lr.min: got 2; must not be above max, 1; swap them" in " ".join(done.stderr.split())
