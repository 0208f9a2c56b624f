import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxtrain.errors import ConfigError
from jaxtrain.models import from_linen
from jaxtrain.models.dropout import Dropout, kept_steps

KEY = jax.random.key(7)


def drop(inputs, rate=0.4, key=KEY, **fields):
    return Dropout(rate, deterministic=False, **fields).apply({}, inputs, rngs={"dropout": key})


def test_it_drops_its_fraction_and_keeps_the_mean():
    ones = jnp.ones((1000, 101))
    for rate in (0.1, 0.5, 0.93):
        found = np.asarray(drop(ones, rate))
        assert len(np.unique(found)) == 2
        assert found.max() == np.float32(65536 / kept_steps(rate))
        # 5 standard errors of the mean of values that are 0 or 1 / keep.
        assert abs(found.mean() - 1) < 5 * np.sqrt(rate / (1 - rate) / ones.size)
        # Both halves of a word, and whatever the last one leaves over.
        columns = (found != 0).mean(axis=0)
        assert np.abs(columns - (1 - rate)).max() < 6 * np.sqrt(rate * (1 - rate) / 1000)


def test_decisions_do_not_hang_together():
    kept = np.asarray(drop(jnp.ones((20_000, 4)), 0.5) != 0) - 0.5
    products = 4 * kept.T @ kept / len(kept) - np.eye(4)
    assert np.abs(products).max() < 5 / np.sqrt(len(kept))
    assert abs(4 * np.mean(kept[1:] * kept[:-1])) < 5 / np.sqrt(kept.size)


@settings(max_examples=25)
@given(rate=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_the_kept_probability_is_the_nearest_and_never_all_or_nothing(rate):
    kept = kept_steps(rate)
    assert 0 < kept < 65536
    assert abs(kept / 65536 - (1 - rate)) <= (0.5 if 1 < kept < 65535 else 1) / 65536


def test_the_mask_depends_on_key_and_shape_alone():
    inputs = jax.random.normal(jax.random.key(1), (5, 7)) + 9
    kept = drop(inputs) != 0
    for dtype in (jnp.bfloat16, jnp.float16):
        low = drop(inputs.astype(dtype))
        assert low.dtype == dtype
        np.testing.assert_array_equal(low != 0, kept)
        expected = inputs.astype(dtype).astype(jnp.float32) * 65536 / kept_steps(0.4)
        np.testing.assert_array_equal(low[kept], expected.astype(dtype)[kept])
    np.testing.assert_array_equal(drop(inputs + 1) != 0, kept)
    assert not np.array_equal(drop(inputs, key=jax.random.key(8)) != 0, kept)


def test_it_is_the_same_under_jit_scan_and_vmap():
    inputs = jax.random.normal(jax.random.key(1), (5, 7))
    keys = jax.random.split(KEY, 3)
    plain = np.stack([drop(inputs, key=key) for key in keys])
    run = lambda key: drop(inputs, key=key)  # noqa: E731
    np.testing.assert_array_equal(jax.jit(run)(keys[0]), plain[0])
    np.testing.assert_array_equal(jax.vmap(run)(keys), plain)
    np.testing.assert_array_equal(jax.lax.scan(lambda c, k: (c, run(k)), 0, keys)[1], plain)


def test_the_draw_stays_what_it_is():
    """Runs that were saved go on with the same masks: these were drawn when this was written."""
    found = "".join(str(int(x)) for x in np.asarray(drop(jnp.ones((3, 5)), 0.5) != 0).ravel())
    assert found == "011011110010010"


def test_gradients_pass_where_inputs_do():
    inputs = jax.random.normal(jax.random.key(1), (5, 7))
    gradient = jax.grad(lambda x: drop(x).sum())(inputs)
    scale = np.float32(65536 / kept_steps(0.4))
    np.testing.assert_allclose(gradient, np.where(drop(inputs) != 0, scale, 0), rtol=1e-6)


def test_flaxs_fields_and_calls_are_there():
    ones = jnp.ones((6, 12, 3))
    shared = np.asarray(drop(ones, broadcast_dims=(0, -1)))
    assert (shared == shared[:1, :, :1]).all()
    assert len(np.unique(shared)) == 2
    assert not drop(ones, 1.0).any()
    assert drop(ones, 0.0) is ones
    assert Dropout(0.5).apply({}, ones, deterministic=True) is ones
    given = Dropout(0.4).apply({}, ones, deterministic=False, rng=KEY)
    other = Dropout(0.4, rng_collection="noise", deterministic=False)
    np.testing.assert_array_equal(given, Dropout(0.4, deterministic=False).apply({}, ones, rng=KEY))
    assert not np.array_equal(other.apply({}, ones, rngs={"noise": KEY}), ones)
    with pytest.raises(flax.errors.InvalidRngError):
        other.apply({}, ones, rngs={"dropout": KEY})
    assert drop(jnp.ones(())).shape == ()


def test_a_module_with_it_and_no_switch_is_refused():
    class Deaf(nn.Module):
        @nn.compact
        def __call__(self, inputs):
            return Dropout(0.1, deterministic=True)(inputs)

    with pytest.raises(ConfigError, match="Deaf has Dropout, which training"):
        from_linen(Deaf()).init(KEY, {"inputs": jnp.ones((2, 3))})


def test_it_runs_under_strict_promotion():
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert drop(jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.bfloat16
