"""Lightning without logger, progress bar, checkpoints and summary."""

from __future__ import annotations

import logging
import warnings

import lightning
import torch

from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import Task
from benchmarks.loops.torch_models import (
    fused_adamw,
    lean_loader,
    loss_of,
    on_the_better_threads,
    torch_model,
)


class Module(lightning.LightningModule):
    """A task's model, loss and optimizer."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = torch_model(task)
        self.optimizer = fused_adamw(self.model)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """The loss."""
        inputs, labels = batch
        return loss_of(self.model(inputs), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The one there is."""
        return self.optimizer


def make(task: Task) -> Run:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # It advises workers, which for data in memory cost more than they bring.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.* is deprecated")  # between it and torch
    module, loader = Module(task), lean_loader(task)

    def run(epochs: int) -> None:
        trainer = lightning.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        trainer.fit(module, loader)

    return on_the_better_threads(run)
