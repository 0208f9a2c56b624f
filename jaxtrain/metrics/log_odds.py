"""Log-odds: scores that order rows as probabilities do, and still tell 0.999999 from 0.9999999.

    log_odds(logits)                 # of softmax: log(p / (1 - p)) for each class, [..., K]
    logit(probabilities)             # the same of probabilities themselves

In float32 every softmax above 1 - 6e-8 is 1, so that a confident model's rows would all tie.

On the device or, with `xp=numpy`, on the host.

Axes: K classes.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp


def log_odds(logits: Any, *, xp: Any = jnp) -> Any:
    """`log(p / (1 - p))` of each class of `p = softmax(logits)`, `[..., K]`.

    Of the likeliest class it is its logit less the log-sum-exp of the others, and so as exact as
    the logits are; a class below 1/2 has no such trouble. Where a logit is NaN, or two are
    infinite, something of the row is NaN.

    >>> [round(float(x), 4) for x in log_odds(jnp.array([60.0, 10.0, 10.0]))]
    [49.3069, -50.0, -50.0]
    """
    classes = xp.arange(logits.shape[-1])
    is_top = classes == xp.argmax(logits, axis=-1)[..., None]
    top = xp.max(logits, axis=-1, keepdims=True)
    others = xp.where(is_top, -xp.inf, logits)
    most = xp.max(others, axis=-1, keepdims=True)
    shift = xp.where(xp.isfinite(most), most, 0.0)
    rest = shift + xp.log(xp.sum(xp.exp(others - shift), axis=-1, keepdims=True))
    log_p = logits - (top + xp.log1p(xp.exp(rest - top)))
    return xp.where(is_top, top - rest, log_p - xp.log1p(-xp.exp(log_p)))


def logit(probabilities: Any, *, xp: Any = jnp) -> Any:
    """`log(p / (1 - p))`; infinite at 0 and 1, NaN outside.

    >>> logit(jnp.array([0.0, 0.5, 1.0])).tolist()
    [-inf, 0.0, inf]
    """
    return xp.log(probabilities) - xp.log1p(-probabilities)
