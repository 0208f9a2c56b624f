import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import UnknownNameError
from jaxtrain.step import POLICIES, LossScale, Policy, policy


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_only_floats_are_cast(name):
    tree = {
        "float": jnp.ones(2),
        "half": jnp.ones(2, jnp.bfloat16),
        "int": jnp.ones(2, jnp.int32),
        "bool": jnp.ones(2, bool),
        "key": jax.random.key(0),
    }
    cast = policy(name).to_compute(tree)
    assert {k: v.dtype for k, v in cast.items()} == {
        "float": jnp.dtype(name),
        "half": jnp.dtype(name),
        "int": jnp.int32,
        "bool": jnp.bool_,
        "key": tree["key"].dtype,
    }
    back = policy(name).to_output(cast)
    assert back["float"].dtype == back["half"].dtype == jnp.float32


def test_policies_by_name():
    assert [n for n, p in POLICIES.items() if p.scales_loss] == ["float16"]
    own = Policy("float16")
    assert policy(own) is own
    with pytest.raises(UnknownNameError) as error:
        policy("bfloat61")
    assert str(error.value) == (
        "unknown precision 'bfloat61'; did you mean 'bfloat16'? (known: float32, bfloat16, float16)"
    )


def test_the_scale_begins_at_a_power_of_two():
    scale = LossScale.create()
    assert (float(scale.scale), int(scale.quiet)) == (2.0**15, 0)
    assert (scale.scale.dtype, scale.quiet.dtype) == (jnp.float32, jnp.int32)


def test_an_overflow_halves_the_scale_and_begins_the_wait_anew():
    scale = LossScale(jnp.float32(64), jnp.int32(1500)).adjust(jnp.array(False))
    assert (float(scale.scale), int(scale.quiet)) == (32.0, 0)


def test_it_doubles_after_the_interval_and_not_before():
    scale = LossScale(jnp.float32(64), jnp.int32(LossScale.GROWTH_INTERVAL - 2))
    scale = scale.adjust(jnp.array(True))
    assert (float(scale.scale), int(scale.quiet)) == (64.0, LossScale.GROWTH_INTERVAL - 1)
    scale = scale.adjust(jnp.array(True))
    assert (float(scale.scale), int(scale.quiet)) == (128.0, 0)
    scale = scale.adjust(jnp.array(True))
    assert (float(scale.scale), int(scale.quiet)) == (128.0, 1)


def test_it_stays_between_its_bounds():
    ready = jnp.int32(LossScale.GROWTH_INTERVAL - 1)
    top = LossScale(jnp.float32(LossScale.LARGEST), ready).adjust(jnp.array(True))
    assert float(top.scale) == LossScale.LARGEST
    floor = LossScale(jnp.float32(1), jnp.int32(3)).adjust(jnp.array(False))
    assert (float(floor.scale), int(floor.quiet)) == (1.0, 0)


def test_a_loss_scale_is_a_pytree_of_fixed_dtypes():
    scale = LossScale.create()
    for finite in (True, False):
        after = jax.jit(LossScale.adjust)(scale, jnp.array(finite))
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
            lambda x: (x.shape, x.dtype), scale
        )
        assert np.log2(float(after.scale)) % 1 == 0
