"""Agents as an array of SLURM jobs, through submitit (the extra `slurm`).

Each job has a GPU, or what `--slurm` says, and runs `cola-sweep agents` on it. They are handed over and left: `squeue`
shows them, `scancel` stops them. Before a job's time is up, or where it is preempted, SLURM sends SIGUSR2 (submitit
asks for that): its trials save and go back to the head of the sweep's queue, and the job is requeued.
Imports of ours the error and far; submitit inside functions.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cola_sweep.errors import UserError
from cola_sweep.launch import far

LOGS = Path(".cola-sweep/slurm")
# A job's name, its time, its device, and the seconds before its end in which trials save.
DEFAULTS: dict[str, Any] = {
    "name": "cola-sweep", "timeout_min": 24 * 60, "gpus_per_node": 1, "slurm_signal_delay_s": 120,
}  # fmt: skip


def run(
    sweep: str,
    *,
    env: Mapping[str, str],
    n: int | None = None,
    per_device: int | None = None,
    count: int | None = None,
    cold: bool = False,
    settings: Mapping[str, str] | None = None,
) -> int:
    """Submit `n` jobs (one by default), each with up to `per_device` agents on each of its GPUs; 0 when SLURM has them.

    Args:
        settings: submitit's parameters, as texts; `cluster: local` runs the jobs on this machine.

    Raises:
        UserError: submitit or SLURM is missing, or does not take a parameter.
    """
    jobs = submit(Task(far.words(sweep, n=None, per_device=per_device, count=count, cold=cold)), n or 1, env, settings)
    print(f"agents: SLURM has {len(jobs)} job{'s' * (len(jobs) > 1)}: {', '.join(job.job_id for job in jobs)}")
    print(f"agents: logs in {jobs[0].paths.stdout.parent.parent}", flush=True)
    return 0


def submit(task: "Task", n: int, env: Mapping[str, str], settings: Mapping[str, str] | None = None) -> list[Any]:
    """The jobs, handed over; see `run`."""
    try:
        import submitit
    except ImportError:
        fix = "run pip install 'cola-sweep[slurm]'"
        raise UserError("--on slurm", rule="needs submitit, which is not installed", fix=fix) from None
    given = {name: int(value) if value.isdecimal() else value for name, value in (settings or {}).items()}
    cluster = given.pop("cluster", "slurm")
    if cluster == "slurm":
        far.require_reachable(env["WANDB_BASE_URL"])
        if shutil.which("sbatch") is None:
            raise UserError("--on slurm", rule="there is no sbatch here", fix="start it where jobs are submitted")
    try:
        executor = submitit.AutoExecutor(folder=str(LOGS / "%j"), cluster=str(cluster))
        executor.update_parameters(**{**DEFAULTS, "slurm_array_parallelism": n, **given})
    except (ValueError, NameError, TypeError, RuntimeError) as error:
        raise UserError("--slurm", rule=str(error).splitlines()[0], fix="see submitit's parameters") from error
    before = dict(os.environ)
    os.environ.update(env)  # sbatch passes on what it finds; a key in a file or in its words would be seen by others
    try:
        with executor.batch():
            return [executor.submit(task) for _ in range(n)]
    finally:
        os.environ.clear()
        os.environ.update(before)


class Task:
    """What a job runs: `cola-sweep agents`, until the sweep ends or the job has to go."""

    def __init__(self, words: list[str]) -> None:
        self.words = words
        self._agents: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        self._agents = far.start(self.words, {})
        self._ended()
        if code := self._agents.wait():
            raise RuntimeError(f"cola-sweep {' '.join(self.words)} ended with {code}")  # so that SLURM says FAILED
        return 0

    def checkpoint(self) -> Any:
        """Called by submitit, in the middle of the above, when the job has to go: stop the trials, and come again."""
        from submitit.helpers import DelayedSubmission

        if self._agents is not None:
            self._agents.send_signal(signal.SIGTERM)
            self._ended()
        return DelayedSubmission(Task(self.words))

    def _ended(self) -> None:
        """Wait without Popen's lock, which a signal's handler would find taken by what it interrupts."""
        assert self._agents is not None
        os.waitid(os.P_PID, self._agents.pid, os.WEXITED | os.WNOWAIT)
