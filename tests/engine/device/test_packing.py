"""Trees with many scalars, as few arrays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxtrain.engine.device.packing import Packing, is_scalar

DTYPES = [jnp.float32, jnp.int32, jnp.uint32, jnp.bool_, jnp.bfloat16, jnp.float16, jnp.int8]
LEAF = st.builds(
    lambda dtype, shape, value: np.full(shape, value, dtype),
    st.sampled_from(DTYPES),
    st.sampled_from([(), (), (), (3,), (0,), (2, 1)]),
    st.integers(0, 1),
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(TREE)
def test_packing_and_unpacking_is_nothing_but_a_detour(tree):
    packing = Packing.of(tree)
    packed = packing.pack(jax.tree.map(jnp.asarray, tree))
    scalars = [leaf for leaf in jax.tree.leaves(tree) if np.shape(leaf) == ()]
    assert len(packed.scalars) == len({leaf.dtype for leaf in scalars})
    assert len(packed.arrays) == len(jax.tree.leaves(tree)) - len(scalars)
    for back in (packing.unpack(packed), packing.on_host(packed)):
        assert jax.tree.structure(back) == jax.tree.structure(tree)
        for given_leaf, leaf in zip(jax.tree.leaves(tree), jax.tree.leaves(back), strict=True):
            assert leaf.dtype == given_leaf.dtype
            assert np.array_equal(leaf, given_leaf)


def test_a_tree_of_another_structure_is_refused():
    with pytest.raises(ValueError, match=r"[Dd]ict|[Kk]ey"):
        Packing.of({"a": jnp.zeros(())}).pack({"b": jnp.zeros(())})


def test_a_random_key_is_no_number():
    assert not is_scalar(jax.random.key(0))
    packing = Packing.of({"key": jax.random.key(0)})
    packed = packing.pack({"key": jax.random.key(5)})
    assert packed.scalars == {}
    assert jax.random.key_data(packing.unpack(packed)["key"])[1] == 5
