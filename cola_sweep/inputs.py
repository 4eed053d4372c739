"""What a trial is told and what it reads: flags, configuration, checkpoint and corpus.

Imports config and errors; checkpoints and corpus inside a function, so that `--help` answers at once.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cola_sweep.config import TrialConfig
from cola_sweep.errors import ArgumentParser, UserError

if TYPE_CHECKING:
    from cola_sweep.checkpoints import Checkpoint
    from cola_sweep.corpus import Corpus


def read_flags(argv: Sequence[str] | None) -> dict[str, str]:
    """The flags that were given, by field; their text is read with the rest of the configuration."""
    parser = ArgumentParser(prog="python -m cola_sweep.train", description="Run one trial.")
    TrialConfig.add_arguments(parser)
    return vars(parser.parse_args(argv))


def swept_config(values: Mapping[str, Any], flags: Mapping[str, str]) -> TrialConfig:
    """The run's config. A sweep whose command has `${args}` repeats it as flags, which may not say anything else."""
    config = TrialConfig.from_mapping(values)
    for key, text in flags.items():
        if getattr(TrialConfig.from_mapping({key: text}), key) != getattr(config, key):
            raise UserError(
                f"--{key.replace('_', '-')}",
                got=text,
                rule=f"in a sweep the run's config decides: {getattr(config, key)}",
                fix=f"put {key} under the sweep's parameters",
            )
    return config


def load_inputs(config: TrialConfig) -> "tuple[Checkpoint, Corpus]":
    """What the configuration names, before anything is opened or written."""
    from cola_sweep.checkpoints import resolve

    checkpoint = resolve(config.checkpoint)  # before data: it puts an unreachable hub's client offline
    from cola_sweep.corpus import load_corpus

    return checkpoint, load_corpus(config.data)
