"""The model: a pretrained encoder with a linear head, how it is trained, and how it is saved.

No charts or tables are logged here: `callbacks` does that from what `validation_step` returns.

Imports checkpoints, config, errors, metrics and optimizer; torch, lightning and safetensors.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics.classification import BinaryAccuracy

from cola_sweep.checkpoints import load_encoder, resolve
from cola_sweep.config import ClassWeights, Pooling, TrialConfig
from cola_sweep.metric_names import BEST, OBJECTIVE
from cola_sweep.metrics import validation_metrics
from cola_sweep.optimizer import adamw, learning_rate_factor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batch = Mapping[str, Tensor]
LONG_TRIAL = 5000  # batches; an estimate, not measured
ENCODER_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Architectures whose layers, after attention, are `attention.output(values, residual)` and what follows from it.
FIRST_TOKEN_SUFFICES = ("bert", "electra", "roberta")


def pool(hidden: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """One vector per sentence, (batch, width): the first token's, or the mean of all tokens that are not padding.

    Args:
        hidden: (batch, length, width); padding is on the right, as `load_tokenizer` sees to.
        mask: (batch, length), 0 where padding.
        how: "cls" or "mean".
    """
    if how == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def finish_first_token_only(encoder: Any) -> None:
    """Spare the last layer what no one reads: `last_hidden_state` becomes (batch, 1, width), the first token's.

    After attention each token goes its own way, so its values and gradients stay what they were. The others' were
    three quarters of the layer's work. An architecture that is not known keeps all of them.
    """
    if getattr(encoder.config, "model_type", None) in FIRST_TOKEN_SUFFICES:
        encoder.encoder.layer[-1].attention.output.register_forward_pre_hook(_first_token)


def _first_token(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(values[:, :1] for values in inputs)


def class_weights(how: ClassWeights, labels: Tensor) -> Tensor | None:
    """Weights of the two classes, (2,), by which both count alike among `labels`, with mean 1 over them; or None."""
    if how == "none":
        return None
    counts = torch.bincount(labels, minlength=2)
    return len(labels) / (counts.count_nonzero() * counts.clamp(min=1))  # a class that does not occur needs no weight


def compile_encoder(encoder: nn.Module, config: TrialConfig, device: str, batches: int) -> bool:
    """Compile the encoder, in place so that names and class of what is saved stay the same; returns whether it was.

    That is done once for training and once for validation, whatever shapes the batches have. By `graphs` a GPU also
    records a CUDA graph for each of the shapes, which are few there, and replays it: torch's CUDAGraph Trees. Not where
    gradients are accumulated: the next batch's graph would overwrite those of the last (pytorch issue 169545).

    Args:
        batches: of the whole training. `auto` compiles on a GPU, for many: it takes about half a minute, which the
            trials of a usual sweep on CoLA (800 batches) would never regain.
    """
    how = config.compile
    if how == "off" or (how == "auto" and (device != "cuda" or batches < LONG_TRIAL)):
        return False
    encoder.compile(dynamic=True, mode="reduce-overhead" if how == "graphs" and config.accumulate == 1 else None)
    return True


class AcceptabilityModel(pl.LightningModule):
    """Encoder, pooling, dropout and a linear layer to two classes, 1 = acceptable.

    Args:
        encoder: what `load_encoder` gave: called with token ids and mask, it answers `last_hidden_state`.
        config: the trial's.
        domains: the domain of each validation row, for the metrics by domain.
        weights: of the classes, in the training loss; None weighs none.
    """

    weights: Tensor | None
    best_mcc: Tensor

    def __init__(
        self,
        encoder: "PreTrainedModel",
        config: TrialConfig,
        domains: Sequence[str] = (),
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        if config.pooling == "cls":
            finish_first_token_only(encoder)
        # A head without dropout of its own would overfit first where the encoder's dropout is set by the trial.
        self.dropout = nn.Dropout(0.1 if config.dropout is None else config.dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, 2)
        self.register_buffer("weights", weights, persistent=False)
        self._sentences = 0  # of the optimizer step that is under way
        self.train_accuracy = BinaryAccuracy(validate_args=False)
        self.valid_metrics = validation_metrics(domains)
        self.register_buffer("best_mcc", torch.tensor(-1.0))  # with a checkpoint, so that a resumed trial keeps it

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (batch, 2), in float32."""
        inputs = {key: batch[key] for key in ENCODER_INPUTS if key in batch}
        hidden = self.encoder(**inputs).last_hidden_state
        sentence = pool(hidden, batch["attention_mask"], self.config.pooling)
        return self.classifier(self.dropout(sentence)).float()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        logits, labels = self(batch), batch["labels"]
        loss = self.training_loss(logits, labels)
        self.train_accuracy(logits.argmax(dim=1), labels)
        shown: dict[str, Any] = {"on_step": True, "on_epoch": True, "prog_bar": True, "batch_size": len(labels)}
        self.log("train/loss", loss, **shown)
        self.log("train/acc", self.train_accuracy, **shown)
        if self.config.accumulate == 1:
            return loss
        self._sentences += len(labels)
        return loss * (len(labels) / self.config.batch_size)

    def on_before_optimizer_step(self, _: Any) -> None:
        """Make an accumulated gradient the mean over its sentences, however many batches they came in.

        Lightning divides by `accumulate` also where an epoch ends within a step, and a short batch counts as a full
        one.
        """
        full = self.config.batch_size * self.config.accumulate
        if self._sentences not in (0, full):
            for parameter in self.parameters():
                if parameter.grad is not None:
                    parameter.grad *= full / self._sentences
        self._sentences = 0

    def training_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy of the batch, smoothed and with the sentences weighted by class as the trial has it."""
        smoothing = self.config.label_smoothing
        if self.weights is None:
            return functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        losses = functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
        # Not torch's weighted mean: it divides by the weights of the batch, and so by its mixture of classes.
        return (self.weights[labels] * losses).mean()

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """Logits of the batch, for the callbacks.

        The loss is never smoothed or weighted, so that trials that differ in these compare.
        """
        logits, labels = self(batch), batch["labels"]
        loss = functional.cross_entropy(logits, labels)
        self.log("valid/loss_epoch", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        if self.logger:  # past Lightning, which would count validation batches where charts have steps (from 0)
            self.logger.log_metrics({"valid/loss_step": float(loss)}, step=max(0, self.global_step - 1))
        self.valid_metrics.update(preds=logits.argmax(dim=1), target=labels, index=batch["index"])
        return logits

    def on_validation_epoch_end(self) -> None:
        metrics = self.valid_metrics.compute()
        self.best_mcc = torch.maximum(self.best_mcc, metrics[OBJECTIVE])
        self.log_dict(metrics | {BEST: self.best_mcc})
        self.valid_metrics.reset()

    def configure_optimizers(self) -> Any:
        total = int(self.trainer.estimated_stepping_batches)
        warmup = int(self.config.warmup * total)
        optimizer = adamw(self.encoder, self.classifier, self.config)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def save_model(model: AcceptabilityModel, tokenizer: Any, folder: Path) -> None:
    """Write encoder, tokenizer, head and configuration to `folder`, replacing what an earlier call wrote.

    The folder is also a checkpoint, so a sweep can start from it: `checkpoint: FOLDER`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    head = {name: tensor.detach().cpu().contiguous() for name, tensor in model.classifier.state_dict().items()}
    safetensors.torch.save_file(head, folder / "head.safetensors")
    (folder / "trial.json").write_text(json.dumps(model.config.to_mapping(), indent=2) + "\n", encoding="utf-8")


def load_model(folder: Path | str) -> AcceptabilityModel:
    """The model that `save_model` wrote, on the CPU and ready to predict.

    Raises:
        UserError: the folder holds no encoder, or a configuration that cannot be read.
    """
    folder = Path(folder)
    encoder = load_encoder(resolve(str(folder)))
    config = TrialConfig.from_mapping(json.loads((folder / "trial.json").read_text(encoding="utf-8")))
    model = AcceptabilityModel(encoder, config)
    model.classifier.load_state_dict(safetensors.torch.load_file(folder / "head.safetensors"))
    return model.eval()
