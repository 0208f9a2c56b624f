import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, UnknownNameError
from jaxtrain.models.attention import Choice, attention, choose, device_facts

CPU = {"platform": "cpu", "dtype": "float32", "head_dim": 64, "length": 256}
H100 = {
    "platform": "gpu",
    "compute_capability": "9.0",
    "dtype": jnp.bfloat16,
    "head_dim": 128,
    "length": 2048,
}


def plain(q, k, v, segments=None, positions=None):
    """The formula, in float64, one query at a time."""
    q, k, v = (np.asarray(x, np.float64) for x in (q, k, v))
    out = np.zeros(q.shape)
    repeats = q.shape[2] // k.shape[2]
    for b, i, h in np.ndindex(*q.shape[:3]):
        last = i if positions is None else int(positions[b, i])
        seen = np.arange(k.shape[1]) <= last
        if segments is not None:
            seen &= np.asarray(segments[b]) == segments[b, i]
        keys, values = k[b, seen, h // repeats], v[b, seen, h // repeats]
        scores = keys @ q[b, i, h] / np.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max())
        out[b, i, h] = weights @ values / weights.sum()
    return out


def draw(batch=2, length=70, heads=4, kv_heads=2, size=6, keys=None, dtype="float32"):
    rng = np.random.default_rng(0)
    shapes = [(length, heads), (keys or length, kv_heads), (keys or length, kv_heads)]
    return [jnp.asarray(2 * rng.normal(size=(batch, *s, size)), dtype) for s in shapes]


def documents(length=70):
    """A row of two documents and padding, and a row of one."""
    first = np.repeat([1, 2, 0], [30, length - 45, 15])
    return jnp.asarray(np.stack([first, np.ones(length)]), jnp.int32)


@pytest.mark.parametrize("implementation", ["xla", "tiled"])
@pytest.mark.parametrize(("packed", "kv_heads"), [(False, 2), (True, 4), (True, 1)])
def test_it_is_the_formula(implementation, packed, kv_heads):
    q, k, v = draw(kv_heads=kv_heads)
    segments = documents() if packed else None
    form = jax.jit(functools.partial(attention, implementation=implementation))
    found = form(q, k, v, segments=segments)
    np.testing.assert_allclose(found, plain(q, k, v, segments), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("implementation", ["xla", "tiled"])
def test_what_a_document_gives_has_no_gradient_in_another(implementation):
    q, k, v = draw()
    segments = documents()
    first = (segments == 1)[:, :, None, None]

    def first_alone(q, k, v):
        out = attention(q, k, v, segments=segments, implementation=implementation)
        return jnp.sum(jnp.where(first, out, 0)[0] ** 2)

    for gradient in jax.jit(jax.grad(first_alone, argnums=(0, 1, 2)))(q, k, v):
        inside, outside = np.asarray(gradient[0, :30]), np.asarray(gradient[0, 30:])
        assert np.abs(inside).max() > 0
        np.testing.assert_array_equal(outside, 0)


def test_against_a_cache_each_query_reads_up_to_its_own_place():
    q, k, v = draw(length=3, keys=20)
    positions = jnp.array([[4, 5, 6], [17, 18, 19]], jnp.int32)
    found = attention(q, k, v, positions=positions, implementation="xla")
    np.testing.assert_allclose(found, plain(q, k, v, positions=positions), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("implementation", ["tiled", "cudnn"])
def test_kernels_that_read_no_cache_say_so(implementation):
    q, k, v = draw(length=1)
    with pytest.raises(ValueError, match="cache"):
        attention(q, k, v, positions=jnp.zeros((2, 1), int), implementation=implementation)


@pytest.mark.parametrize(
    ("facts", "name", "why"),
    [
        (CPU, "tiled", r"no scores \[256, 256\] are kept"),
        (CPU | {"packed": True}, "tiled", "no scores"),
        (CPU | {"cached": True}, "xla", "the keys of a cache"),
        (CPU | {"platform": "tpu", "dtype": jnp.bfloat16}, "tiled", "no scores"),
        (H100, "cudnn", "bfloat16, heads of 128"),
        (H100 | {"cached": True}, "xla", "the keys of a cache"),
        (H100 | {"packed": True}, "tiled", "cuDNN can't: rows hold several documents"),
        (H100 | {"dtype": "float32"}, "tiled", "cuDNN can't: it computes in bfloat16"),
        (H100 | {"head_dim": 256}, "cudnn", "heads of 256"),
        (H100 | {"head_dim": 256, "compute_capability": "8.0"}, "tiled", "at most 128"),
        (H100 | {"head_dim": 256, "compute_capability": None}, "tiled", "at most 128"),
        (H100 | {"head_dim": 128, "compute_capability": "12.0"}, "cudnn", "heads of 128"),
    ],
)
def test_auto_is_a_rule_that_gives_its_reason(facts, name, why):
    found = choose("auto", **facts)
    assert found.name == name
    assert re.search(why, found.why)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (CPU, r"needs a CUDA GPU, and JAX computes on 'cpu'.*bfloat16 or float16.*float32"),
        (H100 | {"platform": "rocm"}, "CUDA GPU"),
        (H100 | {"dtype": "float32"}, r"the model in float32 \(precision: bfloat16\)"),
        (H100 | {"head_dim": 100}, "at most 256 and a multiple of 8, found 100"),
        (H100 | {"head_dim": 264}, "at most 256 and a multiple of 8, found 264"),
        (H100 | {"head_dim": 136, "compute_capability": "8.9"}, "at most 128.*found 136"),
        (H100 | {"compute_capability": "7.5"}, "capability 8.0, found 7.5"),
        (H100 | {"packed": True}, r"several documents \(segments\)"),
        (H100 | {"cached": True}, "out of a cache"),
    ],
)
def test_cudnn_where_it_cannot_run_is_an_error_that_says_why(facts, why):
    with pytest.raises(ConfigError, match=f"attention: cudnn can't run here: .*{why}.*auto"):
        choose("cudnn", **facts)


def test_what_is_asked_for_by_name_is_taken():
    assert choose("cudnn", **H100) == Choice("cudnn", "asked for")
    assert choose("xla", **H100) == Choice("xla", "asked for")
    assert choose("tiled", **(H100 | {"packed": True})) == Choice("tiled", "asked for")
    with pytest.raises(ConfigError, match="tiled is for whole texts"):
        choose("tiled", **(CPU | {"cached": True}))
    with pytest.raises(UnknownNameError, match=r"unknown attention 'cudn'; did you mean 'cudnn'\?"):
        choose("cudn", **CPU)


def test_the_facts_are_of_the_device_that_jax_computes_on():
    assert device_facts() == {"platform": jax.default_backend(), "compute_capability": None}
    with jax.default_device("cpu"):
        assert device_facts()["platform"] == "cpu"
    with jax.default_device(jax.devices("cpu")[0]):
        assert device_facts()["platform"] == "cpu"


def test_it_runs_under_strict_promotion():
    q, k, v = draw()
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        for name in ("xla", "tiled"):
            form = functools.partial(attention, implementation=name)
            jax.eval_shape(form, q, k, v, segments=documents())
        positions = jnp.full((2, 70), 3, jnp.int32)
        jax.eval_shape(
            functools.partial(attention, implementation="xla"), q, k, v, positions=positions
        )
