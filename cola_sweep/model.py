"""The model: a pretrained encoder with a linear head, how it is trained, and how it is saved.

No charts or tables are logged here: `callbacks` does that from what `validation_step` returns.

Imports checkpoints, config, errors and metrics; torch, lightning and safetensors.
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
from cola_sweep.config import Pooling, TrialConfig
from cola_sweep.metrics import validation_metrics

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Batch = Mapping[str, Tensor]
ENCODER_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def pool(hidden: Tensor, mask: Tensor, how: Pooling) -> Tensor:
    """One vector per sentence, (batch, width): the first token's, or the mean of all tokens that are not padding.

    Args:
        hidden: (batch, length, width).
        mask: (batch, length), 0 where padding.
        how: "cls" or "mean".
    """
    if how == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Share of the peak learning rate at a step counted from 0: a line up, then a line down to 0 at `total_steps`.

    No step is trained at 0, the first included.
    """
    rising = (step + 1) / (warmup_steps + 1)
    falling = (total_steps - step) / (total_steps - warmup_steps)
    return max(0.0, min(rising, falling))


def decay_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW's parameter groups: matrices decay; biases and the weights of norms, all vectors, do not."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]


class AcceptabilityModel(pl.LightningModule):
    """Encoder, pooling, dropout and a linear layer to two classes, 1 = acceptable.

    Args:
        encoder: what `load_encoder` gave: called with token ids and mask, it answers `last_hidden_state`.
        config: the trial's.
        domains: the domain of each validation row, for the metrics by domain.
    """

    def __init__(self, encoder: "PreTrainedModel", config: TrialConfig, domains: Sequence[str] = ()) -> None:
        super().__init__()
        self.config = config
        self.encoder = encoder
        # A head without dropout of its own would overfit first where the encoder's dropout is set by the trial.
        self.dropout = nn.Dropout(0.1 if config.dropout is None else config.dropout)
        self.classifier = nn.Linear(encoder.config.hidden_size, 2)
        self.train_accuracy = BinaryAccuracy(validate_args=False)
        self.valid_metrics = validation_metrics(domains)

    def forward(self, batch: Batch) -> Tensor:
        """Logits, (batch, 2), in float32."""
        inputs = {key: batch[key] for key in ENCODER_INPUTS if key in batch}
        hidden = self.encoder(**inputs).last_hidden_state
        sentence = pool(hidden, batch["attention_mask"], self.config.pooling)
        return self.classifier(self.dropout(sentence)).float()

    def training_step(self, batch: Batch, _: int) -> Tensor:
        logits, labels = self(batch), batch["labels"]
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        self.train_accuracy(logits.argmax(dim=1), labels)
        shown: dict[str, Any] = {"on_step": True, "on_epoch": True, "prog_bar": True, "batch_size": len(labels)}
        self.log("train/loss", loss, **shown)
        self.log("train/acc", self.train_accuracy, **shown)
        return loss

    def validation_step(self, batch: Batch, _: int) -> Tensor:
        """Logits of the batch, for the callbacks.

        The loss is never smoothed, so that trials with different `label_smoothing` compare.
        """
        logits, labels = self(batch), batch["labels"]
        loss = functional.cross_entropy(logits, labels)
        self.log("valid/loss", loss, on_step=True, on_epoch=True, batch_size=len(labels))
        self.valid_metrics.update(preds=logits.argmax(dim=1), target=labels, index=batch["index"])
        return logits

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.valid_metrics.compute())
        self.valid_metrics.reset()

    def configure_optimizers(self) -> Any:
        total = int(self.trainer.estimated_stepping_batches)
        warmup = int(self.config.warmup * total)
        optimizer = torch.optim.AdamW(decay_groups(self, self.config.weight_decay), lr=self.config.lr)
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
