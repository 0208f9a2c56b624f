"""Retention: what a model that was trained in phases has kept, measured so that one may believe it.

matrix = RetentionMatrix(tasks=("korean", "medical"), untrained=("stories",))
matrix = matrix.with_row(0, {"korean": TaskScores(score, nll, tokens), ...})
report = RetentionReport.of(matrix)
report.print(), report.forgotten(tolerance=0.02), draw_retention(report, "retention.png")
"""

from jaxtrain.retention.baseline import Baseline
from jaxtrain.retention.beside import Joint, Merged
from jaxtrain.retention.estimate import Estimate
from jaxtrain.retention.guard import ForgettingGuard, validate_no_forgetting
from jaxtrain.retention.matrix import RetentionMatrix
from jaxtrain.retention.picture import draw_retention
from jaxtrain.retention.report import RetentionReport
from jaxtrain.retention.scores import TaskScores, load_row, save_row
from jaxtrain.retention.seeds import SeedSummary, compared, summary
from jaxtrain.retention.transfer import (
    average_accuracy,
    backward_transfer,
    forgetting,
    forward_transfer,
    general_ability,
)
from jaxtrain.retention.validation import ValidationReport, test_all_phases

__all__ = [
    "Baseline",
    "Estimate",
    "ForgettingGuard",
    "Joint",
    "Merged",
    "RetentionMatrix",
    "RetentionReport",
    "SeedSummary",
    "TaskScores",
    "ValidationReport",
    "average_accuracy",
    "backward_transfer",
    "compared",
    "draw_retention",
    "forgetting",
    "forward_transfer",
    "general_ability",
    "load_row",
    "save_row",
    "summary",
    "test_all_phases",
    "validate_no_forgetting",
]
