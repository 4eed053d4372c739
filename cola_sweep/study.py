"""What a sweep file names for W&B's own scheduler, so that Optuna searches it on any W&B server:

    scheduler: {engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}

`wandb sweep-scheduler ENTITY/PROJECT/ID`, started where that path holds, loads this file, asks `study` for the study
and `space` for each trial's arguments. How it searches is declared in the sweep file itself: see `studies.options`.

Imports studies; wandb inside functions.
"""

from collections.abc import Callable
from typing import Any

import optuna

from cola_sweep.errors import UserError
from cola_sweep.space import read_mapping
from cola_sweep.studies import options
from cola_sweep.studies.sweep_study import SweepStudy, terminator


def study(sweep: Any) -> optuna.Study | tuple[optuna.Study, Callable[[optuna.Study], bool]]:
    """The study of a sweep, with its terminator if it has one.

    Args:
        sweep: what W&B's scheduler knows of it: `id`, `entity`, `project`, and `config`, the parsed file.

    Raises:
        ValueError: the file says what cannot be; W&B's scheduler shows it in one line.
    """
    try:
        chosen = options.read(read_mapping(sweep.config))
        made = SweepStudy(chosen, sweep.id)
        if chosen.earlier:
            from cola_sweep.studies.earlier import add_earlier

            add_earlier(made, f"{sweep.entity}/{sweep.project}")
    except UserError as error:
        raise ValueError(str(error)) from None
    return (made, terminator(chosen.terminator)) if chosen.terminator else made


def space(trial: optuna.Trial) -> dict[str, Any]:
    """The arguments of a trial; none for the one that W&B's scheduler tries this function with."""
    return trial.params if isinstance(trial.study, SweepStudy) else {}
