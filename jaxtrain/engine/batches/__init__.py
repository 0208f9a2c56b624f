"""Batches on their way from a loader to a dispatch."""
