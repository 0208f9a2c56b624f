"""Metrics: pure functions on small states, that merge across batches, devices and hosts."""

from jaxtrain.metrics.accuracy import Accuracy
from jaxtrain.metrics.direction import Direction, Mode, better, improves, rank
from jaxtrain.metrics.exact import Count, Sum
from jaxtrain.metrics.mean import Loss, Mean
from jaxtrain.metrics.mean_squared_error import MeanSquaredError
from jaxtrain.metrics.metric import Metric
from jaxtrain.metrics.stateful import StatefulMetric

__all__ = [
    "Accuracy",
    "Count",
    "Direction",
    "Loss",
    "Mean",
    "MeanSquaredError",
    "Metric",
    "Mode",
    "StatefulMetric",
    "Sum",
    "better",
    "improves",
    "rank",
]
