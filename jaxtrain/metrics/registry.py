"""Metrics by name: what the `metrics` section of a config may ask for.

    metrics:
      - {name: accuracy, top_k: 5}
      - {name: mean, key: grad_norm}

A metric is an object with `empty`, `update`, `merge` and `compute`; see `metric.py`. The options
of a registered class are its keyword-only fields.
"""

from __future__ import annotations

from jaxtrain.metrics.metric import Metric
from jaxtrain.registry import Registry

METRICS = Registry(
    "metric",
    returns=Metric,
    hint="a metric has empty(), update(state, output), merge(a, b) and compute(state)",
)
