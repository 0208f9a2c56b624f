"""Checkpoints: whole or not there, verified by digests. Only this room knows orbax."""

from jaxtrain.checkpoint import environment
from jaxtrain.checkpoint.leaves import named_leaves
from jaxtrain.checkpoint.manifest import verify
from jaxtrain.checkpoint.store import CheckpointStore, Saved

__all__ = ["CheckpointStore", "Saved", "environment", "named_leaves", "verify"]
