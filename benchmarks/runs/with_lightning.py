"""Lightning: its bar, a CSV logger, checkpoints of the best and the last, and a threshold.

python -m benchmarks.runs.with_lightning --model mlp --target 0.98 --seed 0 --data DIR --out DIR
"""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from torch.optim.lr_scheduler import ExponentialLR

from benchmarks.loops.tasks import Task
from benchmarks.loops.torch_models import fused_adamw, loss_of, torch_model
from benchmarks.runs.settings import DECAY, words_of
from benchmarks.runs.torch_data import correct, loaders


class Module(lightning.LightningModule):
    """A task's model, loss and optimizer; losses and accuracies are logged by epoch."""

    def __init__(self, task: Task, seed: int) -> None:
        super().__init__()
        self.model = torch_model(task, seed=seed)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """The loss."""
        inputs, labels = batch
        logits = self.model(inputs)
        loss = loss_of(logits, labels)
        accuracy = (logits.argmax(-1) == labels).float().mean()
        self.log("train_loss", loss, prog_bar=True, on_epoch=True, on_step=False)
        self.log("train_accuracy", accuracy, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Figures of the test images."""
        inputs, labels = batch
        logits = self.model(inputs)
        rows = len(labels)
        self.log("val_loss", loss_of(logits, labels), batch_size=rows)
        self.log("val_accuracy", correct(logits, labels) / rows, batch_size=rows, prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        """With a rate that falls after each epoch."""
        optimizer = fused_adamw(self.model)
        return {"optimizer": optimizer, "lr_scheduler": ExponentialLR(optimizer, DECAY)}


def main() -> None:
    words = words_of()
    train, held_out = loaders(words)
    module = Module(words.setting.task(words.data), words.seed)
    ending = EarlyStopping(
        "val_accuracy",
        mode="max",
        stopping_threshold=words.setting.target,
        patience=words.setting.most_epochs,
    )
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=words.setting.most_epochs,
        default_root_dir=words.out,
        logger=CSVLogger(words.out),
        callbacks=[
            ModelCheckpoint(words.out, monitor="val_accuracy", mode="max", save_last=True),
            ending,
        ],
    )
    trainer.fit(module, train, held_out)
    # `current_epoch` counts those that are over.
    words.say(trainer.current_epoch, float(trainer.callback_metrics["val_accuracy"]))


if __name__ == "__main__":
    main()
