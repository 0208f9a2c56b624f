import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import Model
from jaxtrain.optim import sgd
from jaxtrain.step import (
    create_train_state,
    cross_entropy,
    cutmix,
    forward,
    make_train_step,
    mixed,
    mixup,
)

IMAGES = np.arange(6 * 8 * 12 * 2, dtype=np.float32).reshape(6, 8, 12, 2) + 1
KEYS = jax.random.split(jax.random.key(0), 400)


def half(own, other, key):
    return 0.25 * own + 0.75 * other, jnp.float32(0.25)


def reading(seen):
    """A model that puts out its inputs, and shows them."""

    def apply(variables, batch, *, train, rngs=None):
        seen.append(batch)
        return batch["inputs"] @ variables["params"]["w"], {}

    return Model(init=None, apply=apply)


@pytest.fixture
def state(prepare, linear):
    return prepare(linear)[0]


def test_the_loss_is_that_of_both_labels(state, make_batch):
    batch, seen = make_batch(padding=(2, 7)), []
    model = reading(seen)
    found = mixed(forward(model), cross_entropy(), half)
    total, weight, passed = found(state.params, state, batch, jax.random.key(3))
    assert float(weight) == 10
    mixture = np.asarray(seen[0]["inputs"])
    partner = [
        int(np.argmin(np.abs(0.25 * row + 0.75 * batch["inputs"] - m).max(axis=1)))
        for row, m in zip(batch["inputs"], mixture, strict=True)
    ]
    np.testing.assert_allclose(
        mixture, 0.25 * batch["inputs"] + 0.75 * batch["inputs"][partner], atol=1e-6
    )
    assert {2, 7}.isdisjoint(np.array(partner)[batch["row_mask"] > 0])  # no padding in real rows
    assert sum(p != i for i, p in enumerate(partner)) > 5
    log_p = np.asarray(jax.nn.log_softmax(mixture @ state.params["w"]))
    rows = np.arange(12)
    each = 0.25 * log_p[rows, batch["labels"]] + 0.75 * log_p[rows, batch["labels"][partner]]
    assert float(total) == pytest.approx(-(each * batch["row_mask"]).sum(), rel=1e-5)
    np.testing.assert_array_equal(passed.outputs, mixture @ state.params["w"])


def test_weights_of_classes_are_mixed_as_well(state, make_batch):
    """Where padding has no part, a row may be the partner of none, and another one of two."""
    batch, given = make_batch(padding=(2, 7, 8)), []
    weighted = cross_entropy(class_weights=(1.0, 2.0, 4.0))

    def loss(outputs, batch):
        given.append(np.asarray(batch["labels"]))
        return weighted(outputs, batch)

    _, weight, _ = mixed(forward(reading([])), loss, half)(
        state.params, state, batch, jax.random.key(3)
    )
    own, others = (
        (np.array([1.0, 2.0, 4.0])[labels] * batch["row_mask"]).sum() for labels in given
    )
    assert own != others
    assert float(weight) == pytest.approx(0.25 * own + 0.75 * others)


def test_another_key_gives_other_partners(state, make_batch):
    batch, seen = make_batch(), []
    found = mixed(forward(reading(seen)), cross_entropy(), half)
    for key in (jax.random.key(0), jax.random.key(0), jax.random.key(1)):
        found(state.params, state, batch, key)
    np.testing.assert_array_equal(seen[0]["inputs"], seen[1]["inputs"])
    assert not np.array_equal(seen[0]["inputs"], seen[2]["inputs"])


def test_what_goes_with_the_labels_goes_with_the_partner(state, make_batch):
    given = []

    def loss(outputs, batch):
        given.append(batch)
        return jnp.float32(0), jnp.float32(1)

    batch = make_batch() | {"heads": {"a": np.arange(12)}, "scale": np.float32(2)}
    mixed(forward(reading([])), loss, half)(state.params, state, batch, jax.random.key(3))
    own, others = given
    assert own["heads"]["a"].tolist() == list(range(12))
    partner = np.asarray(others["heads"]["a"])
    assert partner.tolist() != list(range(12))
    np.testing.assert_array_equal(others["labels"], batch["labels"][partner])
    np.testing.assert_array_equal(others["row_mask"], batch["row_mask"])
    assert others["scale"] == 2


def test_the_share_of_mixup_is_a_beta():
    draw = jax.jit(jax.vmap(lambda key: mixup(0.4)(jnp.ones(1), jnp.zeros(1), key)))
    mixture, share = draw(KEYS)
    np.testing.assert_allclose(mixture[:, 0], share, rtol=1e-6)
    # Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
    assert float(share.mean()) == pytest.approx(0.5, abs=0.06)
    assert float(share.var()) == pytest.approx(1 / (4 * 1.8), abs=0.02)


def test_cutmix_puts_a_rectangle_of_the_other_there():
    own, other = jnp.asarray(IMAGES), -jnp.asarray(IMAGES)
    mixture, share = jax.jit(jax.vmap(lambda key: cutmix(1.0)(own, other, key)))(KEYS)
    mixture, share = np.asarray(mixture), np.asarray(share)
    np.testing.assert_array_equal(np.abs(mixture), np.broadcast_to(IMAGES, mixture.shape))
    inside = mixture < 0
    assert (inside == inside[:, :1, :, :, :1]).all()  # the same in all rows and channels
    inside = inside[:, 0, :, :, 0]
    np.testing.assert_allclose(share, 1 - inside.mean(axis=(1, 2)), rtol=1e-6)
    rows, columns = inside.any(axis=2), inside.any(axis=1)
    np.testing.assert_array_equal(inside, rows[:, :, None] & columns[:, None, :])  # a rectangle
    # Uniform shares, before what lies outside is cut off.
    assert 0.5 < share.mean() < 0.75
    assert rows.any(axis=0).all()
    assert columns.any(axis=0).all()
    # Those that nothing was cut off from have the image's proportions, to a pixel.
    whole = ~(rows[:, [0, -1]].any(axis=1) | columns[:, [0, -1]].any(axis=1))
    shares = rows.sum(axis=1)[whole] / 8, columns.sum(axis=1)[whole] / 12
    assert np.count_nonzero(shares[0]) > 20
    assert np.abs(shares[0] - shares[1]).max() < 1 / 8


def test_a_run_with_mixtures_learns(prepare, linear, make_batch):
    batch = make_batch()
    state, step = prepare(linear, tx=sgd(0.5), mix=mixup(0.3), accumulate=2)
    losses = []
    for _ in range(40):
        state, said = step(state, batch)
        losses.append(float(said["loss"]))
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.05


@pytest.mark.parametrize("make", [mixup, cutmix])
def test_an_alpha_is_above_zero(make):
    with pytest.raises(ConfigError, match="alpha above 0, found 0"):
        make(0.0)


def test_what_can_not_be_mixed_is_refused(state, make_batch):
    found = mixed(forward(reading([])), cross_entropy(), half)
    tokens = make_batch() | {"inputs": np.ones((12, 6), np.int32)}
    with pytest.raises(DataError, match="'inputs' of int32"):
        found(state.params, state, tokens, jax.random.key(0))
    masked = make_batch() | {"mask": np.ones((12, 6), np.float32)}
    with pytest.raises(DataError, match=r"masks of their own, of shape \(12, 6\)"):
        found(state.params, state, masked, jax.random.key(0))
    with pytest.raises(DataError, match=r"cutmix wants images .* shape \(12, 6\)"):
        mixed(forward(reading([])), cross_entropy(), cutmix(1.0))(
            state.params, state, make_batch(), jax.random.key(0)
        )


def test_a_step_mixes_what_its_model_reads(linear, make_batch):
    def apply(variables, batch, **options):
        return linear.apply(variables, {"inputs": batch["pixels"]}, **options)

    batch = make_batch()
    other = {"pixels": batch["inputs"], **{k: v for k, v in batch.items() if k != "inputs"}}
    tx = sgd(0.5)
    state = create_train_state(linear, tx, batch, rng=jax.random.key(0))
    expected, _ = make_train_step(linear, cross_entropy(), tx, mix=half)(state, batch)
    named = Model(init=linear.init, apply=apply)
    step = make_train_step(named, cross_entropy(), tx, mix=half, mix_inputs="pixels")
    found, _ = step(state, other)
    np.testing.assert_array_equal(found.params["w"], expected.params["w"])
    with pytest.raises(DataError, match="reads 'inputs', the batch has only"):
        make_train_step(named, cross_entropy(), tx, mix=half)(state, other)
