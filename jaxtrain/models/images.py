"""What models of images ask of their inputs.

    refuse_other_inputs(inputs, "ResNet")

Axes: B batch, H height, W width, C channels.
"""

from __future__ import annotations

import jax

from jaxtrain.errors import ConfigError


def refuse_other_inputs(inputs: jax.Array, model: str) -> None:
    """See that inputs are images `[B, H, W, C]`.

    Raises:
        ConfigError: they have another rank; it says what to do.
    """
    if inputs.ndim != 4:
        raise ConfigError(
            f"a {model} wants images [B, H, W, C], but its inputs have shape {inputs.shape}; have "
            "the data keep their axes, or take an MLP"
        )
