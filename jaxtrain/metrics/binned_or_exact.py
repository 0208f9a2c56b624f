"""Which of two forms of a metric a config asks for: on the device in bins, or exact on the host.

metric = binned_or_exact(RocAuc, ExactRocAuc, exact=True, bins=None, max_rows=None, num_classes=10)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from jaxtrain.errors import ConfigError

Binned = TypeVar("Binned")
Exact = TypeVar("Exact")


def binned_or_exact(
    binned: Callable[..., Binned],
    exactly: Callable[..., Exact],
    *,
    exact: bool,
    bins: int | None,
    max_rows: int | None,
    **options: Any,
) -> Binned | Exact:
    """One of the two, with the options of both.

    Args:
        binned: makes the one with bins.
        exactly: makes the other.
        exact: which.
        bins: of the first; None for its default.
        max_rows: of the second; None for its default.
        options: what both take.

    Raises:
        ConfigError: an option of the other one is set.
    """
    if exact and bins is not None:
        raise ConfigError(f"bins: an exact metric has none, found {bins}; leave out bins or exact")
    if not exact and max_rows is not None:
        raise ConfigError(
            f"max_rows: only an exact metric keeps rows, found {max_rows}; leave it out, or set "
            "exact to true"
        )
    if exact:
        return exactly(**options, **({} if max_rows is None else {"max_rows": max_rows}))
    return binned(**options, **({} if bins is None else {"bins": bins}))
