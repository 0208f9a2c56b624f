"""The loss of a language model, of what a decoder says and of plain logits."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pydantic
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import Model
from jaxtrain.models.token_losses import token_losses
from jaxtrain.optim import sgd
from jaxtrain.step import (
    LOSSES,
    create_train_state,
    cross_entropy,
    make_eval_step,
    make_train_step,
    next_token,
)

B, L, D, V = 8, 6, 5, 7
RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(V, D)).astype(np.float32)
HEAD = RANDOM.normal(size=(D, V)).astype(np.float32)


def batch(seed=0):
    """Rows of unequal numbers of tokens that count."""
    random = np.random.default_rng(seed)
    tokens = random.integers(0, V, (B, L + 1)).astype(np.int32)
    lengths = np.array([6, 1, 5, 0, 2, 6, 3, 4])
    return {
        "inputs": tokens[:, :-1],
        "labels": tokens[:, 1:].copy(),
        "mask": (np.arange(L) < lengths[:, None]).astype(np.float32),
        "row_mask": np.float32([1, 1, 1, 1, 1, 1, 1, 0]),
    }


def model(kind):
    """A bigram model that says it in one of three ways."""

    def apply(variables, batch, *, train, rngs=None):
        params = variables["params"]
        hidden = params["embedding"][batch["inputs"]]
        if kind == "tiled":
            return token_losses(hidden, params["head"], batch["labels"], tile=7)._asdict(), {}
        logits = hidden @ params["head"]
        return (logits if kind == "logits" else {"logits": logits}), {}

    params = {"embedding": jnp.asarray(TABLE), "head": jnp.asarray(HEAD)}
    return Model(init=lambda rng, batch: {"params": params}, apply=apply)


def said(kind, batch):
    return model(kind).apply(model(kind).init(None, None), batch, train=True)[0]


KINDS = pytest.mark.parametrize("kind", ["tiled", "logits", "dict"])


@KINDS
@pytest.mark.parametrize("z_loss", [0.0, 0.3])
def test_it_is_the_sum_over_the_tokens_that_count(kind, z_loss):
    given = batch()
    total, weight = next_token(z_loss=z_loss)(said(kind, given), given)
    mask = given["mask"] * given["row_mask"][:, None]
    logits = TABLE[given["inputs"]].astype(np.float64) @ HEAD
    log_z = np.log(np.exp(logits).sum(axis=-1))
    nll = log_z - np.take_along_axis(logits, given["labels"][..., None], axis=-1)[..., 0]
    assert float(weight) == mask.sum() == 23
    assert float(total) == pytest.approx((mask * (nll + z_loss * log_z**2)).sum(), rel=1e-5)


@KINDS
def test_without_masks_all_count(kind):
    given = {name: value for name, value in batch().items() if "mask" not in name}
    total, weight = next_token()(said(kind, given), given)
    ones = next_token()(said(kind, given), given | {"mask": np.ones((B, L), np.float32)})
    assert float(weight) == B * L
    assert (float(total), float(weight)) == tuple(map(float, ones))


@KINDS
def test_a_mask_is_a_weight(kind):
    given = batch()
    half = given | {"mask": given["mask"] / 2}
    whole, part = (next_token(z_loss=0.1)(said(kind, x), x) for x in (given, half))
    assert [float(x) / 2 for x in whole] == [float(x) for x in part]


@KINDS
def test_without_a_z_loss_it_is_the_cross_entropy(kind):
    given = batch()
    found = next_token()(said(kind, given), given)
    expected = cross_entropy()(said("logits", given), given)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("z_loss", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["tiled", "logits"])
def test_what_stands_where_nothing_counts_reaches_no_gradient(kind, z_loss, bad):
    given = batch()
    wrong = given | {"labels": given["labels"].copy()}
    unseen = (given["mask"] * given["row_mask"][:, None]) == 0
    wrong["labels"][unseen] = -100
    states = TABLE[given["inputs"]] if kind == "tiled" else TABLE[given["inputs"]] @ HEAD
    spoilt = np.where(unseen[..., None], bad, states).astype(np.float32)

    def mean(states, head, given):
        outputs = states
        if kind == "tiled":
            outputs = token_losses(states, head, given["labels"], tile=7)._asdict()
        total, weight = next_token(z_loss=z_loss)(outputs, given)
        return total / weight

    step = jax.jit(jax.value_and_grad(mean, argnums=(0, 1)))
    found, expected = step(spoilt, HEAD, wrong), step(states, HEAD, given)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert not np.asarray(found[1][0])[unseen].any()


@KINDS
@pytest.mark.parametrize("label", [-1, V])
def test_a_label_that_is_no_token_is_not_finite(kind, label):
    given = batch()
    given["labels"][0, 0] = label
    assert np.isnan(float(next_token()(said(kind, given), given)[0]))


@KINDS
def test_accumulating_over_unequal_masks_is_exact(kind):
    given, tx = batch(), sgd(0.1)
    results = []
    for parts in (1, 4):
        step = make_train_step(model(kind), next_token(z_loss=0.1), tx, accumulate=parts)
        state = create_train_state(model(kind), tx, given, rng=jax.random.key(0))
        state, output = jax.jit(step)(state, given)
        results.append((state.params, {n: output[n] for n in ("loss_sum", "loss_weight")}))
        assert bool(output["finite"])
        assert jax.tree.leaves(output["outputs"])[0].shape[:2] == (B, L)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *results)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_under_a_policy_of_narrow_floats(precision):
    given, tx = batch(), sgd(0.1)
    moved = []
    for name in ("float32", precision):
        step = make_train_step(model("tiled"), next_token(z_loss=0.01), tx, precision=name)
        state = create_train_state(model("tiled"), tx, given, rng=jax.random.key(0), precision=name)
        state, output = jax.jit(step)(state, given)
        assert bool(output["finite"])
        assert output["outputs"]["nll"].dtype == jnp.float32
        moved.append(state.params["head"] - HEAD)
    scale = float(jnp.abs(moved[0]).max())
    np.testing.assert_allclose(moved[1], moved[0], atol=0.05 * scale)
    assert float(jnp.abs(moved[1] - moved[0]).max()) > 0


def test_an_evaluation_says_the_same():
    given, tx = batch(), sgd(0.1)
    state = create_train_state(model("tiled"), tx, given, rng=jax.random.key(0))
    _, output = make_eval_step(model("tiled"), next_token())(state, given)
    total, weight = next_token()(said("tiled", given), given)
    assert float(output["loss"]) == pytest.approx(float(total) / float(weight))


def test_a_config_can_name_it():
    class Section(pydantic.BaseModel):
        name: str

    schema = LOSSES.schema("next_token", Section)
    assert set(schema.model_fields) == {"name", "z_loss", "labels"}
    given = batch()
    loss = LOSSES.build(schema(name="next_token", z_loss=0.2), class_counts=None)
    found, expected = (x(said("tiled", given), given) for x in (loss, next_token(z_loss=0.2)))
    assert float(found[0]) == float(expected[0])
    with pytest.raises(pydantic.ValidationError, match="z_loss"):
        schema(name="next_token", z_loss=-1.0)


def test_other_labels_for_plain_logits_alone():
    given = batch()
    renamed = {**given, "targets": given["labels"]}
    del renamed["labels"]
    loss = next_token(labels="targets")
    expected = next_token()(said("logits", given), given)
    np.testing.assert_array_equal(loss(said("logits", given), renamed), expected)
    with pytest.raises(ConfigError, match=r"loss\.labels: 'targets', but the model puts out"):
        loss(said("tiled", given), renamed)


@pytest.mark.parametrize(
    ("outputs", "change", "message"),
    [
        (np.ones((B, L - 1, V)), {}, r"logits \(8, 5, 7\) need labels \(8, 5\), found .*\(8, 6\)"),
        ({"nll": np.ones((B, L - 1))}, {}, r"'nll' \(8, 5\) needs labels of that shape"),
        ({"scores": 1, "more": 2}, {}, r"next_token reads logits .* a dict of 'scores', 'more'"),
        ((np.ones(3), np.ones(3)), {}, "outputs are a tuple of 2"),
        (np.ones((B, L, V)), {"labels": np.ones((B, L))}, "next_token wants integer labels"),
        (np.ones((B, L, V)), {"mask": np.ones((B, L + 1))}, r"mask has shape \(8, 7\)"),
    ],
)
def test_what_does_not_fit_is_named(outputs, change, message):
    with pytest.raises(DataError, match=message):
        next_token()(outputs, batch() | change)


def test_a_z_loss_needs_log_z():
    with pytest.raises(DataError, match="next_token reads 'log_z', the model's outputs has only"):
        next_token(z_loss=0.1)({"nll": np.ones((B, L), np.float32)}, batch())
