"""PyTorch-Ignite, as in its quick start with the metrics jaxtrain has, and at its leanest."""

from __future__ import annotations

import torch
from ignite.engine import Engine, Events, create_supervised_trainer
from ignite.metrics import Accuracy, Average

from benchmarks.loops.frameworks import Run
from benchmarks.loops.tasks import Task
from benchmarks.loops.torch_models import (
    fused_adamw,
    lean_loader,
    loss_of,
    on_the_better_threads,
    torch_model,
    usual_loader,
)


def make(task: Task, *, lean: bool = False) -> Run:
    """The loop.

    Args:
        task: what to train.
        lean: no metrics, and a loader that indexes whole batches; but for the log every 100
            iterations, an engine has nothing to do then.
    """
    model = torch_model(task)
    optimizer = fused_adamw(model)
    logged: list[float] = []

    def look(x: torch.Tensor, y: torch.Tensor, y_pred: torch.Tensor, loss: torch.Tensor):
        # Classes are to stand in the second axis.
        return loss.detach(), y_pred.detach().flatten(0, -2), y.flatten()

    trainer = create_supervised_trainer(model, optimizer, loss_of, output_transform=look)
    if not lean:
        Average(output_transform=lambda output: output[0]).attach(trainer, "loss")
        Accuracy(output_transform=lambda output: output[1:]).attach(trainer, "accuracy")

    @trainer.on(Events.ITERATION_COMPLETED(every=100))
    def log(engine: Engine) -> None:
        logged.append(engine.state.output[0].item())

    loader = lean_loader(task) if lean else usual_loader(task)

    def run(epochs: int) -> None:
        trainer.state.max_epochs = None  # begin anew, not where the last run ended
        trainer.run(loader, max_epochs=epochs)

    return on_the_better_threads(run)
