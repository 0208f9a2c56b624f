"""PyTorch-Ignite: its bar, its checkpoints of the best and the last, figures in a CSV file.

python -m benchmarks.runs.with_ignite --model mlp --target 0.98 --seed 0 --data DIR --out DIR
"""

from __future__ import annotations

import csv

import torch
from ignite.engine import (
    Engine,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from ignite.handlers import Checkpoint, DiskSaver, ProgressBar
from ignite.metrics import Accuracy, Average, Loss
from torch.optim.lr_scheduler import ExponentialLR

from benchmarks.loops.torch_models import fused_adamw, loss_of, torch_model
from benchmarks.runs.settings import DECAY, words_of
from benchmarks.runs.torch_data import loaders


def main() -> None:
    words = words_of()
    train, held_out = loaders(words)
    model = torch_model(words.setting.task(words.data), seed=words.seed)
    optimizer = fused_adamw(model)
    rate = ExponentialLR(optimizer, DECAY)

    def look(x: torch.Tensor, y: torch.Tensor, y_pred: torch.Tensor, loss: torch.Tensor):
        return loss.detach(), y_pred.detach(), y

    trainer = create_supervised_trainer(model, optimizer, loss_of, output_transform=look)
    Average(output_transform=lambda output: output[0]).attach(trainer, "loss")
    Accuracy(output_transform=lambda output: output[1:]).attach(trainer, "accuracy")
    evaluator = create_supervised_evaluator(
        model, metrics={"accuracy": Accuracy(), "loss": Loss(loss_of)}
    )
    ProgressBar(persist=True).attach(trainer, output_transform=lambda out: {"loss": out[0].item()})
    kept = {"model": model, "optimizer": optimizer, "rate": rate, "trainer": trainer}
    last = Checkpoint(kept, DiskSaver(str(words.out / "last"), create_dir=True), n_saved=1)
    best = Checkpoint(
        kept,
        DiskSaver(str(words.out / "best"), create_dir=True),
        n_saved=1,
        score_name="accuracy",
        score_function=lambda engine: evaluator.state.metrics["accuracy"],
        global_step_transform=lambda *_: trainer.state.epoch,
    )
    log = (words.out / "metrics.csv").open("w", newline="")
    rows = csv.writer(log)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine: Engine) -> None:
        found = evaluator.run(held_out).metrics
        trained = engine.state.metrics
        rows.writerow([engine.state.epoch, *trained.values(), *found.values()])
        log.flush()
        rate.step()
        last(engine)
        best(engine)
        if found["accuracy"] >= words.setting.target:
            engine.terminate()

    trainer.run(train, max_epochs=words.setting.most_epochs)
    log.close()
    words.say(trainer.state.epoch, evaluator.state.metrics["accuracy"])


if __name__ == "__main__":
    main()
