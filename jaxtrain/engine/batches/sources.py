"""The source that fits a loader and a form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from jaxtrain.engine.batches.source import OneByOne, Resident, Source, fits_on_device
from jaxtrain.engine.batches.stacked import Stacked
from jaxtrain.engine.device.form import Form


def make_source(loader: Iterable[Any], form: Form, begun: Iterator[Any] | None = None) -> Source:
    """Single batches for the single form; for the fused one, the device if the data fits there.

    Args:
        loader: the loader.
        form: the run's form.
        begun: an iterator over the loader to begin with.
    """
    if form == "single":
        return OneByOne(loader, begun)
    if fits_on_device(loader):
        return Resident(loader)  # type: ignore[arg-type]
    return Stacked(loader, begun)
