"""Classes of clu's protocol as pure metrics: a hand-written one, and clu's and metrax's own."""

import contextlib

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.engine import Engine
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.metrics import Accuracy, Metric, ModelOutputMetric, StatefulMetric, as_metric


@flax.struct.dataclass
class Mistakes:
    """How many labels were missed, of the rows that count."""

    count: jax.Array
    rows: jax.Array

    @classmethod
    def empty(cls):
        return cls(jnp.int32(0), jnp.int32(0))

    @classmethod
    def from_model_output(cls, logits, labels, mask=None):
        wrong = logits.argmax(-1) != labels
        real = jnp.ones(labels.shape, bool) if mask is None else mask > 0
        return cls(jnp.sum(wrong & real), jnp.sum(real))

    def merge(self, other):
        return Mistakes(self.count + other.count, self.rows + other.rows)

    def reduce(self):
        return jax.tree.map(lambda leaf: leaf.sum(0), self)

    def compute(self):
        return self.count / self.rows


def outputs(seed, *, mask=True):
    random = np.random.default_rng(seed)
    found = {
        "outputs": random.normal(size=(6, 3)).astype(np.float32),
        "labels": random.integers(0, 3, 6).astype(np.int32),
        "loss": np.float32(random.gamma(1.0)),
    }
    return found | ({"mask": (np.arange(6) < 4).astype(np.float32)} if mask else {})


def value(metric, *found):
    state = metric.empty()
    for output in found:
        state = jax.jit(metric.update)(state, output)
    return float(metric.compute(state))


def test_a_number_of_pythons_among_the_leaves_is_one_of_jaxs():
    """metrax's AUCROC holds the number of its thresholds so."""

    @flax.struct.dataclass
    class Numbered(Mistakes):
        @classmethod
        def from_model_output(cls, logits, labels, mask=None):
            return cls(4, Mistakes.from_model_output(logits, labels, mask).rows)

    metric = as_metric(Numbered, float_counts=True)
    assert value(metric, outputs(0), outputs(1)) == 1.0


@pytest.mark.parametrize("mask", [True, False])
def test_a_hand_written_class_counts_what_ours_counts(mask):
    metric = as_metric(Mistakes)
    assert isinstance(metric, Metric)
    both = [outputs(seed, mask=mask) for seed in (1, 2)]
    assert value(metric, *both) == pytest.approx(1 - value(Accuracy(), *both))
    merged = metric.merge(*(metric.update(metric.empty(), output) for output in both))
    assert float(metric.compute(merged)) == value(metric, *both)


def test_it_is_a_carry_of_scan_and_a_slice_of_vmap():
    metric = as_metric(Mistakes)
    found = [outputs(seed) for seed in range(4)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *found)
    fused, _ = jax.lax.scan(lambda s, o: (metric.update(s, o), None), metric.empty(), stacked)
    assert float(metric.compute(fused)) == value(metric, *found)
    each = jax.vmap(lambda output: metric.update(metric.empty(), output))(stacked)
    assert jax.vmap(metric.compute)(each).tolist() == [value(metric, one) for one in found]


def test_an_engine_runs_it():
    def step(state, batch):
        return state, {"outputs": batch["x"], "labels": batch["y"]}

    batches = [{"x": o["outputs"], "y": o["labels"]} for o in (outputs(1), outputs(2))]
    engine = Engine(step, jnp.float32(0))
    engine.add_metrics({"mistakes": as_metric(Mistakes), "accuracy": Accuracy()})
    metrics = engine.run(batches).metrics
    assert metrics["mistakes"] == pytest.approx(1 - metrics["accuracy"])


def test_it_is_a_value():
    assert as_metric(Mistakes) == as_metric(Mistakes)
    assert hash(as_metric(Mistakes, names={"logits": "a"})) != hash(as_metric(Mistakes))
    assert as_metric(Accuracy()) == Accuracy()


def test_names_say_where_an_argument_comes_from():
    found = outputs(1)
    heads = {"heads": {"a": found["outputs"]}, "labels": found["labels"], "mask": found["mask"]}
    named = as_metric(Mistakes, names={"logits": "heads.a"})
    assert value(named, heads) == value(as_metric(Mistakes), found)
    scaled = as_metric(Mistakes, names={"logits": lambda output: -output["heads"]["a"]})
    assert value(scaled, heads) == value(
        as_metric(Mistakes), found | {"outputs": -found["outputs"]}
    )


def test_a_missing_argument_says_what_to_write():
    metric = as_metric(Mistakes)
    with pytest.raises(DataError) as error:
        metric.update(metric.empty(), {"predictions": 1, "labels": 2})
    assert str(error.value) == (
        "the metric Mistakes asks for 'logits', the output of the step has only 'predictions', "
        "'labels'; say where it comes from: as_metric(Mistakes, names={'logits': 'outputs'})"
    )


def test_a_class_that_takes_no_mask_does_not_count_padding_in_silence():
    @flax.struct.dataclass
    class Unmasked(Mistakes):
        @classmethod
        def from_model_output(cls, logits, labels, weights=None):
            return super().from_model_output(logits, labels, weights)

    metric = as_metric(Unmasked)
    with pytest.raises(DataError, match=r"takes no mask.*\(it has: logits, labels, weights\)"):
        metric.update(metric.empty(), outputs(1))
    assert value(metric, outputs(1, mask=False)) >= 0
    named = as_metric(Unmasked, names={"weights": "mask"})
    assert value(named, outputs(1)) == value(as_metric(Mistakes), outputs(1))


def test_a_population_is_not_pooled():
    metric = as_metric(Mistakes)
    with pytest.raises(DataError, match="the metric Mistakes: expected a scalar 'finite'"):
        metric.update(metric.empty(), outputs(1) | {"finite": np.ones(2, bool)})


def test_a_state_that_changes_its_dtype_is_refused_or_kept_as_floats():
    @flax.struct.dataclass
    class Weighted(Mistakes):
        @classmethod
        def from_model_output(cls, logits, labels, sample_weights):
            wrong = (logits.argmax(-1) != labels) * sample_weights
            return cls(wrong.sum(), sample_weights.sum())

        def merge(self, other):
            return Weighted(self.count + other.count, self.rows + other.rows)

    metric = as_metric(Weighted)
    with pytest.raises(DataError, match=r"\.count: int32\[\] becomes float32\[\].*float_counts"):
        metric.update(metric.empty(), outputs(1))
    floats = as_metric(Weighted, float_counts=True)
    assert value(floats, outputs(1), outputs(2)) == pytest.approx(
        value(as_metric(Mistakes), outputs(1), outputs(2))
    )


def test_what_is_no_metric_is_told_what_is_missing():
    class NoReduce:
        empty = from_model_output = merge = compute = None

    class Collection:
        empty = merge = reduce = compute = single_from_model_output = None

    class NoPytree:
        """Forgot flax.struct.dataclass."""

        empty = classmethod(lambda cls: cls())
        from_model_output = classmethod(lambda cls, **_: cls())
        merge = reduce = compute = None

    class OnlyHost:
        def reset(self): ...
        def update(self, output): ...
        def compute(self): ...

    class Collecting(dict):
        """A state that grows."""

        empty = classmethod(lambda cls: {})
        from_model_output = classmethod(lambda cls, **_: {})
        merge = reduce = compute = None

    empty = Mistakes.empty()
    for wrong, text in {
        NoReduce: "the class .*NoReduce is no metric as those of clu are: it lacks reduce",
        Collection: "Collection is a collection; hand in its metrics one by one",
        NoPytree: "its state is no pytree of arrays; decorate the class with flax.struct",
        Collecting: "its empty state holds no array, so it grows as it collects",
        Accuracy: r"expected an instance, Accuracy\(...\); found the class Accuracy",
        StatefulMetric: r"expected an instance, StatefulMetric\(...\); found the class",
        OnlyHost(): "OnlyHost has the class form .* add_metrics takes it as it is",
        lambda output: 1: "is no metric: it lacks empty, update, merge, compute",
    }.items():
        with pytest.raises(ConfigError, match=text):
            as_metric(wrong)
    with pytest.raises(ConfigError, match="expected the class Mistakes itself"):
        as_metric(empty)
    with pytest.raises(ConfigError, match=r"names and float_counts are for classes"):
        as_metric(Accuracy(), names={"logits": "outputs"})
    with pytest.raises(ConfigError, match=r"has no argument logit \(it has: logits, lab"):
        as_metric(Mistakes, names={"logit": "outputs"})


# -- the libraries themselves --------------------------------------------------------------------


@pytest.fixture
def clu():
    """clu, whose import warns of what JAX will rename."""
    with _quiet():
        return pytest.importorskip("clu.metrics", reason="clu is not installed")


@pytest.fixture
def metrax():
    with _quiet():
        return pytest.importorskip("metrax", reason="google-metrax is not installed")


@contextlib.contextmanager
def _quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_clus_accuracy_is_ours(clu):
    found = [outputs(1), outputs(2)]
    assert value(as_metric(clu.Accuracy), *found) == pytest.approx(value(Accuracy(), *found))
    bare = [outputs(1, mask=False)]
    assert value(as_metric(clu.Accuracy), *bare) == pytest.approx(value(Accuracy(), *bare))


def test_clus_average_of_an_output_and_its_collections(clu):
    found = [outputs(1), outputs(2)]
    average = as_metric(clu.Average.from_output("loss"))
    assert value(average, *found) == pytest.approx(np.mean([o["loss"] for o in found]))
    assert isinstance(average, ModelOutputMetric)
    with pytest.raises(ConfigError, match="one by one"):
        as_metric(clu.Collection.create(accuracy=clu.Accuracy))
    with pytest.raises(ConfigError, match="grows as it collects"):
        as_metric(clu.CollectingMetric.from_outputs(("labels",)))


def test_metrax_says_what_to_name_and_then_agrees_with_ours(metrax):
    found = [outputs(1), outputs(2)]
    with pytest.raises(DataError, match="asks for 'predictions'"):
        value(as_metric(metrax.Accuracy), *found)
    names = {"predictions": lambda output: output["outputs"].argmax(-1)}
    with pytest.raises(DataError, match="float_counts=True"):
        value(as_metric(metrax.Accuracy, names=names), *found)
    metric = as_metric(metrax.Accuracy, names=names, float_counts=True)
    assert value(metric, *found) == pytest.approx(value(Accuracy(), *found))


def test_metrax_mean_squared_error_with_padding(metrax):
    from jaxtrain.metrics import MeanSquaredError

    found = [
        {"outputs": o["outputs"][:, 0], "labels": o["outputs"][:, 1], "mask": o["mask"]}
        for o in (outputs(1), outputs(2))
    ]
    metric = as_metric(metrax.MSE, names={"predictions": "outputs"}, float_counts=True)
    assert value(metric, *found) == pytest.approx(value(MeanSquaredError(), *found), rel=1e-6)
