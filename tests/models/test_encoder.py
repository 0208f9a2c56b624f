import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxtrain.errors import ConfigError
from jaxtrain.models import Encoder, encoder
from jaxtrain.models.encoder import mean_of_real
from jaxtrain.models.positions import sinusoids

SIZES = {"width": 8, "layers": 2, "heads": 2, "feed_forward": 12}
LENGTHS = np.array([6, 2, 5, 1])
TOKENS = np.random.default_rng(0).integers(0, 9, (4, 6), dtype=np.int32)
FEATURES = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
CASES = {
    "pre-norm, GELU, learned, mean": {"norm": "pre"},
    "post-norm, ReLU, waves, class token": {
        "norm": "post",
        "activation": "relu",
        "positions": "sinusoidal",
        "pooling": "class_token",
    },
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("inputs", [TOKENS, FEATURES], ids=["tokens", "features"])
def test_it_is_torchs(case, inputs):
    pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    from tests.models.theirs.sequences import EncoderNet, compare, params_of_encoder

    options = {"activation": "gelu", "positions": "learned", "pooling": "mean", **CASES[case]}
    kind = {"vocabulary": 9} if inputs.ndim == 2 else {}
    given = {**options, **(kind or {"features": 3})}
    given["positions"] = 10
    if options["positions"] == "sinusoidal":
        given["positions"] = np.array(sinusoids(6, 8))
    theirs = EncoderNet(*SIZES.values(), 3, **given)
    model = encoder(3, **SIZES, **options, **kind, max_length=10, dropout=0.0)
    compare(model, theirs, params_of_encoder, inputs, LENGTHS)


def test_it_is_as_large_as_torchs():
    torch = pytest.importorskip("torch", reason="the peers extra installs PyTorch")
    with torch.device("meta"):
        layer = torch.nn.TransformerEncoderLayer(128, 4, 512)
    layers = 2 * sum(p.numel() for p in layer.parameters())
    tokens = {"inputs": jnp.zeros((1, 4), jnp.int32)}

    def count(**options):
        model = encoder(7, vocabulary=50, **options)
        shapes = jax.eval_shape(model.init, jax.random.key(0), tokens)["params"]
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    outer = 50 * 128 + 128 * 7 + 7
    assert count() == layers + outer + 512 * 128 + 2 * 128
    waves = {"positions": "sinusoidal", "norm": "post"}
    assert count(**waves) == layers + outer
    assert count(**waves, pooling="class_token") == layers + outer + 128


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_padding_changes_no_bit(pooling):
    model = encoder(3, **SIZES, pooling=pooling, lengths="n")
    lengths = jnp.array([6, 2, 5, 0])
    real = jnp.arange(6) < lengths[:, None]
    batch = {"inputs": jnp.asarray(FEATURES), "n": lengths}
    variables = jax.jit(model.init)(jax.random.key(0), batch)

    @jax.jit
    def both(inputs):
        def loss(params, inputs):
            outputs, _ = model.apply({"params": params}, {**batch, "inputs": inputs}, train=False)
            return (outputs**2).sum(), outputs

        found = jax.value_and_grad(loss, (0, 1), has_aux=True)(variables["params"], inputs)
        return found[0][1], found[1]

    outputs, gradients = both(batch["inputs"])
    assert np.isfinite(outputs).all()
    for spoilt in (1e30, jnp.nan):
        same, same_gradients = both(jnp.where(real[..., None], batch["inputs"], spoilt))
        np.testing.assert_array_equal(outputs, same)
        jax.tree.map(np.testing.assert_array_equal, gradients, same_gradients)
    assert not gradients[1][~real].any()
    assert gradients[1][real].any(axis=-1).all()


def test_padding_tokens_need_no_mask():
    tokens = jnp.asarray(TOKENS).at[:, 4:].set(0)
    options = {**SIZES, "vocabulary": 9, "dropout": 0.0}
    model = encoder(3, **options, padding_token=0)
    variables = jax.jit(model.init)(jax.random.key(0), {"inputs": tokens})
    found, _ = model.apply(variables, {"inputs": tokens}, train=False)
    shorter, _ = model.apply(variables, {"inputs": tokens[:, :4]}, train=False)
    np.testing.assert_allclose(found, shorter, rtol=1e-5, atol=1e-6)
    masked = {"inputs": tokens, "mask": tokens != 0}
    plain = encoder(3, **options)
    np.testing.assert_array_equal(found, plain.apply(variables, masked, train=False)[0])
    assert not np.allclose(found, plain.apply(variables, {"inputs": tokens}, train=False)[0])


def test_the_mean_of_nothing_is_zero():
    hidden = jnp.arange(12.0).reshape(2, 3, 2)
    real = jnp.array([[True, False, True], [False, False, False]])
    np.testing.assert_array_equal(mean_of_real(hidden, real), [[2, 3], [0, 0]])
    np.testing.assert_array_equal(mean_of_real(hidden, None), hidden.mean(axis=1))


def test_the_function_hands_on_its_options(monkeypatch):
    module = importlib.import_module("jaxtrain.models.encoder")
    monkeypatch.setattr(module, "from_linen", lambda made, inputs: (made, inputs))
    options = {
        **SIZES,
        "norm": "post",
        "activation": "relu",
        "positions": "sinusoidal",
        "max_length": 7,
        "pooling": "class_token",
        "dropout": 0.3,
        "stochastic_depth": 0.2,
        "vocabulary": 9,
        "padding_token": 1,
    }
    assert encoder(3, **options, lengths="n") == (Encoder(3, **options), ["inputs", "n"])
    assert encoder(3) == (Encoder(3), ["inputs"])


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match=r"model.heads: expected .* divides model.width=8, found"):
        encoder(3, width=8, heads=3)
    long = {"inputs": jnp.zeros((1, 5), jnp.int32)}
    with pytest.raises(ConfigError, match=r"model.max_length: .* 5 steps, .* learned for 4; .*"):
        encoder(3, **SIZES, vocabulary=9, max_length=4).init(jax.random.key(0), long)
    jax.eval_shape(encoder(3, **SIZES, vocabulary=9, max_length=5).init, jax.random.key(0), long)


def test_later_layers_are_left_out_of_more_rows_and_the_start_is_dropped():
    module = Encoder(3, **SIZES, stochastic_depth=0.4, dropout=0.5)
    seen = {}

    def note(call, args, kwargs, context):
        if type(context.module).__name__ == "EncoderLayer":
            seen[context.module.name] = context.module.stochastic_depth
        return call(*args, **kwargs)

    with nn.intercept_methods(note):
        variables = module.init(jax.random.key(0), jnp.asarray(FEATURES), train=False)
    assert seen == {"layer_0": 0.2, "layer_1": 0.4}
    # Without layers' own dropout: an encoder whose layers add nothing still drops vectors.
    for layer in ("layer_0", "layer_1"):
        params = variables["params"][layer]
        params["attention"]["out"]["kernel"] *= 0
        params["project"]["kernel"] *= 0
    run = lambda key: module.apply(  # noqa: E731
        variables, jnp.asarray(FEATURES), train=True, rngs={"dropout": key}
    )
    assert not np.allclose(run(jax.random.key(1)), run(jax.random.key(2)))


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5, "stochastic_depth": 0.2, "pooling": "class_token"},
        {"norm": "post", "positions": "sinusoidal"},
    ],
)
def test_it_runs_under_strict_promotion_and_computes_in_the_parameters_precision(options):
    model = encoder(3, **SIZES, **options)
    batch = {"inputs": jnp.asarray(FEATURES), "mask": jnp.ones((4, 6))}

    def trained(variables, batch):
        return model.apply(variables, batch, train=True, rngs={"dropout": jax.random.key(1)})[0]

    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        shapes = jax.eval_shape(model.init, jax.random.key(0), batch)
        assert jax.eval_shape(trained, shapes, batch).dtype == jnp.float32
    # Linen's own norms promote narrow inputs implicitly.
    low = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, jnp.bfloat16), shapes)
    given = {**batch, "inputs": batch["inputs"].astype(jnp.bfloat16)}
    assert jax.eval_shape(trained, low, given).dtype == jnp.bfloat16
