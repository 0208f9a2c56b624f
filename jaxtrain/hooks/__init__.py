"""Hooks: what happens around the steps, one hook a file.

    trainer.attach(Validation(evaluator, validation_loader))
    trainer.attach(Console())
    trainer.attach(JSONL(run_directory, every=100))
    trainer.attach(EarlyStopping(monitor="val/loss", patience=5))

They may be attached in any order: what reads an epoch's metrics runs after what adds to them.
"""

from jaxtrain.hooks.checkpoint import Checkpoint, refuse_unfit, resume
from jaxtrain.hooks.console import Console
from jaxtrain.hooks.csv import CSV
from jaxtrain.hooks.early_stopping import EarlyStopping
from jaxtrain.hooks.history import History
from jaxtrain.hooks.hook import Hook, StatefulHook
from jaxtrain.hooks.jsonl import JSONL
from jaxtrain.hooks.learning_rate import LearningRate
from jaxtrain.hooks.monitor import Monitor
from jaxtrain.hooks.nan_guard import NaNGuard
from jaxtrain.hooks.profiler import Profiler
from jaxtrain.hooks.progress import Progress
from jaxtrain.hooks.reduce_on_plateau import ReduceOnPlateau
from jaxtrain.hooks.registry import EPOCH_METRICS, HOOKS
from jaxtrain.hooks.silent import Silent, only_tells
from jaxtrain.hooks.system import System
from jaxtrain.hooks.tensorboard import TensorBoard
from jaxtrain.hooks.time_limit import TimeLimit
from jaxtrain.hooks.tracking import Tracking
from jaxtrain.hooks.validation import Validation, run_unless_stopping
from jaxtrain.tracking.rows import read_rows

__all__ = [
    "CSV",
    "EPOCH_METRICS",
    "HOOKS",
    "JSONL",
    "Checkpoint",
    "Console",
    "EarlyStopping",
    "History",
    "Hook",
    "LearningRate",
    "Monitor",
    "NaNGuard",
    "Profiler",
    "Progress",
    "ReduceOnPlateau",
    "Silent",
    "StatefulHook",
    "System",
    "TensorBoard",
    "TimeLimit",
    "Tracking",
    "Validation",
    "only_tells",
    "read_rows",
    "refuse_unfit",
    "resume",
    "run_unless_stopping",
]
