"""Metrics: pure functions on small states, that merge across batches, devices and hosts."""

from jaxtrain.direction import Direction, Mode, better, improves, rank
from jaxtrain.metrics.accuracy import Accuracy
from jaxtrain.metrics.average_precision import AveragePrecision, ExactAveragePrecision
from jaxtrain.metrics.averaged import AveragedMetric
from jaxtrain.metrics.binned import BinnedMetric
from jaxtrain.metrics.class_counts import ClassCounts
from jaxtrain.metrics.class_metric import ClassMetric
from jaxtrain.metrics.collected import CollectedMetric
from jaxtrain.metrics.confusion_matrix import ConfusionMatrix, ConfusionState
from jaxtrain.metrics.exact import Count, Sum
from jaxtrain.metrics.fbeta import FBeta
from jaxtrain.metrics.histogram import HistogramState
from jaxtrain.metrics.host_metric import HostMetric, is_host_metric, refuse_misfit
from jaxtrain.metrics.mean import Loss, Mean
from jaxtrain.metrics.mean_absolute_error import MeanAbsoluteError
from jaxtrain.metrics.mean_squared_error import MeanSquaredError
from jaxtrain.metrics.metric import Metric, naming
from jaxtrain.metrics.mistakes import WorstMistakes
from jaxtrain.metrics.model_output_metric import ModelOutputMetric, as_metric
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.one_vs_rest import OneVsRest, ScoresRead
from jaxtrain.metrics.perplexity import Perplexity
from jaxtrain.metrics.precision import Precision
from jaxtrain.metrics.r2_score import R2Score, R2State
from jaxtrain.metrics.ratio import FractionState, MeanState
from jaxtrain.metrics.recall import Recall
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.regression import RegressionMetric
from jaxtrain.metrics.rescaled import HostRescaled, Rescaled, in_data_unit
from jaxtrain.metrics.roc_auc import ExactRocAuc, RocAuc
from jaxtrain.metrics.root_mean_squared_error import RootMeanSquaredError
from jaxtrain.metrics.stateful import StatefulMetric
from jaxtrain.metrics.token_accuracy import TokenAccuracy
from jaxtrain.metrics.token_metric import TokenMetric
from jaxtrain.metrics.tokens import Tokens

__all__ = [
    "METRICS",
    "Accuracy",
    "AveragePrecision",
    "AveragedMetric",
    "BinnedMetric",
    "ClassCounts",
    "ClassMetric",
    "CollectedMetric",
    "ConfusionMatrix",
    "ConfusionState",
    "Count",
    "Direction",
    "ExactAveragePrecision",
    "ExactRocAuc",
    "FBeta",
    "FractionState",
    "HistogramState",
    "HostMetric",
    "HostRescaled",
    "Loss",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MeanState",
    "Metric",
    "Mode",
    "ModelOutputMetric",
    "MonoidMetric",
    "OneVsRest",
    "Perplexity",
    "Precision",
    "R2Score",
    "R2State",
    "Recall",
    "RegressionMetric",
    "Rescaled",
    "RocAuc",
    "RootMeanSquaredError",
    "ScoresRead",
    "StatefulMetric",
    "Sum",
    "TokenAccuracy",
    "TokenMetric",
    "Tokens",
    "WorstMistakes",
    "as_metric",
    "better",
    "improves",
    "in_data_unit",
    "is_host_metric",
    "naming",
    "rank",
    "refuse_misfit",
]
