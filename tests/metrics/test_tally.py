import jax
import jax.numpy as jnp
import numpy as np

from jaxtrain.metrics.tally import tally


def test_it_counts_what_counts():
    index = np.random.default_rng(0).integers(0, 5, (7, 4)).astype(np.int32)
    where = np.arange(28).reshape(7, 4) % 3 > 0
    found = tally(jnp.asarray(index), where=jnp.asarray(where), size=5)
    assert found.dtype == jnp.int32
    assert found.tolist() == np.bincount(index[where], minlength=5).tolist()


def test_what_stands_where_nothing_counts_is_not_looked_at():
    index = jnp.array([0, -1, -5, 99, 2**31 - 1, 4], jnp.int32)
    where = jnp.array([True, False, False, False, False, True])
    assert tally(index, where=where, size=5).tolist() == [1, 0, 0, 0, 1]


def test_members_of_a_population_are_counted_apart():
    index = jnp.array([[0, 1, 1], [2, 2, 2]], jnp.int32)
    each = jax.vmap(lambda index: tally(index, where=index >= 0, size=3))(index)
    assert each.tolist() == [[1, 2, 0], [0, 0, 3]]
