"""The models that a sweep keeps, with the real client: the best, and any that somebody gave an alias."""

import json
from pathlib import Path

from tests.system.conftest import LiveServer

SCRIPT = """
import json, os, wandb
from pathlib import Path
from types import SimpleNamespace
from cola_sweep.artifacts import keep_model

warned = []
wandb.termwarn = lambda line, **_: warned.append(line)
folder = Path("model")
folder.mkdir()
sweep = wandb.sweep({"method": "random", "metric": {"name": "valid/mcc", "goal": "maximize"},
                     "parameters": {"lr": {"min": 0.0, "max": 1.0}}}, project="kept")
settings = wandb.Settings(sweep_id=sweep)
stages = []
for number, mcc in enumerate([0.3, 0.1, 0.2, 0.05, 0.4, 0.5]):
    (folder / "weights").write_text(f"of {number}")
    with wandb.init(project="kept", id=f"r{number}", settings=settings) as run:
        keep_model(run, SimpleNamespace(epoch=1, metrics={"valid/mcc": mcc}), folder, keep=2)
    api = wandb.Api()
    stages.append(sorted(c.name for c in api.artifact_collections("kept", "model")))
    if number == 2:
        model = api.artifact("kept/model-r0:best")
        model.aliases.append("champion")
        model.save()
copies = [str(path) for path in Path().rglob("*") if path.is_file() and path.read_bytes()[:3] == b"of "]
held = Path(api.artifact("kept/model-r0:champion").download("held"), "weights").read_text()
print(json.dumps([stages, held, copies, warned]))
"""


def test_the_best_two_stay_and_the_champion_too(live_server: LiveServer, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    out = live_server.python(
        script, cwd=tmp_path, WANDB_CACHE_DIR=str(tmp_path / "cache"), WANDB_DATA_DIR=str(tmp_path)
    )
    stages, held, copies, warned = json.loads(out.splitlines()[-1])
    assert stages == [
        ["model-r0"],
        ["model-r0", "model-r1"],
        ["model-r0", "model-r2"],
        ["model-r0", "model-r2"],  # r3 is no better than they: not uploaded
        ["model-r0", "model-r4"],
        ["model-r0", "model-r4", "model-r5"],  # r0 has fallen behind, but is the champion
    ]
    assert held == "of 0"
    assert copies == ["model/weights"], "neither wandb's staging nor its cache keeps what was uploaded"
    assert warned == [], "nor is anything amiss with the first model of a project"
