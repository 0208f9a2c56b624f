"""What a backward pass keeps: by hand, as JAX itself lists it, and for models of other kinds."""

from __future__ import annotations

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.ad_checkpoint import print_saved_residuals

from jaxtrain.models import MODELS, DecoderConfig, Model, decoder
from jaxtrain.step import (
    create_train_state,
    cross_entropy,
    forward,
    next_token,
    objective,
    residuals,
)
from jaxtrain.step.objective import mean
from jaxtrain.step.residuals import bytes_of

ROWS = 12
WEIGHT = 4
"""Bytes of what the loss is divided by."""
SIZES = {"f32": 4, "bf16": 2, "i32": 4, "ui32": 4, "bool": 1, "i8": 1, "u8": 1}


def by_hand(rng, batch):
    return {"params": {"a": jnp.ones((4, 8)), "b": jnp.ones((8, 3))}}


def sines(variables, batch, *, train, rngs=None):
    params = variables["params"]
    return jnp.sin(batch["inputs"] @ params["a"]) @ params["b"], {}


def squares(outputs, batch):
    return jnp.sum(outputs * outputs), jnp.float32(len(outputs))


MODEL = Model(init=by_hand, apply=sines)
BATCH = {"inputs": jax.ShapeDtypeStruct((ROWS, 4), jnp.float32)}


def state_of(model, batch, tx=None):
    zeros = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in batch.items()}

    def create():
        return create_train_state(model, tx or optax.sgd(0.1), zeros, rng=jax.random.key(0))

    return jax.eval_shape(create)


def kept(model, loss, batch, precision="float32", **options):
    minimised = objective(forward(model, precision), loss)
    return residuals(minimised, state_of(model, batch), batch, **options)


def test_by_hand():
    """The cosine and the sine [12, 8], the outputs [12, 3]; inputs and `b` are arguments."""
    found = kept(MODEL, squares, BATCH)
    assert found.activations == 4 * ROWS * (8 + 8 + 3) + WEIGHT
    assert found.params == 0


def test_parameters_in_another_dtype_are_told_apart():
    """Of `a` nothing is kept, since no gradient of the inputs is wanted; of `b` its copy is."""
    found = kept(MODEL, squares, BATCH, precision="bfloat16")
    assert found.params == 2 * 8 * 3
    # The inputs in bfloat16, too; the outputs are float32.
    assert found.activations == 2 * ROWS * (4 + 8 + 8) + 4 * ROWS * 3 + WEIGHT


def test_a_micro_batch_keeps_its_share():
    whole, quarter = (kept(MODEL, squares, BATCH, parts=parts) for parts in (1, 4))
    assert whole.activations - WEIGHT == 4 * (quarter.activations - WEIGHT) > 0
    scaled = BATCH | {"scale": jax.ShapeDtypeStruct((3,), jnp.float32)}  # without rows: whole
    assert kept(MODEL, squares, scaled | {"labels": BATCH["inputs"]}, parts=4) == quarter


def listed_by_jax(model, loss, batch, capsys):
    """Bytes of what `print_saved_residuals` lists, but for arguments."""
    minimised, state = objective(forward(model), loss), state_of(model, batch)

    def total(params, others, batch, key):
        total, weight, _ = minimised(params, others, batch, key)
        return mean(total, weight)

    print_saved_residuals(total, state.params, state.replace(params=()), batch, state.rng)
    size = 0
    for line in capsys.readouterr().out.splitlines():
        found = re.match(r"(\w+)\[([\d,]*)\] (.*)", line)
        if "from the argument" not in found[3]:
            shape = map(int, filter(None, found[2].split(",")))
            size += SIZES[found[1]] * math.prod(shape)
    return size


def digits(*shape):
    return {
        "inputs": jax.ShapeDtypeStruct((ROWS, *shape), jnp.float32),
        "labels": jax.ShapeDtypeStruct((ROWS,), jnp.int32),
    }


TOKENS = {name: jax.ShapeDtypeStruct((2, 64), jnp.int32) for name in ("inputs", "labels")}
SMALL = DecoderConfig.llama(vocab_size=16, width=32, layers=3, heads=2, hidden=64)
WIDE = DecoderConfig.llama(vocab_size=16, width=32, layers=3, heads=2, hidden=256)


@pytest.mark.parametrize(
    ("model", "loss", "batch"),
    [
        (MODEL, squares, BATCH),
        (MODELS["mlp"](10, hidden=[16], dropout=0.5, batch_norm=True), cross_entropy(), digits(64)),
        (MODELS["cnn"](10, channels=[4], hidden=[8]), cross_entropy(), digits(8, 8, 1)),
        (decoder(SMALL), next_token(), TOKENS),
        (decoder(SMALL, remat="dots", form="unroll", attention="xla"), next_token(), TOKENS),
    ],
    ids=["by hand", "mlp", "cnn", "decoder", "decoder, unrolled"],
)
def test_it_is_what_jax_lists(model, loss, batch, capsys):
    found = kept(model, loss, batch)
    assert sum(found) == pytest.approx(listed_by_jax(model, loss, batch, capsys), rel=0.02)


def test_masks_of_dropout_are_kept():
    """Of random numbers, not of the batch."""
    without, with_them = (
        kept(MODELS["mlp"](10, hidden=[16], dropout=rate), cross_entropy(), digits(64))
        for rate in (0.0, 0.5)
    )
    assert with_them.activations >= without.activations + ROWS * 16


@pytest.mark.parametrize("form", ["scan", "unroll"])
@pytest.mark.parametrize("attention", ["xla", "tiled"])
def test_rematerialisation_shows(form, attention):
    def activations(config, remat):
        model = decoder(config, remat=remat, form=form, attention=attention)
        return kept(model, next_token(), TOKENS).activations

    by_name = {name: activations(SMALL, name) for name in ("none", "mlp", "dots", "full")}
    assert by_name["none"] > by_name["mlp"] > by_name["dots"] > by_name["full"]
    if attention == "tiled":  # "dots" keeps two arrays [B, L, F] a layer, "mlp" all of attention
        assert activations(WIDE, "dots") > activations(WIDE, "mlp")


def test_full_keeps_the_input_of_each_layer():
    def activations(layers):
        config = dataclasses.replace(SMALL, layers=layers)
        return kept(decoder(config, remat="full"), next_token(), TOKENS).activations

    assert activations(5) - activations(3) == 2 * 4 * 128 * SMALL.width


def test_bytes_of_random_keys_are_known():
    assert bytes_of({"rng": jax.eval_shape(lambda: jax.random.key(0)), "none": None}) == 8
    assert bytes_of([jax.ShapeDtypeStruct((3, 5), jnp.bfloat16)]) == 30


def test_nothing_is_computed():
    """A model of a trillion parameters."""
    huge = Model(
        init=lambda rng, batch: {"params": {"w": jnp.zeros((10**6, 10**6), jnp.bfloat16)}},
        apply=lambda variables, batch, *, train, rngs=None: (
            jnp.sin(batch["inputs"] @ variables["params"]["w"]),
            {},
        ),
    )
    batch = {"inputs": jax.ShapeDtypeStruct((8, 10**6), jnp.bfloat16)}
    # Their cosine in bfloat16, and the outputs in float32.
    found = kept(huge, squares, batch, precision="bfloat16")
    assert found.activations == 8 * 10**6 * (2 + 4) + WEIGHT
