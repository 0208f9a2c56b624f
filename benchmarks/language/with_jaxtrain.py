"""A decoder of jaxtrain that trains and writes, for a process of its own.

    training = Training(shape, engine=True, weights=path)
    training.first_losses(5)                  # a loss a step
    training.round(10)                        # tokens a second

Axes: B prompts, L their length, T new tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

import jaxtrain as jt
from benchmarks.language.rates import Rate
from benchmarks.language.settings import BATCHES, LEARNING_RATE, TOP_P, WEIGHT_DECAY
from benchmarks.language.shape import Shape
from benchmarks.processes import Stopwatch
from jaxtrain.generation import Generator
from jaxtrain.models import hf
from jaxtrain.models.decoder import DecoderConfig, decoder, initial_params
from jaxtrain.models.decoder.remat import Remat


def write_weights(shape: Shape, path: Path, longest: int = 0) -> None:
    """Fresh weights in the files of Hugging Face, for all frameworks to begin with."""
    config = shape.config(longest=longest)
    hf.save(path, config, initial_params(jax.random.key(0), config))


class Training:
    """AdamW on next tokens: by the engine with a run's metrics, or the jitted step alone.

    The step alone neither takes the norm of the gradient nor looks for NaN, as the loops that one
    writes by hand don't; the engine's does.

    Args:
        shape: model and batches.
        engine: whether the engine runs the step, in the fused form.
        weights: where `write_weights` has written; None for fresh ones.
        precision: a policy's name.
        remat: what a layer keeps for the backward pass.
    """

    def __init__(
        self,
        shape: Shape,
        engine: bool,
        weights: Path | None = None,
        precision: str = "float32",
        remat: Remat = "none",
    ) -> None:
        self._shape = shape
        config, params = (shape.config(), None) if weights is None else hf.load(weights)
        model, loss = decoder(config, remat=remat), jt.step.next_token()
        tx = jt.optim.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        self._batches = [shape.text(number) for number in range(BATCHES)]
        state = jt.create_train_state(
            model,
            tx,
            self._batches[0],
            rng=jax.random.key(0),
            precision=precision,
            params=params,
        )
        parts: dict[str, Any] = {} if engine else {"norm": False, "guard": False}
        step = jt.make_train_step(model, loss, tx, precision=precision, **parts)
        self._run = (_Engine if engine else _Step)(step, state, self._batches)

    def first_losses(self, number: int) -> list[float]:
        """The loss of each of the first steps, before its update."""
        return [float(loss) for loss in self._run.losses(number)]

    def round(self, steps: int) -> Rate:
        """Tokens a second over so many steps."""
        watch = Stopwatch()
        self._run.steps(steps)
        return watch.rates(steps * self._shape.tokens)


class _Step:
    """A loop by hand around the jitted step."""

    def __init__(self, step: Any, state: Any, batches: list[dict[str, np.ndarray]]) -> None:
        self._step, self._state, self._batches = jax.jit(step, donate_argnums=0), state, batches
        self._done = 0

    def losses(self, number: int) -> list[Any]:
        return [self._one() for _ in range(number)]

    def steps(self, number: int) -> None:
        for _ in range(number):
            loss = self._one()
        jax.block_until_ready((loss, self._state))

    def _one(self) -> Any:
        batch = self._batches[self._done % len(self._batches)]
        self._done += 1
        self._state, output = self._step(self._state, batch)
        return output["loss"]


class _Engine:
    """The engine with the metrics that a run of a language model has."""

    def __init__(self, step: Any, state: Any, batches: list[dict[str, np.ndarray]]) -> None:
        arrays = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
        self._loader = jt.ArrayLoader(arrays, batch_size=len(batches[0]["inputs"]), shuffle=False)
        self._engine = jt.Engine(step, state, form="fused")
        self._engine.add_metrics(
            {
                "train/loss": jt.Loss(),
                "train/perplexity": jt.metrics.Perplexity(),
                "train/token_accuracy": jt.metrics.TokenAccuracy(),
            }
        )
        self._epochs, self._length = 0, 0

    def losses(self, number: int) -> list[Any]:
        found: list[Any] = []

        def look(engine: jt.Engine) -> None:
            found.append(engine.scalars()["loss"])

        with self._engine.attach_handler(jt.Events.ITERATION_COMPLETED, look):
            self.steps(number)
        return found

    def steps(self, number: int) -> None:
        """An epoch of so many steps."""
        if number != self._length:  # of one run all epochs have one length
            self._engine.reset()
            self._epochs, self._length = 0, number
        self._epochs += 1
        self._engine.run(self._loader, max_epochs=self._epochs, epoch_length=number)
        jax.block_until_ready(self._engine.state.train_state)


class Writing:
    """Goes on behind prompts.

    Args:
        params: of the decoder.
        config: its sizes.
    """

    def __init__(self, params: Mapping[str, Any], config: DecoderConfig) -> None:
        self._generator = Generator(params, config)

    @classmethod
    def of(cls, weights: Path) -> Writing:
        """By what `write_weights` has written."""
        config, params = hf.load(weights)
        return cls(params, config)

    def write(self, prompts: np.ndarray, new: int, mode: str) -> np.ndarray:
        """From prompts [B, L] to new tokens [B, T]."""
        drawn = {"temperature": 1.0, "top_p": TOP_P, "rng": jax.random.key(0)}
        how: dict[str, Any] = {} if mode == "greedy" else drawn
        return np.stack(self._generator.generate(prompts, max_new_tokens=new, **how))
