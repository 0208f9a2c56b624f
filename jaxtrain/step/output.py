"""What a step says: scalars for people, arrays for metrics.

Axes: B rows, K classes or outputs.
"""

from __future__ import annotations

from typing import Any

import jax

from jaxtrain.batch import Batch, full_mask
from jaxtrain.models import SOWN_LOSSES
from jaxtrain.step.forward import Pass
from jaxtrain.step.objective import mean


def output(total: jax.Array, weight: jax.Array, seen: Pass, batch: Batch) -> dict[str, Any]:
    """The output of a pass.

    Returns:
        `loss`, `loss_sum` and `loss_weight`, float32 scalars; `outputs` [B, K] as the model gives
        them; `labels` where the batch has them; `mask` [B, ...], both masks composed, where the
        batch has one; `sown` where the model sowed into other collections than `losses`.
    """
    said = {
        "loss": mean(total, weight),
        "loss_sum": total,
        "loss_weight": weight,
        "outputs": seen.outputs,
    }
    if "labels" in batch:
        said["labels"] = batch["labels"]
    mask = full_mask(batch)
    if mask is not None:
        said["mask"] = mask
    sown = {name: values for name, values in seen.sown.items() if name != SOWN_LOSSES}
    return said | {"sown": sown} if sown else said
