"""Checkpoints: whole or not there, verified by digests. Only this room knows orbax."""

from jaxtrain.checkpoint import environment
from jaxtrain.checkpoint.finite import refuse_nonfinite
from jaxtrain.checkpoint.leaves import named_leaves
from jaxtrain.checkpoint.run_meta import RunMeta
from jaxtrain.checkpoint.saved import Saved
from jaxtrain.checkpoint.store import CheckpointStore
from jaxtrain.checkpoint.survey import Found, Survey, take_survey
from jaxtrain.checkpoint.verifier import verify, vouched

__all__ = [
    "CheckpointStore",
    "Found",
    "RunMeta",
    "Saved",
    "Survey",
    "environment",
    "named_leaves",
    "refuse_nonfinite",
    "take_survey",
    "verify",
    "vouched",
]
