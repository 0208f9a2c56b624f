import jax.numpy as jnp
import numpy as np

from jaxtrain.metrics import ClassCounts


def counts(predicted, labels, *, said=True, classed=True, real=True):
    full = [jnp.broadcast_to(jnp.asarray(x), (len(labels),)) for x in (said, classed, real)]
    predicted, labels = jnp.array(predicted, jnp.int32), jnp.array(labels, jnp.int32)
    return ClassCounts.of(predicted, labels, said=full[0], classed=full[1], real=full[2], classes=3)


def test_each_row_is_counted_where_it_belongs():
    state = counts(
        [0, 0, 1, 2, 2, 1],
        [0, 1, 1, 9, 2, 1],
        said=[True, True, True, True, False, True],
        classed=[True, True, True, False, True, True],
        real=[True, True, True, True, True, False],
    )
    assert state.right.low.tolist() == [1, 1, 0]
    assert state.predicted.low.tolist() == [2, 1, 1]
    assert state.true.low.tolist() == [1, 2, 1]
    assert int(state.rows.low) == 5
    assert np.isclose(float(state.value()), 2 / 5)


def test_counting_is_exact_where_float32_stops():
    one = counts([1], [1])
    many = ClassCounts(*(count.plus(2**24) for count in one))
    state = many.merge(one).merge(one)
    assert state.right.low.tolist() == [2**24, 2**24 + 3, 2**24]
    assert int(state.rows.low) == 2**24 + 3


def test_nothing_is_nan():
    assert np.isnan(ClassCounts.empty(3).value())
