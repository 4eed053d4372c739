"""Agents as actors of a Ray cluster (the extra `ray`), each with a GPU, a share of one, or a core.

Ray finds them places, gives each its CUDA_VISIBLE_DEVICES, shows their output here, and starts those whose node died
anew elsewhere; the trials that such a node had are the server's to give out again. Beside them, each node has one warm
server. RAY_ADDRESS names the cluster; without it Ray looks for one that runs here, and else makes one of this machine.
Imports of ours the error, far, the hub's probe, interrupts and warm; ray inside a function.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cola_sweep import __version__, warm
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.launch import far
from cola_sweep.launch.interrupts import Interrupts

# How often an actor is started anew when its node or process dies.
RESTARTS = 3
POLL_SECONDS = 1.0


def run(
    sweep: str,
    *,
    env: Mapping[str, str],
    n: int | None = None,
    per_device: int | None = None,
    count: int | None = None,
    cold: bool = False,
) -> int:
    """Start `n` agents and wait for them; by default `per_device`, or one, for each GPU, or each node without any.

    Args:
        per_device: agents that share a GPU, or a core where the cluster has no GPU: Ray's fractional resources.

    Returns 0 when each ended well, else the first other exit code; 1 for one that Ray lost; 128 + signal if one came.

    Raises:
        UserError: ray is missing, its cluster cannot be reached, or the server not from there.
    """
    try:
        import ray
    except ImportError:
        fix = "run pip install 'cola-sweep[ray]'"
        raise UserError("--on ray", rule="needs ray, which is not installed", fix=fix) from None
    try:
        ray.init(address=env.get("RAY_ADDRESS") or os.environ.get("RAY_ADDRESS"), log_to_driver=True)
    except (ConnectionError, RuntimeError, ValueError) as error:
        rule = f"no cluster could be reached ({str(error).splitlines()[0]})"
        raise UserError("RAY_ADDRESS", rule=rule, fix="start one with ray start --head, or correct it") from error
    try:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        if len({node["NodeManagerAddress"] for node in nodes}) > 1:
            far.require_reachable(env["WANDB_BASE_URL"])
        gpus = int(ray.cluster_resources().get("GPU", 0))
        n = n or (gpus or len(nodes)) * (per_device or 1)
        share = {"num_gpus" if gpus else "num_cpus": 1 / (per_device or 1)}
        servers = [] if cold else [_on(ray, node, WarmServer).remote(dict(env)) for node in nodes]
        told = {**env, **({} if cold else {warm.VARIABLE: warm.socket_path()})}
        actor = ray.remote(max_restarts=RESTARTS, max_task_retries=RESTARTS, max_concurrency=2)(Agent)
        command = far.words(sweep, per_device=None, count=count, cold=cold)
        # The environment, with the key, goes to the actor alone; Ray's runtime_env would show it on the dashboard.
        placed = actor.options(scheduling_strategy="SPREAD", **share)
        running = {agent.run.remote(): agent for agent in (placed.remote(command, told, __version__) for _ in range(n))}
        with Interrupts(lambda number: _tell([*running.values()], number)) as interrupts:
            code = _wait(ray, running)
        del servers
        return code or interrupts.exit_code
    finally:
        ray.shutdown()


def _tell(agents: Sequence[Any], number: int) -> None:
    print("agents: telling the agents on all nodes; interrupt again to hurry them", file=sys.stderr, flush=True)
    for agent in agents:
        agent.interrupt.remote(number)


def _on(ray: Any, node: Mapping[str, Any], kind: type) -> Any:
    """An actor of this kind that has its place on a node and takes no share of it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    place = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    return ray.remote(num_cpus=0)(kind).options(scheduling_strategy=place)


def _wait(ray: Any, running: dict[Any, Any]) -> int:
    """The first exit code that is not 0, when all have ended.

    Args:
        running: actors by what they run. One that has ended is dropped, and its place is free: one that Ray had no room
            for, or that lost its node, may wait for it.
    """
    code = 0
    while running:
        done, _ = ray.wait([*running], timeout=POLL_SECONDS)  # returns now and then, so that signals are heard
        for reference in done:
            del running[reference]
            try:
                ended = ray.get(reference)
            except ray.exceptions.RayError as error:
                print(f"agents: Ray lost one: {str(error).strip().splitlines()[-1]}", file=sys.stderr, flush=True)
                ended = 1
            code = code or (ended if ended >= 0 else 128 - ended)
    return code


class Agent:
    """The actor: `cola-sweep agents --n 1` on whatever Ray gave it."""

    def __init__(self, command: list[str], env: dict[str, str], version: str) -> None:
        if version != __version__:
            raise RuntimeError(f"cola-sweep is {__version__} on this node and {version} where it was started")
        self._command, self._env = command, env
        self._agents: subprocess.Popen[bytes] | None = None
        self._interrupted = False

    def run(self) -> int:
        """Its exit code, when it has ended."""
        if self._interrupted:
            return 0
        self._agents = far.start(self._command, self._env)
        return self._agents.wait()

    def interrupt(self, number: int) -> None:
        """Pass a signal on: the command on the far side knows what the first, second and third mean."""
        self._interrupted = True
        if self._agents is not None and self._agents.poll() is None:
            self._agents.send_signal(number)


class WarmServer:
    """The actor that holds a node's warm server; where one listens already, that one serves."""

    def __init__(self, env: dict[str, str]) -> None:
        os.environ.update(env)
        hub_answers()  # as whoever starts agents does: trials of a server with another answer would start cold
        words = [sys.executable, "-m", "cola_sweep.warm_server", "--socket", warm.socket_path(), "--until-eof"]
        self._server = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
