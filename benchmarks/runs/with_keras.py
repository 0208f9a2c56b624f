"""Keras on JAX, its fastest backend here: `fit` with its bar, a CSV logger and two checkpoints.

python -m benchmarks.runs.with_keras --model mlp --target 0.98 --seed 0 --data DIR --out DIR
"""

from __future__ import annotations

from benchmarks.loops.tasks import LEARNING_RATE, WEIGHT_DECAY
from benchmarks.loops.with_keras import keras, keras_model
from benchmarks.runs.settings import DECAY, EVALUATION_BATCH, words_of

STEPS_PER_EXECUTION = 50
"""Steps a dispatch: with one, which is its default, an epoch of the MLP takes longer."""


class GoodEnough(keras.callbacks.Callback):
    """Ends the training at an accuracy; Keras has no callback for it."""

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the validation's."""
        if logs is not None and logs["val_accuracy"] >= self.target:
            self.model.stop_training = True


def main() -> None:
    words = words_of()
    setting = words.setting
    train, held_out = setting.task(words.data).data(), setting.held_out(words.data).data()
    keras.utils.set_random_seed(words.seed)
    model = keras_model(setting.task(words.data))
    model.compile(
        optimizer=keras.optimizers.AdamW(LEARNING_RATE, weight_decay=WEIGHT_DECAY),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_EXECUTION,
    )
    best = words.out / "best.keras"
    history = model.fit(
        train["inputs"],
        train["labels"],
        batch_size=setting.batch_size,
        epochs=setting.most_epochs,
        validation_data=(held_out["inputs"], held_out["labels"]),
        validation_batch_size=EVALUATION_BATCH,
        callbacks=[
            keras.callbacks.ModelCheckpoint(
                best, monitor="val_accuracy", mode="max", save_best_only=True
            ),
            keras.callbacks.ModelCheckpoint(words.out / "last.keras"),
            keras.callbacks.CSVLogger(words.out / "metrics.csv"),
            keras.callbacks.LearningRateScheduler(lambda epoch, _: LEARNING_RATE * DECAY**epoch),
            GoodEnough(setting.target),
        ],
    ).history
    words.say(len(history["val_accuracy"]), history["val_accuracy"][-1])


if __name__ == "__main__":
    main()
