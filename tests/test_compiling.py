import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxtrain as jt
from jaxtrain import compiling
from jaxtrain.compiling import compiler_options


def _convolve(images, kernel):
    return jax.lax.conv_general_dilated(
        images, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


# Not ones: with a constant of equal numbers YNN computes nonsense (jaxlib 0.10.2 to 0.12.0).
ARRAYS = tuple(
    jax.random.normal(jax.random.key(0), shape) for shape in ((64, 14, 14, 32), (3, 3, 32, 64))
)
CONVOLVES = jax.make_jaxpr(_convolve)(*ARRAYS)


on_cpu = pytest.mark.skipif(jax.default_backend() != "cpu", reason="about XLA on the CPU")


@on_cpu
def test_only_a_convolution_on_a_cpu_gets_options():
    assert compiler_options(CONVOLVES, "gpu") is None
    assert compiler_options(jax.make_jaxpr(jnp.sin)(1.0), "cpu") is None
    options = compiler_options(CONVOLVES, "cpu")
    plain = jax.jit(_convolve).lower(*ARRAYS).compile().as_text()
    told = jax.jit(_convolve, compiler_options=options).lower(*ARRAYS).compile().as_text()
    # Where this fails after an upgrade of JAX, measure anew: is the option still of use?
    assert "ynn" in plain
    assert "ynn" not in told


def test_an_option_that_xla_lacks_is_not_given(monkeypatch):
    assert not compiling._is_known("xla_cpu_no_such_option")
    monkeypatch.setattr(compiling, "_is_known", lambda option: False)
    assert compiler_options(CONVOLVES, "cpu") is None


@on_cpu
@pytest.mark.parametrize("reads_only", [False, True], ids=["training", "evaluation"])
def test_the_engine_compiles_with_them(reads_only):
    def step(kernel, batch):
        maps = _convolve(batch["inputs"], kernel)
        return kernel if reads_only else kernel + maps.mean(), {"loss": maps.mean()}

    images, kernel = ARRAYS
    engine = jt.Engine(step, kernel)
    loader = jt.ArrayLoader({"inputs": np.asarray(images)}, batch_size=64)
    engine.run(loader)
    assert engine.form == "single"
    assert "ynn" not in engine.compiled(loader).as_text()


@on_cpu
def test_a_loop_of_ones_own_is_compiled_as_the_engine_is(monkeypatch):
    given, jit = [], jax.jit

    def spied(function, **options):
        given.append(options)
        return jit(function, **options)

    monkeypatch.setattr(jax, "jit", spied)
    convolve = jt.jit(_convolve, keep_unused=True)
    assert "ynn" not in convolve.lower(*ARRAYS).compile().as_text()
    maps = convolve(*ARRAYS)
    assert given[-1] == {
        "keep_unused": True,
        "compiler_options": compiler_options(CONVOLVES, "cpu"),
    }
    given.clear()
    np.testing.assert_allclose(convolve(*ARRAYS), maps)
    assert not given  # once for all calls
    assert convolve.__name__ == "_convolve"


def test_what_needs_no_options_is_jax_jit():
    times = jt.jit(lambda x, n: x * n, static_argnums=1)
    assert [float(times(2.0, n)) for n in (3, 4)] == [6, 8]
    assert times._told is times._plain


@pytest.mark.parametrize("used_before", [False, True])
def test_it_may_be_a_part_of_another_program(used_before):
    convolve, arrays = jt.jit(_convolve), ARRAYS
    if used_before:
        convolve(*arrays)
    # With arrays of its own, with those of the other one, under a gradient and a map.
    outside = jax.jit(lambda: convolve(*arrays).sum())()
    inside = jax.jit(lambda images, kernel: convolve(images, kernel).sum())(*arrays)
    np.testing.assert_allclose(outside, inside, rtol=1e-4)
    grads = jax.grad(lambda kernel: convolve(arrays[0], kernel).sum())(arrays[1])
    assert grads.shape == arrays[1].shape
    many = jax.vmap(convolve, in_axes=(None, 0))(arrays[0], arrays[1][None])
    assert many.shape == (1, *convolve(*arrays).shape)
