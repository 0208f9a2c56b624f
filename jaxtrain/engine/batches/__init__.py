"""Batches on their way from a loader to a dispatch."""

__all__: list[str] = []
