"""A machine is taken away: its trial saves, goes to the head of the queue, and an agent on another machine ends it."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import LiveServer
from tests.system.test_sweeps import wait_for

pytest.importorskip("submitit", reason="the extra `slurm` is not installed")
# Its first trial does not end by itself. Its checkpoint is the number of the next epoch, among the run's files.
TRAIN = """
import os, pathlib, signal, sys, time, wandb

asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
place = pathlib.Path(os.environ["PLACE"])
with wandb.init(resume="allow") as run:
    public = wandb.Api().run(f"{run.entity}/{run.project}/{run.id}")
    kept = [file.download(root=str(place), replace=True).read() for file in public.files(names=["epoch"])]
    epoch = int(kept[0]) if kept else 0
    last = 10**9 if run.config["a"] == 0 and not kept else epoch + 3
    while epoch < last:
        run.log({"epoch": epoch, "place": place.name}, step=epoch)
        epoch += 1
        place.joinpath("ready").touch()
        if asked:
            place.joinpath("epoch").write_text(str(epoch))
            public.upload_file(str(place / "epoch"), root=str(place))
            run.mark_preempting()
            sys.exit(143)
        time.sleep(0.1)
"""
SHOW = """
import json, sys, wandb
runs = wandb.Api().sweep(sys.argv[1]).runs
print(json.dumps({
    run.config["a"]: [run.state, [(row["epoch"], row["place"]) for row in run.scan_history()]] for run in runs
}))
"""


def read_all(logs: Path) -> str:
    return "".join(path.read_text() for path in logs.rglob("*_log.*"))


def test_the_trial_of_a_machine_that_goes_is_ended_by_another_before_new_ones(
    live_server: LiveServer, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "sweep.yaml").write_text("{program: train.py, method: grid, parameters: {a: {values: [0, 1]}}}")
    made = live_server.run("wandb", "sweep", "-p", "moved", "sweep.yaml", cwd=tmp_path, WANDB_SILENT="false")
    path = re.findall(r"wandb agent (\S+)", made.stderr)[0]
    places = {name: tmp_path / name for name in ("here", "there")}
    for place in places.values():
        place.mkdir()

    def start(place: str, *words: str) -> "subprocess.Popen[bytes]":
        env = live_server.env | {"PLACE": str(places[place]), "COLA_SWEEP_HUB": "0"}
        with (tmp_path / f"{place}.log").open("wb") as log:
            return subprocess.Popen([sys.executable, "-m", *words], cwd=tmp_path, env=env, stdout=log, stderr=log)

    here = start("here", "cola_sweep", "agents", path, "--cold")
    try:
        wait_for((places["here"] / "ready").exists)
    finally:
        here.send_signal(signal.SIGTERM)
        code = here.wait(300)
    assert code == 128 + signal.SIGTERM
    # The second machine is a job of SLURM's, in submitit's executor for this one; it is handed over and left.
    slurm = ["--cold", "--on", "slurm", "--slurm", "cluster=local", "--slurm", "gpus_per_node=0"]
    assert start("there", "cola_sweep", "agents", path, *slurm).wait(300) == 0
    logs = tmp_path / ".cola-sweep" / "slurm"
    wait_for(lambda: "received command: exit" in read_all(logs))
    commands = re.findall(r"received command: (\w+)", read_all(logs))
    assert commands == ["resume", "run", "exit"]
    found = json.loads(live_server.python(tmp_path / "show.py", path, cwd=tmp_path, timeout=300).splitlines()[-1])
    assert {state for state, _ in found.values()} == {"finished"}
    rows = found["0"][1]
    assert [epoch for epoch, _ in rows] == list(range(len(rows))), "each epoch once"
    assert [where for _, where in rows] == ["here"] * (len(rows) - 3) + ["there"] * 3
