"""Metrics by name: what the `metrics` section of a config may ask for.

    metrics:
      - {name: accuracy, top_k: 5}
      - {name: mean, key: grad_norm}

A metric is an object with `empty`, `update`, `merge` and `compute`; see `metric.py`. One of the
class form, with `reset`, `update` and `compute`, is taken too: it is updated on the host, in
evaluations alone. The options of a registered class are its keyword-only fields.
"""

from __future__ import annotations

from jaxtrain.metrics.host_metric import HostMetric
from jaxtrain.metrics.metric import Metric
from jaxtrain.registry import Registry

METRICS = Registry(
    "metric",
    returns=(Metric, HostMetric),
    hint="a metric has empty(), update(state, output), merge(a, b) and compute(state), or on the "
    "host reset(), update(output) and compute()",
)
