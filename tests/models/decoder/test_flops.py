"""Against the products in the program that JAX makes, each of them; and against XLA's own count."""

from __future__ import annotations

import math

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from jaxtrain.models.decoder import DecoderConfig, decoder, flops_per_token
from jaxtrain.models.tiled_attention import tile_size
from jaxtrain.step import next_token

CONFIGS = {
    "llama": DecoderConfig.llama(
        vocab_size=512, width=64, layers=3, heads=4, kv_heads=2, hidden=160
    ),
    "gemma": DecoderConfig.gemma(vocab_size=300, width=48, layers=2, heads=3, head_dim=32),
}
ROWS, LENGTH = 2, 256
BATCH = {name: np.zeros((ROWS, LENGTH), np.int32) for name in ("inputs", "labels")}


def step_of(config, **options):
    """The gradient of the loss, and shapes to trace it with."""
    model = decoder(config, **options)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), BATCH))["params"]

    def loss(params):
        outputs, _ = model.apply({"params": params}, BATCH, train=True)
        total, weight = next_token()(outputs, BATCH)
        return total / weight

    return jax.jit(jax.value_and_grad(loss)), params


def products(jaxpr):
    """Operations of all products of a program, inner ones as often as they run."""
    found = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            each = math.prod(shape[axis] for axis in contracted)
            found += 2 * each * math.prod(equation.outvars[0].aval.shape)
        times = equation.params["length"] if equation.primitive.name == "scan" else 1
        found += times * sum(map(products, jaxprs_in_params(equation.params)))
    return found


def keys_read(attention):
    """By the mean query, as a multiple of L / 2."""
    if attention == "xla":
        return 2  # it computes the scores of all keys, and masks half of them
    tiles = LENGTH // tile_size(LENGTH)
    return (tiles + 1) / tiles


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("form", ["scan", "unroll"])
@pytest.mark.parametrize("attention", ["xla", "tiled"])
@pytest.mark.parametrize("remat", ["none", "mlp", "dots", "full"])
def test_it_is_what_the_program_does(family, form, attention, remat):
    config = CONFIGS[family]
    step, params = step_of(config, form=form, attention=attention, remat=remat)
    done = products(jax.make_jaxpr(step)(params)) / (ROWS * LENGTH)
    counted = flops_per_token(config, LENGTH, remat=remat, attention=attention)
    # Of what is done again, what depends on L is attention.
    shorter = flops_per_token(config, 0, remat=remat, attention=attention)
    assert shorter.attention == 0
    attended = counted.attention + counted.again - shorter.again
    assert done == counted.weights + shorter.again + keys_read(attention) * attended


@pytest.mark.parametrize("family", CONFIGS)
def test_xla_counts_about_as_many(family):
    """With the layers written out: of a loop it counts one turn. What it adds is no product."""
    config = CONFIGS[family]
    step, params = step_of(config, form="unroll", attention="xla")
    done = step.lower(params).compile().cost_analysis()["flops"] / (ROWS * LENGTH)
    counted = flops_per_token(config, LENGTH)
    assert done == pytest.approx(counted.weights + 2 * counted.attention + counted.again, rel=0.03)


def test_it_is_that_of_palm_but_for_half_of_attention():
    """6 N + 12 N_layers H E L, N without the embedding's look-up and the norms."""
    config = CONFIGS["llama"]  # not tied
    shapes = jax.eval_shape(lambda: decoder(config).init(jax.random.key(0), BATCH))["params"]
    kernels = [
        leaf.size
        for path, leaf in jax.tree_util.tree_leaves_with_path(shapes)
        if path[-1].key == "kernel"
    ]
    found = flops_per_token(config, 1000)
    assert found.weights == 6 * sum(kernels)
    assert found.attention == 12 * 3 * 64 * 1000 / 2
    assert found.total == found.weights + found.attention
