"""Steps that turn: the momentum of a matrix, made nearly orthogonal.

    optimizer: {name: muon, learning_rate: 0.02, adam_scale: 0.015, exclude: [embedding, head]}

Matrices are trained so, all else by AdamW. Written here since `optax.contrib.muon` corrects the
momentum for its bias, and so looks ahead by another share than Jordan's and PyTorch's in the first
updates.

Axes: I in, O out, N layers of a stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pydantic

from jaxtrain.optim.injection import injected
from jaxtrain.optim.optimizers.bias import filled
from jaxtrain.optim.optimizers.ranges import Decay, Epsilon, WeightDecay
from jaxtrain.optim.registry import OPTIMIZERS

Scaling = Literal["original", "match_rms_adamw"]

_QUINTIC = (3.4445, -4.7750, 2.0315)


@OPTIMIZERS.register("muon")
def muon(
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: Decay = 0.95,
    nesterov: bool = True,
    iterations: Annotated[int, pydantic.Field(ge=1, le=99)] = 5,
    scaling: Scaling = "original",
    weight_decay: WeightDecay = 0.1,
    exclude: tuple[str, ...] = (),
    stacks: tuple[str, ...] = ("layers",),
    adam_scale: Annotated[float, pydantic.Field(gt=0)] = 1.0,
    b1: Decay = 0.9,
    b2: Decay = 0.999,
    eps: Epsilon = 1e-8,
) -> optax.GradientTransformationExtraArgs:
    """Muon (Jordan 2024; Liu et al. 2025, arXiv:2502.16982) for matrices, AdamW for all else.

    As torch.optim.Muon, which iterates in bfloat16, and this in the dtype of the gradient.

    Args:
        learning_rate: a number, or a function of the number of updates done.
        momentum: decay of the mean of the gradients.
        nesterov: look one step ahead.
        iterations: of Newton and Schulz.
        scaling: "original" multiplies a step by `sqrt(max(1, O / I))` of a kernel `[I, O]`;
            "match_rms_adamw" by `0.2 sqrt(max(I, O))`, so that rate and weight decay of AdamW do.
        weight_decay: each update also takes `learning_rate * weight_decay` of every parameter off
            it, of AdamW's `adam_scale` times as much.
        exclude: names of subtrees that AdamW trains although they hold matrices: embeddings and the
            last layer, by the method's authors.
        stacks: names of subtrees whose leaves lie stacked, a layer along the first axis: each layer
            of a leaf `[N, I, O]` is a matrix.
        adam_scale: AdamW's rate, over `learning_rate`.
        b1: of AdamW, decay of the mean of the gradients.
        b2: of AdamW, decay of the mean of their squares.
        eps: of AdamW, added to the root of the second mean.
    """
    adam = Adam(b1, b2, eps, adam_scale)

    def build(rate: optax.ScalarOrSchedule) -> optax.GradientTransformation:
        def is_matrix(path: Any, leaf: Any) -> bool:
            return _is_matrix(path, leaf, exclude, stacks)

        turned = Turned(momentum, nesterov, iterations, scaling)
        scaled = scale_by_muon(turned, adam, is_matrix, weight_decay)
        return optax.chain(scaled, optax.scale_by_learning_rate(rate))

    return injected(build, learning_rate)


class MuonState(NamedTuple):
    """Updates done, and means of the gradients and, where AdamW trains, of their squares."""

    done: jax.Array
    mu: optax.Updates
    nu: optax.Updates


@dataclass(frozen=True)
class Turned:
    """How a kernel `[..., I, O]` goes: along its mean gradient, made nearly orthogonal."""

    momentum: float
    nesterov: bool
    iterations: int
    scaling: Scaling

    def direction(self, gradient: jax.Array, mean: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The direction and the new mean."""
        mean = self.momentum * mean + (1 - self.momentum) * gradient
        ahead = self.momentum * mean + (1 - self.momentum) * gradient if self.nesterov else mean
        rows, columns = mean.shape[-2:]
        if self.scaling == "original":
            factor = math.sqrt(max(1, columns / rows))
        else:
            factor = 0.2 * math.sqrt(max(rows, columns))
        return factor * orthogonal(ahead, self.iterations), mean


@dataclass(frozen=True)
class Adam:
    """How all else goes."""

    b1: float
    b2: float
    eps: float
    scale: float

    def direction(
        self, gradient: jax.Array, mean: jax.Array, square: jax.Array, done: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The direction and the new means."""
        mean = self.b1 * mean + (1 - self.b1) * gradient
        square = self.b2 * square + (1 - self.b2) * gradient * gradient
        root = jnp.sqrt(square / filled(self.b2, done)) + self.eps
        return mean / filled(self.b1, done) / root, mean, square


def scale_by_muon(
    turned: Turned, adam: Adam, is_matrix: Callable[[Any, Any], bool], weight_decay: float
) -> optax.GradientTransformation:
    """Both in one, since `optax.partition` hides from `optax.tree.map_params` what is whose."""

    def init(params: optax.Params) -> MuonState:
        mu = jax.tree.map(jnp.zeros_like, params)
        nu = jax.tree_util.tree_map_with_path(
            lambda path, p: jnp.zeros((1,), p.dtype) if is_matrix(path, p) else jnp.zeros_like(p),
            params,
        )
        return MuonState(jnp.zeros((), jnp.int32), mu, nu)

    def update(
        updates: optax.Updates, state: MuonState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, MuonState]:
        done = optax.safe_increment(state.done)

        def one(path: Any, g: jax.Array, p: jax.Array, m: jax.Array, v: jax.Array) -> Any:
            if is_matrix(path, p):
                along, m = turned.direction(g, m)
                return along + weight_decay * p, m, v
            along, m, v = adam.direction(g, m, v, done)
            return adam.scale * (along + weight_decay * p), m, v

        found = jax.tree_util.tree_map_with_path(one, updates, params, state.mu, state.nu)
        treedef = jax.tree.structure(updates)
        changes, mu, nu = jax.tree.transpose(treedef, jax.tree.structure((0, 0, 0)), found)
        return changes, MuonState(done, mu, nu)

    return optax.GradientTransformation(init, update)


def orthogonal(matrices: jax.Array, iterations: int = 5) -> jax.Array:
    """Matrices `[..., I, O]` with singular values near 1, by Newton and Schulz.

    The quintic's coefficients are Jordan's: singular values end between about 0.7 and 1.2.

    Args:
        matrices: of any scale; one of zeros stays so.
        iterations: how often the quintic is applied.
    """
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / jnp.maximum(jnp.linalg.norm(x, axis=(-2, -1), keepdims=True), 1e-7)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def _is_matrix(path: Any, leaf: Any, exclude: tuple[str, ...], stacks: tuple[str, ...]) -> bool:
    names = jax.tree_util.keystr(path, simple=True, separator="/").split("/")
    if not set(names).isdisjoint(exclude):
        return False
    # `layers/mlp/kernel` [N, I, O] is a stack; `layers/0/kernel` [I, O] is one of a list.
    stacked = any(
        name in stacks and not following.isdigit() for name, following in pairwise((*names, ""))
    )
    return bool(leaf.ndim == (3 if stacked else 2))
