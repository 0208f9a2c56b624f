import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.metrics import Accuracy, StatefulMetric, as_metric, is_host_metric
from jaxtrain.metrics.host_metric import IGNITE_SHELL


class Own:
    def reset(self):
        self.seen = []

    def update(self, output):
        self.seen.append(output)

    def compute(self):
        return len(self.seen)


def test_the_class_form_is_told_from_the_pure_one():
    assert is_host_metric(Own())
    assert is_host_metric(StatefulMetric(Accuracy()))
    assert not is_host_metric(Accuracy())
    assert not is_host_metric(Own)
    assert not is_host_metric(3)


def test_an_object_that_has_both_forms_is_pure():
    class Both(Own):
        def empty(self): ...
        def merge(self, a, b): ...

    assert not is_host_metric(Both())


def test_what_answers_everything_is_nothing():
    class Yes:
        def __getattr__(self, name):
            return print

    assert not is_host_metric(Yes())
    with pytest.raises(ConfigError, match="is no metric: it lacks empty, update, merge, compute"):
        as_metric(Yes())


def test_an_update_that_takes_something_else_is_refused_with_what_to_write():
    class TwoArguments(Own):
        def update(self, predictions, target): ...

    class KeywordsAlone(Own):
        def update(self, **kwargs): ...

    for cls in (TwoArguments, KeywordsAlone):
        with pytest.raises(ConfigError, match=rf"{cls.__name__}: its update\(.*update\(output\)"):
            is_host_metric(cls())


def test_a_metric_of_flax_nnx_is_refused():
    nnx = pytest.importorskip("flax.nnx")
    with pytest.raises(ConfigError, match=r"Accuracy: its update\(.*logits.*can't be called with"):
        is_host_metric(nnx.metrics.Accuracy())


class FromIgnite:
    __module__ = "ignite.metrics.accuracy"

    def __getattr__(self, name):
        return print

    def reset(self): ...
    def update(self, output): ...
    def compute(self): ...


def test_a_class_of_ignite_is_refused_by_name():
    class Users(FromIgnite):
        """A subclass of one's own wants tensors just the same."""

    for metric in (FromIgnite(), Users(), FromIgnite, Users):
        for ask in (is_host_metric, as_metric):
            with pytest.raises(ConfigError, match="is a metric of Ignite, which wants") as error:
                ask(metric)
            assert str(error.value).endswith(IGNITE_SHELL)


def test_a_module_whose_name_only_begins_so_is_not_ignites():
    class Mine(Own):
        __module__ = "ignited.metrics"

    assert is_host_metric(Mine())


def test_ignites_own_metrics_are_refused_and_work_in_the_shell_that_the_message_shows():
    ignite = pytest.importorskip("ignite.metrics", reason="pytorch-ignite is not installed")
    torch = pytest.importorskip("torch", reason="torch is not installed")
    with pytest.raises(ConfigError, match=r"ignite\.metrics\.accuracy\.Accuracy is a metric of"):
        is_host_metric(ignite.Accuracy())
    with pytest.raises(ConfigError, match=r"ignite\.metrics\.loss\.Loss is a metric of"):
        as_metric(ignite.Loss(torch.nn.functional.cross_entropy))

    scope = {"torch": torch}
    exec(IGNITE_SHELL, scope)
    metric = scope["OnTorch"](ignite.Accuracy())
    assert is_host_metric(metric)
    output = {"outputs": np.array([[0.1, 0.9], [0.8, 0.2]]), "labels": np.array([1, 1])}
    for _ in range(2):
        metric.reset()
        metric.update(output)
        assert metric.compute() == 0.5
