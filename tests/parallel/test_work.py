"""Operations and bytes of compiled programs, against those that are known."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxtrain.parallel.work import Work, cost_of, work_of

ROUNDS, ROWS, WIDTH = 6, 8, 64
PRODUCT = 2 * ROWS * WIDTH * WIDTH


@pytest.fixture(scope="module")
def programs():
    """The same layers in a loop and one after the other."""

    def looped(x, ws):
        def layer(x, w):
            x = jnp.tanh(x @ w)
            return x, x

        return lax.scan(layer, x, ws)

    def flat(x, ws):
        seen = []
        for w in ws:
            x = jnp.tanh(x @ w)
            seen.append(x)
        return x, jnp.stack(seen)

    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((ROWS, WIDTH), (ROUNDS, WIDTH, WIDTH))]
    return [jax.jit(function).lower(*shapes).compile() for function in (looped, flat)]


def test_a_loop_costs_what_its_rounds_do(programs):
    looped, flat = map(cost_of, programs)
    assert looped.flops == pytest.approx(ROUNDS * PRODUCT, rel=0.01)
    assert looped.flops == pytest.approx(flat.flops, rel=0.01)
    # A loop takes its slices out and puts results back, and the stack is read by slices alone.
    assert flat.bytes < looped.bytes < 1.4 * flat.bytes
    assert looped.unknown_loops == 0
    once = programs[0].cost_analysis()["flops"]
    assert once < looped.flops / 5, "XLA counts a round"


def test_products_alone(programs):
    moved = ROUNDS * 4 * (WIDTH * WIDTH + 2 * ROWS * WIDTH)
    for program in programs:
        assert work_of(program) == Work(ROUNDS * PRODUCT, moved)


def test_products_with_axes_of_batches_and_convolutions():
    def batched(x, y):
        return jnp.einsum("bqd,bkd->bqk", x, y)

    text = jax.jit(batched).lower(jnp.ones([3, 5, 7]), jnp.ones([3, 11, 7])).as_text("hlo")
    assert work_of(text) == Work(2 * 3 * 5 * 11 * 7, 4 * 3 * (5 * 7 + 11 * 7 + 5 * 11))

    def grouped(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=2,
        )  # fmt: skip

    x, kernel = jnp.ones([2, 6, 6, 4]), jnp.ones([3, 3, 2, 10])
    compiled = jax.jit(grouped).lower(x, kernel).compile()
    assert work_of(compiled).flops == 2 * (2 * 4 * 4 * 10) * (3 * 3 * 2)
    assert cost_of(compiled).flops == work_of(compiled).flops


def test_products_as_gpus_call_them():
    text = """\
HloModule m

ENTRY %main (x: bf16[8,16], w: bf16[16,4]) -> (bf16[8,4], s8[64]) {
  %x = bf16[8,16]{1,0} parameter(0)
  %w = bf16[16,4]{1,0} parameter(1)
  ROOT %call = (bf16[8,4]{1,0}, s8[64]{0}) custom-call(%x, %w), \
custom_call_target="__cublas$gemm", backend_config={"gemm_backend_config":\
{"dot_dimension_numbers":{"lhs_contracting_dimensions":["1"]}}}
}
"""
    assert work_of(text).flops == 2 * 8 * 4 * 16


def test_a_loop_of_unknown_length_is_told():
    def until(x, w):
        return lax.while_loop(lambda x: x.sum() < 9, lambda x: x @ w, x)

    compiled = jax.jit(until).lower(jnp.ones([4, 4]), jnp.ones([4, 4])).compile()
    assert cost_of(compiled).unknown_loops == work_of(compiled).unknown_loops == 1
    assert work_of(compiled).flops == 2 * 4**3


def test_a_platform_that_counts_nothing():
    class Silent:
        def cost_analysis(self):
            return None

    assert cost_of(Silent()) is None
