"""Batches on their way from a loader to a dispatch."""

from jaxtrain.engine.batches.batches import Batches
from jaxtrain.engine.batches.door import PlainIterable, as_loader
from jaxtrain.engine.batches.portion import Feed, Portion

__all__ = ["Batches", "Feed", "PlainIterable", "Portion", "as_loader"]
