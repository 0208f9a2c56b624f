"""The learning rate for another batch size than the one that it was tuned with.

optimizer: {learning_rate: 0.1, batch_scaling: {rule: linear, base: 256}}

peak_rate(config.optimizer, batch_size=1024)        # 0.4
"""

from __future__ import annotations

import math

import pydantic

from jaxtrain.errors import ConfigError

LOWEST, HIGHEST = 1e-8, 10.0
"""Between these `learning_rate` has to be in a config, and so has what it is scaled to."""


def peak_rate(optimizer: pydantic.BaseModel, batch_size: int | None) -> float:
    """The learning rate that the schedule scales.

    With `linear` it grows as the batch does (Goyal et al. 2017, arXiv:1706.02677, for SGD), with
    `square_root` as its root (Krizhevsky 2014, arXiv:1404.5997; Malladi et al. 2022,
    arXiv:2205.10287, for Adam).

    Args:
        optimizer: a section with `learning_rate` and perhaps `batch_scaling`, which has `rule` and
            `base`, the batch size that `learning_rate` is for.
        batch_size: examples an update.

    Raises:
        ConfigError: it is to be scaled, and no batch size is given; or to what no rate can be.
    """
    rate: float = optimizer.learning_rate  # type: ignore[attr-defined]
    scaling = getattr(optimizer, "batch_scaling", None)
    if scaling is None:
        return rate
    if batch_size is None:
        raise ConfigError(
            "optimizer.batch_scaling: scales by the batch size, which make_optimizer was not "
            "given; give it batch_size="
        )
    ratio = batch_size / scaling.base
    peak = rate * (ratio if scaling.rule == "linear" else math.sqrt(ratio))
    if not LOWEST <= peak <= HIGHEST:
        raise ConfigError(
            f"optimizer.learning_rate, optimizer.batch_scaling: expected a rate between {LOWEST:g} "
            f"and {HIGHEST:g} for batches of {batch_size}, found {peak:g}; set one of them anew"
        )
    return peak
