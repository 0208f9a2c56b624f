"""Metrics: pure functions on small states, that merge across batches, devices and hosts."""

from jaxtrain.metrics.accuracy import Accuracy
from jaxtrain.metrics.direction import Direction, Mode, better, improves, rank
from jaxtrain.metrics.exact import Count, Sum
from jaxtrain.metrics.host_metric import HostMetric, is_host_metric
from jaxtrain.metrics.mean import Loss, Mean
from jaxtrain.metrics.mean_absolute_error import MeanAbsoluteError
from jaxtrain.metrics.mean_squared_error import MeanSquaredError
from jaxtrain.metrics.metric import Metric, naming
from jaxtrain.metrics.model_output_metric import ModelOutputMetric, as_metric
from jaxtrain.metrics.monoid import MonoidMetric
from jaxtrain.metrics.perplexity import Perplexity
from jaxtrain.metrics.r2_score import R2Score, R2State
from jaxtrain.metrics.ratio import FractionState, MeanState
from jaxtrain.metrics.registry import METRICS
from jaxtrain.metrics.regression import RegressionMetric
from jaxtrain.metrics.rescaled import Rescaled
from jaxtrain.metrics.root_mean_squared_error import RootMeanSquaredError
from jaxtrain.metrics.stateful import StatefulMetric
from jaxtrain.metrics.token_accuracy import TokenAccuracy
from jaxtrain.metrics.token_metric import TokenMetric
from jaxtrain.metrics.tokens import Tokens

__all__ = [
    "METRICS",
    "Accuracy",
    "Count",
    "Direction",
    "FractionState",
    "HostMetric",
    "Loss",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MeanState",
    "Metric",
    "Mode",
    "ModelOutputMetric",
    "MonoidMetric",
    "Perplexity",
    "R2Score",
    "R2State",
    "RegressionMetric",
    "Rescaled",
    "RootMeanSquaredError",
    "StatefulMetric",
    "Sum",
    "TokenAccuracy",
    "TokenMetric",
    "Tokens",
    "as_metric",
    "better",
    "improves",
    "is_host_metric",
    "naming",
    "rank",
]
