"""W&B's own search, from its `sweeps` package: a line of JSON with a sweep's trials in, one with the next point out.

Runs in an environment of its own, since the package pins numpy < 2; `bench.searches` starts it there. Imports
nothing of ours.
"""

import json
import sys
import warnings

import numpy as np

import sweeps

warnings.filterwarnings("ignore")
answers, sys.stdout = sys.stdout, sys.stderr  # the package prints

for line in sys.stdin:
    asked = json.loads(line)
    np.random.seed(asked["seed"])  # all that it draws with, but for the process's fixed state
    runs = [
        sweeps.SweepRun(
            name=str(number),
            config={name: {"value": value} for name, value in trial["params"].items()},
            state="running" if trial["score"] is None else "finished",
            summary_metrics={} if trial["score"] is None else {asked["config"]["metric"]["name"]: trial["score"]},
        )
        for number, trial in enumerate(asked["trials"])
    ]
    found = sweeps.next_run(asked["config"], runs)
    answers.write(json.dumps({name: entry["value"] for name, entry in found.config.items()}) + "\n")
    answers.flush()
