import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import (
    DecoderConfig,
    attention_choice,
    hidden_states,
    initial_params,
    logits,
    output_head,
)

CONFIG = DecoderConfig.llama(vocab_size=50, width=24, layers=2, heads=4, kv_heads=2)
# A document of 6, one of 5, padding of 3; and one of 14.
SEGMENTS = np.array([[1] * 6 + [2] * 5 + [0] * 3, [1] * 14], np.int32)
POSITIONS = np.array([[*range(6), *range(5), *range(3)], [*range(14)]], np.int32)

# Compiled as a whole, not an operation at a time.
states = jax.jit(hidden_states, static_argnums=1, static_argnames=("form", "remat", "attention"))


@pytest.fixture(scope="module")
def params():
    return jax.tree.map(lambda p: 10 * p, initial_params(jax.random.key(0), CONFIG))


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(0, 50, (2, 14), dtype=np.int32)


@pytest.mark.parametrize("attention", ["xla", "tiled"])
def test_a_packed_document_is_as_it_is_alone(params, tokens, attention):
    packed = states(
        params, CONFIG, tokens, segments=SEGMENTS, positions=POSITIONS, attention=attention
    )
    for row, begin, end in ((0, 0, 6), (0, 6, 11), (1, 0, 14)):
        alone = states(params, CONFIG, tokens[row : row + 1, begin:end])
        np.testing.assert_allclose(packed[row, begin:end], alone[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ["xla", "tiled"])
@pytest.mark.parametrize("form", ["scan", "unroll"])
def test_no_gradient_crosses_between_documents(params, tokens, attention, form):
    # Tokens of the first row are all different embeddings, so that a row of the embedding's
    # gradient is the gradient of one token.
    own = np.arange(28, dtype=np.int32).reshape(2, 14)

    def second_alone(embedding):
        changed = params | {"embedding": {"embedding": embedding}}
        hidden = states(
            changed,
            CONFIG,
            own,
            segments=SEGMENTS,
            positions=POSITIONS,
            attention=attention,
            form=form,
        )
        return jnp.sum(hidden[0, 6:11] ** 3)

    gradient = np.asarray(jax.jit(jax.grad(second_alone))(params["embedding"]["embedding"]))
    assert (np.abs(gradient[6:11]).max(axis=1) > 0).all()
    np.testing.assert_array_equal(np.delete(gradient, range(6, 11), axis=0), 0)


def test_a_token_sees_nothing_behind_it(params, tokens):
    changed = tokens.copy()
    changed[:, 9] = (changed[:, 9] + 1) % 50
    before, after = (states(params, CONFIG, t) for t in (tokens, changed))
    np.testing.assert_array_equal(before[:, :9], after[:, :9])
    assert np.abs(before[:, 9:] - after[:, 9:]).min(axis=-1).max() > 0


def test_positions_matter_and_count_from_zero(params, tokens):
    given = np.tile(np.arange(14, dtype=np.int32), (2, 1))
    found = states(params, CONFIG, tokens)
    np.testing.assert_array_equal(states(params, CONFIG, tokens, positions=given), found)
    assert np.abs(states(params, CONFIG, tokens, positions=2 * given) - found).max() > 1e-3


def test_a_token_out_of_range_is_seen(params, tokens):
    wrong = tokens.copy()
    wrong[0, 3] = 50
    found = np.asarray(states(params, CONFIG, wrong))
    assert np.isnan(found[0, 3:]).all()
    assert np.isfinite(found[1]).all()


def test_gemma_scales_the_embedding_by_a_rounded_factor():
    config = DecoderConfig.gemma(vocab_size=50, width=2048, layers=1, heads=1, head_dim=2, hidden=2)
    params = initial_params(jax.random.key(0), config, dtype="bfloat16")
    params["layers"] = jax.tree.map(jnp.zeros_like, params["layers"])  # only the residual is left

    def largest(token):
        # A norm hides a factor; where eps dominates it does not.
        tiny = params | {"embedding": {"embedding": jnp.full((50, 2048), 2.0**-30, jnp.bfloat16)}}
        return states(tiny, config, token)[0, 0, 0]

    wide = 45.25 * 2.0**-30
    expected = np.float32(wide / np.sqrt(wide**2 + 1e-6))
    assert float(largest(np.zeros((1, 1), np.int32))) == pytest.approx(expected, rel=2**-8)


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_the_product_with_the_head(tied):
    config = DecoderConfig.llama(vocab_size=50, width=24, layers=1, heads=4, tied=tied)
    params = initial_params(jax.random.key(0), config)
    hidden = jax.random.normal(jax.random.key(1), (2, 3, 24))
    head, transposed = output_head(params, config)
    expected = hidden @ (params["embedding"]["embedding"].T if tied else params["head"]["kernel"])
    assert transposed == tied
    assert head.shape == ((50, 24) if tied else (24, 50))
    np.testing.assert_allclose(logits(params, config, hidden), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["scan", "unroll"])
def test_narrow_parameters_compute_narrow_and_stay_near(params, tokens, form):
    narrow = jax.tree.map(lambda p: p.astype(jnp.bfloat16), params)
    found = states(narrow, CONFIG, tokens, form=form)
    assert found.dtype == jnp.bfloat16
    assert logits(narrow, CONFIG, found).dtype == jnp.float32
    wide = states(params, CONFIG, tokens)
    assert np.linalg.norm(found.astype("f") - wide) / np.linalg.norm(wide) < 0.1


def test_the_kernel_is_known_before_anything_is_traced(params, tokens):
    assert attention_choice(CONFIG, "auto", dtype="float32", length=14).name == "tiled"
    with pytest.raises(ConfigError, match=r"attention: cudnn can't run here: .*CUDA GPU"):
        attention_choice(CONFIG, "cudnn", dtype="bfloat16", length=14)
    with pytest.raises(ConfigError, match="attention: cudnn can't run here"):
        states(params, CONFIG, tokens, attention="cudnn")


@pytest.mark.parametrize("attention", ["xla", "tiled"])
def test_it_runs_under_strict_promotion(attention):
    config = DecoderConfig.gemma(vocab_size=50, width=24, layers=2, heads=4)
    shapes = jax.eval_shape(lambda: initial_params(jax.random.key(0), config, dtype="bfloat16"))

    def total(params, tokens, segments):
        hidden = states(params, config, tokens, segments=segments, attention=attention)
        return jnp.sum(logits(params, config, hidden))

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        jax.eval_shape(jax.grad(total), shapes, SEGMENTS, SEGMENTS)
