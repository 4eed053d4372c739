"""Trials that are cut off and taken up again, each in a fork of this process; run by `test_interrupted_trials`.

    python -m tests.system.interrupted_trials CORPUS CHECKPOINT SERVER

Prints, as JSON, what the runs have in the end. Every epoch has 6 steps. SERVER is the folder of the server, which is
killed and started again while a trial logs.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from socketserver import StreamRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytorch_lightning as pl
import wandb
from pytorch_lightning.demos.boring_classes import BoringModel

from cola_sweep import model, resume, tracking, train
from cola_sweep.callbacks import StopOnRequest
from cola_sweep.connection import graphql
from cola_sweep.endings import Stopped, StopRequest
from cola_sweep.replay import ENDING
from cola_sweep.server import process
from cola_sweep.warm_server import PRELOAD, fill_caches, import_all

TIMES = ("_timestamp", "_runtime")
STOP = "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }"


def attempt(
    run_id: str, flags: list[str], in_step: Mapping[int, Callable[[], object]], folder: str = "here", **env: str
) -> int:
    """One process of a trial, to which something happens in some of its steps; returns its exit code as Popen has it.

    Args:
        in_step: what happens, by the number of the step, from 0.
    """
    if pid := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    Path(folder).mkdir(exist_ok=True)
    os.environ |= {"WANDB_RUN_ID": run_id, "WANDB_RESUME": "allow", "WANDB_DIR": os.path.abspath(folder), **env}
    resume.SAVE_SECONDS, tracking.ANSWER_SECONDS = 0.0, 600.0
    real = model.AcceptabilityModel.training_step

    def training_step(self: Any, *rest: Any) -> Any:
        in_step.get(self.trainer.global_step, lambda: None)()
        return real(self, *rest)

    model.AcceptabilityModel.training_step = training_step  # type: ignore[method-assign,assignment]
    code, before = 1, set(sys.modules)
    try:
        code = train.main(flags)
    except BaseException:
        traceback.print_exc()
    finally:
        Path(f"{run_id}.imports").write_text(json.dumps(sorted(set(sys.modules) - before)))
        sys.stdout.flush()
        os._exit(code)
    return code


class Told(StopOnRequest):
    """Has a stop come to the second rank in the fourth step, and writes down at which step each rank ends."""

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        if (trainer.global_rank, trainer.global_step) == (1, 4):
            self._request.receive(signal.SIGTERM)
        try:
            super().on_train_batch_end(trainer, *rest)
        except Stopped as stop:
            Path(f"rank-{trainer.global_rank}").write_text(json.dumps([trainer.global_step, stop.signum]))
            raise


def two_ranks() -> list[Any]:
    """Where two processes of one fit end when one of them is told to: step and signal of each."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return [json.loads(path.read_text()) for path in sorted(Path().glob("rank-*"))]
    try:
        request = StopRequest()
        request.deferred = True
        trainer = pl.Trainer(
            accelerator="cpu", devices=2, strategy="ddp_fork", max_epochs=1, callbacks=[Told(request)], logger=False,
            enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=False,
        )  # fmt: skip
        trainer.fit(BoringModel())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def back_again(data_dir: Path, port: int) -> None:
    """Start the server that was killed, once the client has sent what it has again and again, and waited in between."""
    requests: SimpleQueue[bytes] = SimpleQueue()

    class HangUp(StreamRequestHandler):
        def handle(self) -> None:
            requests.put(self.rfile.readline())

    with ThreadingHTTPServer(("127.0.0.1", port), HangUp) as nobody:
        threading.Thread(target=nobody.serve_forever, kwargs={"poll_interval": 0.05}).start()
        tries = 0
        while tries < 3:
            tries += b"/file_stream " in requests.get(timeout=600)
        nobody.shutdown()
    serve = [sys.executable, "-m", "cola_sweep.server", "--background"]
    words = [*serve, "--port", str(port), "--data-dir", str(data_dir)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def stopped_by_the_server() -> None:
    """What an agent's trial sees: somebody stops the run on its page, and SIGTERM follows."""
    api = wandb.Api()
    graphql(api, STOP, {"id": api.run("interrupted/stopped").storage_id})
    signal.raise_signal(signal.SIGTERM)


def look(run_id: str) -> dict[str, Any]:
    """What the server has of a run, but for times and costs, which no two runs share."""
    run = wandb.Api().run(f"interrupted/{run_id}")
    rows = [{key: value for key, value in row.items() if key not in TIMES} for row in run.scan_history()]
    (artifact,) = (each for each in run.logged_artifacts() if each.type == "model")
    summary = run.summary._json_dict
    return {
        "state": run.state,
        "rows": [row for row in rows if not ENDING & row.keys()],
        "costs": [row["cost/seconds"] for row in rows if "cost/seconds" in row],
        "tables": sum("predictions" in row for row in rows),
        "summary": {key: value for key, value in summary.items() if key.startswith(("train", "valid", "best"))},
        "ended badly": [key for key in ("stopped", "failure") if key in summary],
        "weights": {name: e.digest for name, e in artifact.manifest.entries.items() if name.endswith(".safetensors")},
        "sent": [file.name for file in run.files(pattern="resume/%")],
    }


def main(corpus: str, checkpoint: str, data_dir: str) -> None:
    import_all(PRELOAD)  # once, rather than in each fork
    fill_caches()
    os.environ["WANDB_PROJECT"] = "interrupted"
    flags = [
        f"--data={corpus}", f"--checkpoint={checkpoint}", "--epochs=4", "--batch-size=8", "--lr=0.02",
        "--max-length=16", "--dropout=0.1",
    ]  # fmt: skip
    server = process.find(Path(data_dir))
    assert server
    port = urlsplit(server.base_url).port or 0
    away = {8: lambda: os.kill(server.pid, 9), 14: lambda: back_again(Path(data_dir), port)}
    codes = [
        attempt("whole", flags, {}),
        attempt("alone", flags, away, WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS="0.5"),  # each pause doubles the last
        attempt("cut", flags, {8: lambda: signal.raise_signal(signal.SIGKILL)}),
        attempt("cut", flags, {20: lambda: signal.raise_signal(signal.SIGTERM)}, COLA_SWEEP_PREEMPTIBLE="1"),
    ]
    run = wandb.Api().run("interrupted/cut")
    between = {"state": run.state, "sent": [file.name for file in run.files(pattern="resume/%")]}
    codes += [
        attempt("cut", flags, {}, folder="there"),
        attempt("stopped", flags, {8: stopped_by_the_server}, COLA_SWEEP_PREEMPTIBLE="1"),
    ]
    run = wandb.Api().run("interrupted/stopped")
    stopped = [run.state, run.summary["stopped"], len(list(run.files(pattern="resume/%")))]
    ranks = two_ranks()
    left = [str(path) for path in Path().glob("*/wandb/trials/*")]
    runs = {run_id: look(run_id) for run_id in ("whole", "alone", "cut")}
    imports = json.loads(Path("whole.imports").read_text())
    seen = {"codes": codes, "between": between, "stopped": stopped, "left": left, "imports": imports, "ranks": ranks}
    print(json.dumps(seen | runs))


if __name__ == "__main__":
    main(*sys.argv[1:])
