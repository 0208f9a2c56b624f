"""What the metrics of a language model have in common: what they read of each token.

    @METRICS.register("surprises")
    @dataclass(frozen=True, kw_only=True)
    class Surprises(TokenMetric[FractionState]):
        state_type = FractionState

        def update(self, state, output):
            nll = self.nll(output)
            return state.plus(nll > 10, among=self.counted(output, nll, mask=self.mask))

A decoder that has seen the labels puts out `nll` and `correct` of each token, and its logits exist
nowhere; of any other model they are computed here of its logits.

Axes: B rows, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxtrain.errors import DataError
from jaxtrain.metrics.metric import Output
from jaxtrain.metrics.monoid import MonoidMetric, MonoidState
from jaxtrain.metrics.reading import at


@dataclass(frozen=True, kw_only=True)
class TokenMetric(MonoidMetric[MonoidState]):
    """Reads `mask`, and `outputs`: `nll` and `correct` `[B, L]`, or logits `[B, L, V]` of `labels`.

    Args:
        outputs: where the outputs stand in the step's output, as a dotted path.
        labels: where the labels stand; not read where the model says itself what it made of them.
        mask: where the mask stands; None where every token counts.
    """

    outputs: str = "outputs"
    labels: str = "labels"
    mask: str | None = "mask"

    def nll(self, output: Output) -> jax.Array:
        """The negative log-likelihood of each label, float32; NaN where it is no token.

        Raises:
            DataError: logits and labels do not fit, or there are neither logits nor `nll`.
        """
        if self._says(output, "nll"):
            return self.read(output, f"{self.outputs}.nll").astype(jnp.float32)
        logits, labels = self._pair(output)
        logits = logits.astype(jnp.float32)
        is_token = (labels >= 0) & (labels < logits.shape[-1])
        # A sum over V, since JAX does not gather from axes that lie over a mesh by type.
        picked = jnp.sum(logits, axis=-1, where=self._places(logits, labels))
        return jnp.where(is_token, jax.nn.logsumexp(logits, axis=-1) - picked, jnp.nan)

    def correct(self, output: Output) -> jax.Array:
        """Whether the likeliest token is the label; of equals the first is. NaN is never right.

        Raises:
            DataError: logits and labels do not fit, or there are neither logits nor `correct`.
        """
        if self._says(output, "correct"):
            return self.read(output, f"{self.outputs}.correct") > 0
        logits, labels = self._pair(output)
        best = jnp.argmax(logits, axis=-1).astype(labels.dtype)
        return (best == labels) & ~jnp.any(jnp.isnan(logits), axis=-1)

    def _says(self, output: Output, name: str) -> bool:
        found = at(output, self.outputs, reader=self.title)
        return isinstance(found, Mapping) and name in found

    def _pair(self, output: Output) -> tuple[jax.Array, jax.Array]:
        inside = ".logits" if self._says(output, "logits") else ""
        logits = self.read(output, self.outputs + inside)
        labels = self.read(output, self.labels)
        if logits.ndim == 0 or logits.shape[:-1] != labels.shape:
            raise DataError(
                f"{self.title} wants labels of the shape of the logits without its last axis; "
                f"found {self.outputs} {logits.shape}, {self.labels} {labels.shape}"
            )
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise DataError(
                f"{self.title} wants labels that are whole numbers, found {self.labels} of "
                f"{labels.dtype}"
            )
        return logits, labels.astype(jnp.int32) if labels.dtype.itemsize < 4 else labels

    @staticmethod
    def _places(logits: jax.Array, labels: jax.Array) -> jax.Array:
        return jnp.arange(logits.shape[-1], dtype=labels.dtype) == labels[..., None]
