"""The class form of a metric, updated on the host: `reset`, `update(output)`, `compute`.

    class AreaUnderCurve:
        def reset(self): self.scores, self.labels = [], []
        def update(self, output): self.scores += [output["outputs"]]; self.labels += ...
        def compute(self): return roc_auc_score(...)

    trainer.add_metrics({"auc": AreaUnderCurve()})

Each iteration is then a dispatch of its own, which is waited for; a pure metric costs neither.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtrain.errors import ConfigError
from jaxtrain.metrics.metric import has_all


@runtime_checkable
class HostMetric(Protocol):
    """The class form of a metric.

    One that has a `refuse_misfit(output)` besides is asked before a run whether it can read outputs
    of such shapes; it raises where it can't.
    """

    def reset(self) -> None:
        """Forget everything seen."""

    def update(self, output: Any) -> None:
        """See one more output, fetched to the host."""

    def compute(self) -> Any:
        """The value so far."""


IGNITE_SHELL = """\
class OnTorch:
    def __init__(self, metric):
        self.inner, self.reset, self.compute = metric, metric.reset, metric.compute
    def update(self, output):
        self.inner.update(tuple(torch.tensor(output[key]) for key in ("outputs", "labels")))
"""
"""What to write around a metric of Ignite: it wants torch's tensors, and a pair of them."""


def is_host_metric(metric: Any) -> bool:
    """Whether `metric` has the class form; decided by what it has in truth, not by `hasattr`.

    Raises:
        ConfigError: it is one of Ignite's, which want torch's tensors; or its `update` takes
            something else than the output alone, as those of torchmetrics and of NNX do.

    >>> is_host_metric(object())
    False
    """
    refuse_ignite(metric)
    if isinstance(metric, type) or not has_all(metric, "reset", "update", "compute"):
        return False
    if has_all(metric, "empty", "merge"):
        return False
    try:
        inspect.signature(metric.update).bind(None)
    except TypeError:
        raise ConfigError(
            f"{_name(metric)}: its update{inspect.signature(metric.update)} can't be called with "
            "the step's output alone; write a class with reset(), update(output) and compute() "
            "that hands it what it asks for"
        ) from None
    return True


def refuse_misfit(metric: Any, output: Mapping[str, Any]) -> None:
    """Let a metric of the class form say, if it can, that it can't read outputs of such shapes.

    Args:
        metric: the metric.
        output: shapes and dtypes of what a step gives.
    """
    if has_all(metric, "refuse_misfit"):
        metric.refuse_misfit(output)


def refuse_ignite(metric: Any) -> None:
    """Raise a `ConfigError` where `metric` is one of Ignite's, with what to write instead."""
    family = metric.__mro__ if isinstance(metric, type) else type(metric).__mro__
    if any(cls.__module__.split(".")[0] == "ignite" for cls in family):
        raise ConfigError(
            f"{_name(metric)} is a metric of Ignite, which wants torch's tensors; hand in a shell "
            f"around it, OnTorch(metric):\n{IGNITE_SHELL}"
        )


def _name(metric: Any) -> str:
    cls = metric if isinstance(metric, type) else type(metric)
    return f"{cls.__module__}.{cls.__qualname__}"
