import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models.sequences import Embedding, keys_of, real_steps

TOKENS = jnp.array([[3, 1, 0], [2, 0, 0]])
FEATURES = jnp.ones((2, 3, 4))


def test_all_steps_count_where_nobody_says_otherwise():
    assert real_steps(TOKENS) is None
    # A mask of rows says nothing of steps.
    assert real_steps(FEATURES, mask=jnp.array([1.0, 0.0])) is None


def test_what_is_said_is_joined():
    by_token = real_steps(TOKENS, padding_token=0)
    assert by_token.tolist() == [[True, True, False], [True, False, False]]
    by_length = real_steps(FEATURES, lengths=jnp.array([3, 1]))
    assert by_length.tolist() == [[True, True, True], [True, False, False]]
    mask = jnp.array([[0.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert real_steps(FEATURES, mask=mask).tolist() == (mask > 0).tolist()
    joined = real_steps(TOKENS, mask=mask, lengths=jnp.array([2, 2], jnp.uint8), padding_token=0)
    assert joined.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize("inputs", [jnp.ones((2, 3)), jnp.ones((2, 3, 4, 1)), FEATURES.astype(int)])
def test_inputs_of_another_form_are_refused(inputs):
    with pytest.raises(ConfigError, match=r"tokens \[B, L\], .* but its inputs are .* of shape"):
        real_steps(inputs)


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        ({"mask": jnp.ones((2, 4))}, DataError, r"'mask' has shape \(2, 4\), but .* 3 steps"),
        ({"mask": jnp.ones((2, 3, 4))}, DataError, "'mask' has shape"),
        ({"lengths": jnp.ones(3, int)}, DataError, r"lengths: .* shape \(2,\), found int32 .*3"),
        ({"lengths": jnp.ones(2)}, DataError, "lengths: expected whole .* found float32"),
        ({"padding_token": 0}, ConfigError, r"padding_token: is for tokens .*\(2, 3, 4\)"),
    ],
)
def test_what_does_not_fit_is_refused(said, error, words):
    with pytest.raises(error, match=words):
        real_steps(FEATURES, **said)


def test_tokens_get_a_vector_each_and_those_out_of_range_nan():
    module = Embedding(500, 40)
    variables = module.init(jax.random.key(0), TOKENS, None)
    table = variables["params"]["tokens"]["embedding"]
    assert abs(np.var(table) - 1) < 5 * np.sqrt(2 / table.size)
    np.testing.assert_array_equal(module.apply(variables, TOKENS, None), table[TOKENS])
    for wrong in (-1, 500):
        found = module.apply(variables, TOKENS.at[0, 1].set(wrong), None)
        assert np.isnan(found[0, 1]).all()
        assert np.isnan(found).sum() == 40
    # On padding anything may stand.
    real = jnp.array([[True, False, True], [True, True, True]])
    found = module.apply(variables, TOKENS.at[0, 1].set(-1), real)
    assert np.isfinite(found).all()


def test_features_stay_what_they_are_but_for_padding():
    assert Embedding(None, 7).apply({}, FEATURES, None) is FEATURES
    real = jnp.array([[True, False, True], [True, True, True]])
    spoiled = FEATURES.at[0, 1].set(jnp.nan)
    found = Embedding(None, 7).apply({}, spoiled, real)
    np.testing.assert_array_equal(found, FEATURES.at[0, 1].set(0))


def test_a_vocabulary_is_for_tokens():
    with pytest.raises(ConfigError, match=r"vocabulary: the inputs are tokens, int32.*\(2, 3\)"):
        Embedding(None, 7).init(jax.random.key(0), TOKENS, None)
    with pytest.raises(ConfigError, match=r"vocabulary: is for tokens .* float32 .*\(2, 3, 4\)"):
        Embedding(9, 7).init(jax.random.key(0), FEATURES, None)


def test_lengths_are_an_entry_of_the_batch():
    assert keys_of(None) == ["inputs"]
    assert keys_of("n") == ["inputs", "n"]


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_lengths_of_a_narrow_dtype_count_to_all_steps(dtype):
    real = real_steps(jnp.ones((2, 300, 1)), lengths=jnp.array([3, 100], dtype))
    assert real.sum(axis=1).tolist() == [3, 100]
