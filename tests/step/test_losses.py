import jax
import jax.numpy as jnp
import numpy as np
import optax
import pydantic
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.registry import Registry
from jaxtrain.step import LOSSES, LossFn, cross_entropy, mean_squared_error


class Section(pydantic.BaseModel):
    name: str


@pytest.fixture
def logits():
    return jax.random.normal(jax.random.key(0), (4, 3)) * 3


LABELS = jnp.array([0, 2, 1, 2])


def test_cross_entropy_is_minus_the_log_probability_of_the_label():
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]))
    total, weight = cross_entropy()(logits, {"labels": jnp.array([0, 2])})
    assert float(total) == pytest.approx(-np.log(0.5) - np.log(0.8), rel=1e-6)
    assert float(weight) == 2


def test_cross_entropy_does_not_overflow_on_large_logits():
    total, _ = cross_entropy(label_smoothing=0.3)(
        jnp.array([[1e4, 0.0, 0.0]]), {"labels": jnp.array([0])}
    )
    # A third of 0.3 of the target on each of two classes 1e4 below the first.
    assert float(total) == pytest.approx(0.2 * 1e4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_the_cross_entropy_with_smoothed_labels(logits, smoothing):
    total, _ = cross_entropy(label_smoothing=smoothing)(logits, {"labels": LABELS})
    targets = optax.smooth_labels(jax.nn.one_hot(LABELS, 3), smoothing)
    assert float(total) == pytest.approx(
        float(optax.softmax_cross_entropy(logits, targets).sum()), rel=1e-6
    )
    # The textbook's: (1 - a) (-log p_label) + a / K sum_k (-log p_k).
    log_p = np.asarray(jax.nn.log_softmax(logits))
    picked = log_p[np.arange(4), np.asarray(LABELS)]
    textbook = -(1 - smoothing) * picked - smoothing * log_p.mean(axis=-1)
    assert float(total) == pytest.approx(float(textbook.sum()), rel=1e-6)


def test_totals_and_weights_add_up_over_parts_of_a_batch(logits):
    mask = jnp.array([1.0, 0.0, 1.0, 1.0])
    loss = cross_entropy(label_smoothing=0.1)
    whole = loss(logits, {"labels": LABELS, "mask": mask})
    parts = [
        loss(logits[s], {"labels": LABELS[s], "mask": mask[s]})
        for s in (slice(0, 1), slice(1, 2), slice(2, 4))
    ]
    assert float(whole[1]) == sum(float(w) for _, w in parts) == 3
    assert float(whole[0]) == pytest.approx(sum(float(t) for t, _ in parts), rel=1e-6)


def test_no_mask_and_a_mask_of_ones_are_the_same(logits):
    for loss, outputs, labels in (
        (cross_entropy(), logits, LABELS),
        (mean_squared_error(), logits, logits + 1),
    ):
        bare = loss(outputs, {"labels": labels})
        ones = loss(outputs, {"labels": labels, "mask": jnp.ones(4)})
        assert [float(x) for x in bare] == [float(x) for x in ones]


def test_a_batch_of_padding_alone_has_total_and_weight_zero(logits):
    for loss, labels in ((cross_entropy(), LABELS), (mean_squared_error(), logits)):
        total, weight = loss(logits, {"labels": labels, "mask": jnp.zeros(4)})
        assert (float(total), float(weight)) == (0.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["cross_entropy", "mean_squared_error"])
def test_what_stands_in_padding_reaches_neither_the_loss_nor_its_gradient(logits, name, bad):
    classify = name == "cross_entropy"
    loss = cross_entropy(label_smoothing=0.1) if classify else mean_squared_error()
    labels = LABELS if classify else jnp.ones((4, 3))
    mask = jnp.array([1.0, 1.0, 0.0, 1.0])

    def mean(outputs, labels):
        total, weight = loss(outputs, {"labels": labels, "mask": mask})
        return total / weight

    spoilt = logits.at[2].set(bad)
    bad_labels = labels.at[2].set(-100 if classify else bad)
    value, gradient = jax.value_and_grad(mean)(spoilt, bad_labels)
    good_value, good_gradient = jax.value_and_grad(mean)(logits, labels)
    assert float(value) == float(good_value)
    np.testing.assert_array_equal(gradient, good_gradient)
    assert not np.asarray(gradient[2]).any()


def test_nan_in_a_real_row_is_not_hidden(logits):
    batch = {"labels": LABELS, "mask": jnp.array([1.0, 1.0, 0.0, 1.0])}
    total, _ = cross_entropy()(logits.at[0, 0].set(jnp.nan), batch)
    assert np.isnan(float(total))


@pytest.mark.parametrize("shape", [(4, 1), (3,), (4, 3)])
def test_cross_entropy_names_both_shapes(logits, shape):
    with pytest.raises(ValueError, match="cross_entropy") as error:
        cross_entropy()(logits, {"labels": jnp.zeros(shape, jnp.int32)})
    assert str(error.value) == (
        f"cross_entropy: logits (4, 3) need labels (4,), found labels {shape}"
    )


@pytest.mark.parametrize(
    ("outputs", "labels", "weight"),
    [((4, 2), (4, 2), 8), ((4, 1), (4,), 4), ((4, 1), (4, 1), 4), ((4,), (4,), 4)],
)
def test_squared_error_is_the_mean_over_examples_and_features(outputs, labels, weight):
    predicted = jnp.arange(np.prod(outputs), dtype=jnp.float32).reshape(outputs)
    total, found = mean_squared_error()(predicted, {"labels": jnp.ones(labels, jnp.int32)})
    assert float(found) == weight
    assert float(total) == float(((np.asarray(predicted) - 1) ** 2).sum())


def test_squared_error_counts_masked_elements():
    batch = {"labels": jnp.zeros((3, 2)), "mask": jnp.array([1.0, 0.0, 1.0])}
    total, weight = mean_squared_error()(jnp.full((3, 2), 2.0), batch)
    assert (float(total), float(weight)) == (16.0, 4.0)


@pytest.mark.parametrize(("outputs", "labels"), [((4, 2), (4,)), ((4,), (4, 1)), ((4, 1), (3,))])
def test_squared_error_never_broadcasts_labels(outputs, labels):
    # [4] against [4, 1] would broadcast to [4, 4] and train on nonsense.
    with pytest.raises(ValueError, match="mean_squared_error") as error:
        mean_squared_error()(jnp.zeros(outputs), {"labels": jnp.zeros(labels)})
    assert str(error.value) == (
        f"mean_squared_error: outputs {outputs} need labels of that shape, found {labels}"
    )


def test_losses_are_float32_whatever_the_model_computes_in(logits):
    for loss, labels in ((cross_entropy(), LABELS), (mean_squared_error(), logits)):
        total, weight = loss(logits.astype(jnp.bfloat16), {"labels": labels})
        assert (total.dtype, weight.dtype) == (jnp.float32, jnp.float32)


def test_the_config_can_name_them():
    assert LOSSES.names() == ["cross_entropy", "focal", "mean_squared_error", "next_token"]
    schema = LOSSES.schema("cross_entropy", Section)
    loss = LOSSES.build(schema(name="cross_entropy", label_smoothing=0.5))
    logits = jnp.array([[2.0, 0.0]])
    total, _ = loss(logits, {"labels": jnp.array([0])})
    expected, _ = cross_entropy(label_smoothing=0.5)(logits, {"labels": jnp.array([0])})
    assert float(total) == float(expected)
    for wrong in (1.0, -0.1):
        with pytest.raises(pydantic.ValidationError, match="label_smoothing"):
            schema(name="cross_entropy", label_smoothing=wrong)


# -- labels that do not count, or are none --------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ignored", [-100, 1])
def test_ignored_labels_count_nowhere(logits, masked, smoothing, ignored):
    loss = cross_entropy(label_smoothing=smoothing, ignore_label=ignored)
    labels = LABELS.at[2].set(ignored)
    mask = {"mask": jnp.array([1.0, 0.0, 1.0, 0.5])} if masked else {}

    def mean(logits):
        total, weight = loss(logits, {"labels": labels, **mask})
        return total / weight, weight

    spoilt = logits.at[2].set(jnp.nan)
    (value, weight), gradient = jax.value_and_grad(mean, has_aux=True)(spoilt)
    assert float(weight) == (1.5 if masked else 3.0)
    assert not np.asarray(gradient[2]).any()
    counted = jnp.array([0, 3] if masked else [0, 1, 3])
    plain = cross_entropy(label_smoothing=smoothing)
    part = {name: values[counted] for name, values in ({"labels": labels} | mask).items()}
    total, _ = plain(logits[counted], part)
    assert float(value) == pytest.approx(float(total / weight), rel=1e-6)
    assert np.asarray(gradient[0]).any()


def test_a_batch_of_ignored_labels_alone_weighs_nothing(logits):
    total, weight = cross_entropy(ignore_label=-1)(logits, {"labels": jnp.full(4, -1)})
    assert (float(total), float(weight)) == (0.0, 0.0)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "uint32", "int32"])
@pytest.mark.parametrize("ignored", [None, -100, 2])
def test_labels_of_any_integer_dtype(dtype, ignored):
    logits = jax.random.normal(jax.random.key(0), (4, 300))  # more than uint8 can count
    labels = np.array([0, 2, 1, 100])
    expected = cross_entropy(ignore_label=ignored)(logits, {"labels": jnp.asarray(labels)})
    found = cross_entropy(ignore_label=ignored)(logits, {"labels": jnp.asarray(labels, dtype)})
    assert [float(x) for x in found] == [float(x) for x in expected]
    assert float(found[1]) == (3 if ignored == 2 else 4)


@pytest.mark.parametrize(
    ("dtype", "label"), [("int32", -1), ("int32", 3), ("uint32", 2**32 - 1), ("int8", -100)]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_a_label_that_is_no_class_makes_the_loss_nan(logits, dtype, label, smoothing):
    labels = np.array([0, 1, 2, 0], dtype)
    labels[2] = label
    loss = cross_entropy(label_smoothing=smoothing, ignore_label=-7)
    total, _ = loss(logits, {"labels": jnp.asarray(labels)})
    assert np.isnan(float(total))
    total, weight = loss(
        logits, {"labels": jnp.asarray(labels), "row_mask": jnp.array([1, 1, 0, 1])}
    )
    assert np.isfinite(float(total))
    assert float(weight) == 3


@pytest.mark.parametrize("dtype", ["float32", "bool"])
def test_labels_that_are_no_integers_are_refused(logits, dtype):
    with pytest.raises(DataError, match=f"integer labels, found {dtype}.*mean_squared_error"):
        cross_entropy()(logits, {"labels": jnp.ones(4, dtype)})


# -- masks of rows and of tokens, heads -----------------------------------------------------------


def test_tokens_and_rows_are_masked_together():
    logits = jax.random.normal(jax.random.key(0), (2, 3, 5))
    labels = jnp.array([[0, 1, 2], [3, 4, 0]])
    tokens, rows = jnp.array([[1, 0, 1], [1, 1, 1]]), jnp.array([1, 0])
    total, weight = cross_entropy()(logits, {"labels": labels, "mask": tokens, "row_mask": rows})
    expected, _ = cross_entropy()(logits[0, ::2], {"labels": labels[0, ::2]})
    assert float(weight) == 2
    assert float(total) == pytest.approx(float(expected), rel=1e-6)
    with pytest.raises(DataError, match=r"mask has shape \(2, 3\)"):
        cross_entropy()(logits[:, 0], {"labels": labels[:, 0], "mask": tokens})


def test_one_head_of_several_is_named(logits):
    heads = {"digit": logits, "colour": logits[:, :2]}
    batch = {"digits": LABELS, "size": jnp.ones((4, 3))}
    found = cross_entropy(outputs="digit", labels="digits")(heads, batch)
    expected = cross_entropy()(logits, {"labels": LABELS})
    assert [float(x) for x in found] == [float(x) for x in expected]
    found = mean_squared_error(outputs="digit", labels="size")(heads, batch)
    expected = mean_squared_error()(logits, {"labels": batch["size"]})
    assert [float(x) for x in found] == [float(x) for x in expected]


@pytest.mark.parametrize("make", [cross_entropy, mean_squared_error])
def test_heads_that_are_not_named_are_refused(logits, make):
    batch = {"labels": LABELS}
    with pytest.raises(DataError, match="a dict of 'a', 'b'; name one"):
        make()({"a": logits, "b": logits}, batch)
    with pytest.raises(DataError, match="a tuple of 2; have the model give a dict"):
        make()((logits, logits), batch)
    with pytest.raises(DataError, match=r"outputs\['a'\], but the model gives no dict"):
        make(outputs="a")(logits, batch)
    with pytest.raises(DataError, match="reads 'c', the model's outputs has only 'a'"):
        make(outputs="c")({"a": logits}, batch)


def test_a_plugin_that_makes_no_loss_is_refused():
    registry = Registry("loss", returns=LossFn)
    registry.register("nothing")(lambda: None)
    with pytest.raises(ConfigError, match="LossFn, found None"):
        registry.build(Section(name="nothing"))
    assert LOSSES.returns is LossFn


# -- classes that count for more ------------------------------------------------------------------

WEIGHTS = (0.5, 2.0, 3.25)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignored", [None, 1, -100])
def test_weights_are_those_of_torch(logits, smoothing, ignored):
    torch = pytest.importorskip("torch")
    labels = np.array([0, 2, 1, 2])
    labels[0] = ignored if ignored is not None else 0
    options = {} if ignored is None else {"ignore_index": ignored}
    theirs = torch.nn.CrossEntropyLoss(
        weight=torch.tensor(WEIGHTS), label_smoothing=smoothing, **options
    )
    found = torch.tensor(np.asarray(logits), requires_grad=True)
    expected = theirs(found, torch.tensor(labels))
    expected.backward()
    loss = cross_entropy(class_weights=WEIGHTS, label_smoothing=smoothing, ignore_label=ignored)

    def mean(logits):
        total, weight = loss(logits, {"labels": jnp.asarray(labels)})
        return total / weight

    value, gradient = jax.value_and_grad(mean)(logits)
    assert float(value) == pytest.approx(expected.item(), rel=1e-6)
    np.testing.assert_allclose(gradient, found.grad.numpy(), rtol=1e-5, atol=1e-7)


def test_a_weighted_total_is_the_sum_of_weighted_rows(logits):
    """By the definition, for where torch is not installed."""
    total, weight = cross_entropy(class_weights=WEIGHTS)(logits, {"labels": LABELS})
    log_p, by_label = np.asarray(jax.nn.log_softmax(logits)), np.array(WEIGHTS)[LABELS]
    assert float(weight) == by_label.sum() == 0.5 + 3.25 + 2 + 3.25
    assert float(total) == pytest.approx(-(by_label * log_p[np.arange(4), LABELS]).sum(), rel=1e-6)
    smooth, _ = cross_entropy(class_weights=WEIGHTS, label_smoothing=0.3)(
        logits, {"labels": LABELS}
    )
    spread = -(log_p * np.array(WEIGHTS)).mean(axis=-1).sum()
    assert float(smooth) == pytest.approx(0.7 * float(total) + 0.3 * spread, rel=1e-6)


def test_equal_weights_change_no_mean(logits):
    for smoothing in (0.0, 0.2):
        plain = cross_entropy(label_smoothing=smoothing)(logits, {"labels": LABELS})
        found = cross_entropy(label_smoothing=smoothing, class_weights=(4.0,) * 3)(
            logits, {"labels": LABELS}
        )
        assert float(found[0] / found[1]) == pytest.approx(float(plain[0] / plain[1]), rel=1e-6)
        assert float(found[1]) == 16


def weights_of(loss, classes):
    """The weight of each class, as a loss gives it."""
    return [
        float(loss(jnp.zeros((1, classes)), {"labels": jnp.array([k])})[1]) for k in range(classes)
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_a_class_of_weight_0_counts_nowhere(logits, smoothing, bad):
    """torch would add its smoothed share to the total and nothing to the weight."""
    loss = cross_entropy(class_weights=(1.0, 0.0, 2.0), label_smoothing=smoothing)

    def mean(logits, labels):
        total, weight = loss(logits, {"labels": labels})
        return total / weight

    value, gradient = jax.value_and_grad(mean)(logits.at[2].add(bad), LABELS)
    others = jnp.array([0, 1, 3])
    assert float(value) == pytest.approx(float(mean(logits[others], LABELS[others])), rel=1e-6)
    assert not np.asarray(gradient[2]).any()
    assert np.isfinite(gradient).all()
    total, weight = loss(logits, {"labels": jnp.full(4, 1)})
    assert (float(total), float(weight)) == (0.0, 0.0)


@pytest.mark.parametrize("weights", [WEIGHTS, (0.0, 1.0, 1.0)])
def test_weights_do_not_hide_a_label_that_is_no_class(logits, weights):
    total, weight = cross_entropy(class_weights=weights)(logits, {"labels": LABELS.at[0].set(3)})
    assert np.isnan(float(total))
    assert float(weight) > 0


@pytest.mark.parametrize("mask", [[1.0, 0.0, 1.0, 1.0], [1.0, 0.0, 0.5, 1.0]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_weights_and_masks_multiply_and_add_up(logits, mask, smoothing):
    loss = cross_entropy(class_weights=WEIGHTS, label_smoothing=smoothing)
    mask = jnp.array(mask)
    whole = loss(logits.at[1].set(jnp.nan), {"labels": LABELS.at[1].set(-5), "mask": mask})
    each = [loss(logits[i : i + 1], {"labels": LABELS[i : i + 1]}) for i in range(4)]
    for part in (0, 1):
        expected = sum(float(m) * float(one[part]) for m, one in zip(mask, each, strict=True))
        assert float(whole[part]) == pytest.approx(expected, rel=1e-6)


def test_weights_of_tokens_of_bytes_and_of_a_population():
    loss = cross_entropy(class_weights=(1.0, 2.0, 4.0), label_smoothing=0.1)
    logits = jax.random.normal(jax.random.key(1), (2, 2, 4, 3))
    labels = np.random.default_rng(0).integers(0, 3, (2, 4))
    batch = {"labels": jnp.asarray(labels, "uint8")}
    totals, weights = jax.jit(jax.vmap(lambda one: loss(one, batch)))(logits)
    assert weights.tolist() == [float((2.0**labels).sum())] * 2
    for member in range(2):
        flat = {"labels": jnp.asarray(labels.reshape(-1))}
        expected, _ = jax.jit(loss)(logits[member].reshape(-1, 3), flat)
        assert float(totals[member]) == pytest.approx(float(expected), rel=1e-6)


def test_weights_run_under_strict_promotion(logits):
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        loss = cross_entropy(class_weights=WEIGHTS, label_smoothing=0.1, ignore_label=-1)
        loss(logits, {"labels": LABELS, "mask": jnp.ones(4)})


@pytest.mark.parametrize("length", [2, 4])
def test_another_number_of_weights_than_of_classes_is_refused(logits, length):
    text = f"expected a number for each of the 3 classes, found {length}"
    with pytest.raises(ConfigError, match=text):
        cross_entropy(class_weights=(1.0,) * length)(logits, {"labels": LABELS})
    with pytest.raises(ConfigError, match=text):
        cross_entropy((5,) * length, class_weights="balanced")(logits, {"labels": LABELS})


def test_a_config_gives_weights_and_the_program_counts():
    schema = LOSSES.schema("cross_entropy", Section)
    assert "class_counts" not in schema.model_fields
    loss = LOSSES.build(schema(name="cross_entropy", class_weights="balanced"), class_counts=(3, 1))
    np.testing.assert_allclose(weights_of(loss, 2), [4 / 6, 2], rtol=1e-6)
    loss = LOSSES.build(schema(name="cross_entropy", class_weights=(1, 2)), class_counts=None)
    assert weights_of(loss, 2) == [1, 2]
    for wrong in ("balance", (-1.0, 2.0), ("a",)):
        with pytest.raises(pydantic.ValidationError, match="class_weights"):
            schema(name="cross_entropy", class_weights=wrong)
