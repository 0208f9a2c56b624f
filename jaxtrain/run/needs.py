"""What a run needs of each device's memory, counted from shapes: nothing is made or compiled.

    needs = Needs.of(task)
    needs.total                              # bytes, of the state, the gradients and what is kept

Besides these, kernels take room to work in, and the data do where they lie on the device. On a
mesh, what is gathered for a while comes to it; and what is kept of the rows counts as divided by
rows alone, so that parts of `tensor` may keep less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxtrain.parallel import row_parts
from jaxtrain.run.task import Task
from jaxtrain.step import forward, objective, policy, residuals
from jaxtrain.step.residuals import bytes_of


@dataclass(frozen=True)
class Needs:
    """Bytes on each device, by what they are for.

    Attributes:
        params: what is trained.
        dtypes: what that is kept in: `float32`, or several.
        optimizer: its state.
        rest: of the TrainState: batch statistics, a frozen base, an average.
        gradients: as many as parameters; where micro-batches are summed, the sum as well.
        copies: parameters in the dtype that is computed in, and what else is made of them alone.
        activations: what the forward pass over a micro-batch keeps for the backward pass.
        rows: of a micro-batch.
        compute_dtype: what is computed in.
    """

    params: int
    dtypes: str
    optimizer: int
    rest: int
    gradients: int
    copies: int
    activations: int
    rows: int
    compute_dtype: str

    @classmethod
    def of(cls, task: Task) -> Needs:
        """Of a step of a task, accumulation and rematerialisation included."""
        config, state = task.config, task.abstract_state()
        parts = config.train.accumulate * (config.train.virtual_shards or 1)
        kept = residuals(
            objective(forward(task.model, config.precision), task.loss),
            state,
            task.data.example(),
            parts=parts,
        )
        layout, leaves = task.layout, jax.tree.leaves(state.params)
        held = bytes_of if layout is None else layout.bytes_per_device
        params, optimizer = held(state.params), held(state.opt_state)
        # What is made of a parameter lies as it does, and so do sums of its gradients.
        share = params / bytes_of(state.params) if layout is not None else 1.0
        rows = 1 if layout is None else row_parts(layout.mesh)
        return cls(
            params=params,
            dtypes=", ".join(sorted({str(leaf.dtype) for leaf in leaves})),
            optimizer=optimizer,
            rest=held(state) - params - optimizer,
            gradients=params if parts == 1 else params + int(share * _summed(leaves)),
            copies=int(share * kept.params),
            activations=kept.activations // rows,
            rows=config.data.batch_size // parts // rows,
            compute_dtype=policy(config.precision).compute_dtype,
        )

    @property
    def state(self) -> int:
        """What stays from step to step."""
        return self.params + self.optimizer + self.rest

    @property
    def total(self) -> int:
        """All of it at once, as it is when the backward pass begins."""
        return self.state + self.gradients + self.copies + self.activations

    def by_part(self) -> Mapping[str, int]:
        """Bytes by what they are called in a plan."""
        rows = f"{self.rows} row" + ("s" if self.rows > 1 else "")
        return {
            f"parameters ({self.dtypes})": self.params,
            "optimizer": self.optimizer,
            "the rest of the state": self.rest,
            "gradients": self.gradients,
            f"made of parameters alone, as their copy in {self.compute_dtype}": self.copies,
            f"activations of {rows}, kept for the backward pass": self.activations,
        }


def _summed(leaves: list[jax.ShapeDtypeStruct]) -> int:
    """Bytes of the sum of gradients, which is float32 where they are narrower."""
    widest = [jnp.promote_types(leaf.dtype, jnp.float32) for leaf in leaves]
    return sum(leaf.size * wide.itemsize for leaf, wide in zip(leaves, widest, strict=True))
