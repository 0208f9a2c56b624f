from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain import lora
from jaxtrain.errors import ConfigError
from jaxtrain.generation import Generator
from jaxtrain.lora import LoRAConfig
from jaxtrain.models.decoder import decoder
from jaxtrain.models.low_rank import LowRank, dense
from tests.lora.small import CONFIG, adapter, batch, logits, params, trained

INPUTS = batch()["inputs"]
OPTIONS = [{}, {"rslora": True}, {"dora": True}]


@pytest.mark.parametrize("options", OPTIONS)
def test_beside_the_kernels_is_as_in_them(options):
    base, given = params(), adapter(**options)
    expected = logits(lora.merge(base, given), INPUTS)
    np.testing.assert_allclose(
        logits(lora.apply(base, given), INPUTS), expected, rtol=1e-3, atol=1e-4
    )
    assert np.abs(expected - logits(base, INPUTS)).max() > 0.1


@pytest.mark.parametrize(
    ("form", "remat"), [("scan", "none"), ("unroll", "none"), ("scan", "dots"), ("unroll", "full")]
)
def test_gradients_agree(form, remat):
    model, base, given = decoder(CONFIG, form=form, remat=remat), params(), adapter(dora=True)

    def value(adapter, how):
        outputs, _ = model.apply({"params": how(base, adapter)}, batch(), train=False)
        return outputs["nll"].mean()

    expected = jax.grad(value)(given, lora.merge)
    found = jax.jit(jax.grad(value), static_argnums=1)(given, lora.apply)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(found), strict=True):
        assert one.any()
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(one).max())


@pytest.mark.parametrize("module", ["embedding", "head"])
def test_what_the_decoder_takes_no_branch_beside_is_named(module):
    """The model says so, and lora.model merges there; by hand it is an error, not a silence."""
    given = adapter(targets=(module,), rank=2, rank_pattern=(), alpha_pattern=())
    with pytest.raises(ConfigError, match=f"{module}: the decoder takes an array here"):
        logits(lora.apply(params(), given), INPUTS)
    assert np.isfinite(logits(lora.merge(params(), given), INPUTS)).all()


def test_the_base_keeps_its_arrays():
    base = params()
    applied = lora.apply(base, adapter())
    kernel = applied["layers"]["mlp"]["up"]["kernel"]
    assert isinstance(kernel, LowRank)
    assert kernel.kernel is base["layers"]["mlp"]["up"]["kernel"]
    assert applied["head"]["kernel"] is base["head"]["kernel"]


# -- dropout ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["scan", "unroll"])
def test_dropout_in_training_alone(form):
    model, base, given = decoder(CONFIG, form=form), params(), adapter(dropout=0.5)

    def value(adapter, train, rng):
        applied = lora.apply(base, adapter, train=train, rng=rng)
        return model.apply({"params": applied}, batch(), train=train)[0]["nll"].mean()

    without = value(adapter(), True, jax.random.key(0))
    assert value(given, False, jax.random.key(0)) == without
    one, same, other = (value(given, True, jax.random.key(k)) for k in (1, 1, 2))
    assert one == same
    assert one != other
    assert one != without
    gradient = jax.jit(jax.grad(lambda a: value(a, True, jax.random.key(1))))(given)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_dropout_is_another_in_each_layer_and_module():
    keys = [
        kernel.key
        for kernel in jax.tree.leaves(
            lora.apply(params(), adapter(dropout=0.5), train=True, rng=jax.random.key(0)),
            is_leaf=lambda leaf: isinstance(leaf, LowRank),
        )
        if isinstance(kernel, LowRank)
    ]
    words = np.concatenate([jax.random.key_data(key).reshape(-1, 2) for key in keys])
    assert len(words) == 7 * 3
    assert len(np.unique(words, axis=0)) == len(words)


def test_the_mean_over_dropout_is_what_there_is_without():
    base = {"Dense_0": {"kernel": jnp.zeros((6, 4))}}
    given = trained(lora.init(jax.random.key(0), base, LoRAConfig(rank=2, dropout=0.3)))
    inputs = jnp.broadcast_to(jnp.arange(1.0, 7), (20_000, 6))
    dropped, whole = (
        dense(
            inputs, lora.apply(base, given, train=train, rng=jax.random.key(1))["Dense_0"]["kernel"]
        )
        for train in (True, False)
    )
    assert dropped.std(axis=0).min() > 0.1
    error = dropped.std(axis=0) / np.sqrt(len(dropped))
    assert (np.abs(dropped.mean(0) - whole[0]) < 5 * error).all()


def test_of_what_is_looked_up_nothing_is_dropped():
    base = {"Embed_0": {"embedding": jnp.ones((5, 4))}, "Dense_0": {"kernel": jnp.ones((4, 3))}}
    given = lora.init(jax.random.key(0), base, LoRAConfig(rank=2, dropout=0.5, targets=".*"))
    applied = lora.apply(base, given, train=True, rng=jax.random.key(1))
    embedding, kernel = applied["Embed_0"]["embedding"], applied["Dense_0"]["kernel"]
    assert (embedding.key, embedding.dropout) == (None, 0.0)
    assert kernel.key is not None
    assert kernel.dropout == 0.5


def test_dropout_needs_a_key():
    with pytest.raises(ConfigError, match="give rng="):
        lora.apply(params(), adapter(dropout=0.5), train=True)


# -- several adapters ---------------------------------------------------------------------------

ROWS = [2, 0, -1, 1, 2]


def three(dora):
    """Of other ranks, scales and targets; with DoRA, beside two without."""
    return [
        adapter(1),
        adapter(2, rank=2, rank_pattern=(), alpha_pattern=(), targets=("q", "down"), rslora=True),
        adapter(3, dora=dora, rank_pattern={"v": 1}, alpha_pattern=(), targets=("v", "up", "q")),
    ]


@pytest.mark.parametrize("dora", [False, True])
def test_each_row_is_as_with_its_adapter_alone(dora):
    base, adapters, inputs = params(), three(dora), batch(rows=5)["inputs"]
    found = logits(lora.apply_by_row(base, adapters, jnp.int32(ROWS)), inputs)
    alone = [logits(lora.apply(base, one), inputs) for one in adapters] + [logits(base, inputs)]
    for row, number in enumerate(ROWS):
        np.testing.assert_allclose(found[row], alone[number][row], rtol=1e-3, atol=1e-4)
    assert np.abs(alone[0] - alone[1]).max() > 0.1


def test_no_weights_are_gathered():
    base, adapters, inputs = params(), three(False), batch(rows=5)["inputs"]
    text = str(
        jax.make_jaxpr(lambda rows: logits(lora.apply_by_row(base, adapters, rows), inputs))(
            jnp.int32(ROWS)
        )
    )
    plain = str(jax.make_jaxpr(lambda: logits(base, inputs))())
    assert text.count("gather[") == plain.count("gather[")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.float32([0, 1]), r"integers \[B\], found float32\[2\]"),
        (np.int32([[0, 1]]), r"found int32\[1, 2\]"),
    ],
)
def test_rows_are_integers(rows, said):
    with pytest.raises(ConfigError, match=said):
        lora.apply_by_row(params(), three(False), rows)


def test_adapters_must_go_together():
    with pytest.raises(ConfigError, match="found none"):
        lora.apply_by_row(params(), [], jnp.int32([0]))
    kernel = {"attn": {"out": {"kernel": jnp.ones((2, 2, 2))}}}
    one, other = (
        lora.init(jax.random.key(0), kernel, LoRAConfig(rank=1, in_axes=axes))
        for axes in ({}, {"out": 1})
    )
    with pytest.raises(ConfigError, match="attn/out/kernel: adapter 1 takes it for other layers"):
        lora.apply_by_row(kernel, [one, other], jnp.int32([0]))


# -- generation ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", OPTIONS)
def test_generation_takes_them(options):
    base, given = params(), adapter(**options)
    merged, applied = (
        Generator(tree, CONFIG).generate([[3, 4, 5], [7]], max_new_tokens=6)
        for tree in (lora.merge(base, given), lora.apply(base, given))
    )
    plain = Generator(base, CONFIG).generate([[3, 4, 5], [7]], max_new_tokens=6)
    assert [t.tolist() for t in merged] == [t.tolist() for t in applied]
    assert [t.tolist() for t in merged] != [t.tolist() for t in plain]
