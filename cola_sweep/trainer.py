"""Lightning's trainer as every trial has it: what is the same in all, and what follows from the configuration.

Imports config; lightning and torch.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment

from cola_sweep.config import TrialConfig

LOG_EVERY = 10


def make_trainer(
    config: TrialConfig, batches: int, folder: Path, logger: Logger, callbacks: Sequence[pl.Callback], *, bf16: bool
) -> pl.Trainer:
    """A trainer on one device that writes nothing but what its callbacks write.

    Args:
        batches: of an epoch; one that has few of them logs at its end rather than never.
    """
    # A task of `srun` or `torchrun` is an agent of its own. Lightning, by their variables, would take its trial for a
    # rank of one fit: any but the first logs nothing, and some counts of tasks it refuses.
    alone = LightningEnvironment()
    alone.set_global_rank(0)
    return pl.Trainer(
        accelerator="auto",
        devices=1,
        plugins=[alone],
        precision="bf16-mixed" if bf16 else "32-true",
        max_epochs=config.epochs,
        accumulate_grad_batches=config.accumulate,
        gradient_clip_val=config.grad_clip or None,
        logger=logger,
        callbacks=list(callbacks),
        log_every_n_steps=min(LOG_EVERY, -(-batches // config.accumulate)),
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stderr.isatty(),
        default_root_dir=folder,
    )
