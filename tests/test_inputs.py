"""What a trial is told: flags, and in a sweep the run's config, which flags may only repeat."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cola_sweep.errors import UserError
from cola_sweep.inputs import read_flags, swept_config


def test_in_a_sweep_flags_may_repeat_the_runs_config_in_their_own_words() -> None:
    flags = read_flags(["--lr=1e-4", "--epochs", "2.0", "--patience=null"])
    assert flags == {"lr": "1e-4", "epochs": "2.0", "patience": "null"}, "no other"
    config = swept_config({"lr": 0.0001, "epochs": 2, "_wandb": {}}, flags)
    assert (config.lr, config.epochs, config.patience) == (1e-4, 2, None)


def test_in_a_sweep_a_flag_that_says_something_else_is_refused() -> None:
    with pytest.raises(UserError, match=r"^--batch-size: got '7'; in a sweep the run's config decides: 32; put batch_"):
        swept_config({"lr": 1e-4}, {"batch_size": "7"})


def test_flags_are_read_before_anything_heavy_is_imported() -> None:
    program = (
        "import sys; from cola_sweep.train import read_flags; read_flags(['--lr', '1e-5']);"
        "heavy = {'torch', 'transformers', 'wandb', 'pytorch_lightning', 'numpy'} & set(sys.modules);"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1], env={**os.environ})
