import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.optim import adamw, learning_rate, lookahead, sgd

START = {"w": jnp.array([1.0, -0.5, 0.25], jnp.float32)}


def grads_of(params):
    return jax.tree.map(lambda w: 4 * w**3, params)


def run(tx, steps):
    params, seen = START, []
    state = tx.init(params)
    for _ in range(steps):
        changes, state = tx.update(grads_of(params), state, params)
        params = optax.apply_updates(params, changes)
        seen.append(np.asarray(params["w"]))
    return seen, state


def test_it_is_the_algorithm_of_the_paper():
    """Zhang et al. 2019, algorithm 1, with SGD within, in float64."""
    slow = np.array([1.0, -0.5, 0.25])
    expected = []
    for _ in range(4):
        fast = slow.copy()
        for _ in range(3):
            fast = fast - 0.05 * 4 * fast**3
            expected.append(fast)
        slow = slow + 0.25 * (fast - slow)
        expected[-1] = slow
    seen, _ = run(lookahead(sgd(0.05), every=3, share=0.25), 12)
    np.testing.assert_allclose(seen, expected, rtol=1e-5)


@pytest.mark.parametrize("inner", [sgd(0.05, momentum=0.9), adamw(0.01)])
def test_it_is_that_of_optax(inner):
    theirs = optax.lookahead(inner, sync_period=4, slow_step_size=0.5)
    pairs = optax.LookaheadParams.init_synced(START)
    state = theirs.init(pairs)
    expected = []
    for _ in range(10):
        changes, state = theirs.update(grads_of(pairs.fast), state, pairs)
        pairs = optax.apply_updates(pairs, changes)
        expected.append(np.asarray(pairs.fast["w"]))
    seen, _ = run(lookahead(inner, every=4, share=0.5), 10)
    # To a rounding of parameters of size 1: what is given to `apply_updates` is a difference.
    np.testing.assert_allclose(seen, expected, rtol=1e-6, atol=1.2e-7)


def test_the_whole_way_at_once_is_the_optimizer_itself():
    plain, _ = run(adamw(0.01), 7)
    ahead, _ = run(lookahead(adamw(0.01), every=2, share=1.0), 7)
    np.testing.assert_allclose(ahead, plain, rtol=1e-6)


def test_the_learning_rate_within_is_found_and_the_start_is_copied():
    tx = lookahead(adamw(0.01))
    state = tx.init(START)
    assert float(learning_rate(state)) == pytest.approx(0.01)
    # A step donates its state: the slow weights must not be the parameters' own buffers.
    assert state.slow["w"].unsafe_buffer_pointer() != START["w"].unsafe_buffer_pointer()


def test_a_narrow_parameter_stays_narrow():
    params = {"w": jnp.ones(3, jnp.bfloat16)}
    tx = lookahead(sgd(0.1), every=1)
    changes, state = tx.update(params, tx.init(params), params)
    assert state.slow["w"].dtype == optax.apply_updates(params, changes)["w"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "every to be at least 1"),
        ({"share": 0.0}, "a share"),
        ({"share": 1.5}, "a share"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        lookahead(sgd(0.1), **options)


def test_it_wants_the_parameters():
    tx = lookahead(sgd(0.1))
    with pytest.raises(ConfigError, match="needs the parameters"):
        tx.update(START, tx.init(START))
