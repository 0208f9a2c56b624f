import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.models.decoder import DecoderConfig, decoder, flops_per_token, trunk
from jaxtrain.step import forward

SIZES = {"width": 32, "layers": 2, "heads": 4}
CONFIG = DecoderConfig.llama(vocab_size=50, **SIZES)


@pytest.fixture
def batch():
    inputs, labels = np.random.default_rng(0).integers(0, 50, (2, 3, 20), dtype=np.int32)
    return {"inputs": inputs, "labels": labels}


@pytest.mark.parametrize("tied", [False, True])
def test_labels_give_the_losses_of_the_logits(batch, tied):
    model = decoder(DecoderConfig.llama(vocab_size=50, **SIZES, tied=tied))
    variables = model.init(jax.random.key(0), batch)
    run = jax.jit(model.apply, static_argnames="train")
    scores = run(variables, {"inputs": batch["inputs"]}, train=False)[0]["logits"]
    outputs, updated = run(variables, batch, train=True)
    log_z = jax.nn.logsumexp(scores, axis=-1)
    label = np.take_along_axis(np.asarray(scores), batch["labels"][..., None], -1)[..., 0]
    assert set(outputs) == {"nll", "log_z", "correct"}
    np.testing.assert_allclose(outputs["nll"], log_z - label, rtol=1e-5)
    np.testing.assert_allclose(outputs["log_z"], log_z, rtol=1e-5)
    np.testing.assert_array_equal(outputs["correct"], scores.argmax(-1) == batch["labels"])
    assert updated == {}


@pytest.mark.parametrize("tied", [False, True])
def test_how_far_it_is_from_another(batch, tied):
    model = decoder(DecoderConfig.llama(vocab_size=50, **SIZES, tied=tied))
    other, own = (
        jax.tree.map(lambda p: 10 * p, model.init(jax.random.key(k), batch)) for k in (0, 1)
    )
    run = jax.jit(model.apply, static_argnames="train")
    given = {"inputs": batch["inputs"]}
    log_p, log_q = (
        jax.nn.log_softmax(run(v, given, train=False)[0]["logits"]) for v in (other, own)
    )
    both = jax.jit(model.apply_with_kl, static_argnames="train")
    outputs, updated, kl = both(own, other, batch, train=True)
    expected = (np.exp(log_p) * (log_p - log_q)).sum(-1)
    assert expected.mean() > 0.1
    np.testing.assert_allclose(kl, expected, rtol=1e-3, atol=1e-3)
    for name, value in run(own, batch, train=True)[0].items():
        np.testing.assert_allclose(outputs[name], value, rtol=1e-5)
    assert updated == {}
    assert both(own, other, given, train=True)[0].keys() == {"logits"}


def test_segments_and_positions_of_the_batch_are_read(batch):
    model = decoder(CONFIG)
    variables = jax.tree.map(lambda p: 10 * p, model.init(jax.random.key(0), batch))
    run = jax.jit(model.apply, static_argnames="train")
    plain, _ = run(variables, batch, train=False)
    packed = batch | {"segments": np.tile(np.repeat([1, 2], 10), (3, 1)).astype(np.int32)}
    found, _ = run(variables, packed, train=False)
    np.testing.assert_allclose(found["nll"][:, :10], plain["nll"][:, :10], rtol=1e-5)
    assert np.abs(found["nll"][:, 10:] - plain["nll"][:, 10:]).max() > 1e-2
    moved = batch | {"positions": np.tile(3 * np.arange(20, dtype=np.int32), (3, 1))}
    assert np.abs(run(variables, moved, train=False)[0]["nll"] - plain["nll"]).max() > 1e-2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_policy_narrows_what_is_computed(batch, precision):
    model = decoder(CONFIG)
    variables = model.init(jax.random.key(0), batch)
    narrow, wide = (
        jax.jit(forward(model, p), static_argnames="train")(variables, batch, train=True).outputs
        for p in (precision, "float32")
    )
    assert {x.dtype for x in jax.tree.leaves(narrow)} == {jnp.dtype("float32")}
    assert 0 < np.abs(narrow["nll"] - wide["nll"]).max() < 0.02


def test_parameters_are_made_in_the_dtype_asked_for(batch):
    variables = decoder(CONFIG, param_dtype="bfloat16").init(jax.random.key(0), batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("bfloat16")}


def shapes(length, packed):
    names = ("inputs", "labels", *(("segments", "positions") if packed else ()))
    return {name: jax.ShapeDtypeStruct((3, length), jnp.int32) for name in names}


@pytest.mark.parametrize(
    ("dtype", "packed", "expected"),
    [
        ("bfloat16", False, "cudnn (bfloat16, heads of 8, one document a row)"),
        ("bfloat16", True, "tiled (no scores [64, 64] are kept"),
        ("float32", False, "tiled (no scores [64, 64] are kept"),
    ],
)
def test_what_is_decided_is_told_of_the_batch_and_the_dtype(monkeypatch, dtype, packed, expected):
    gpu = {"platform": "gpu", "compute_capability": "9.0"}
    monkeypatch.setattr(trunk, "device_facts", lambda: gpu)
    facts = decoder(CONFIG, remat="mlp").facts(shapes(64, packed), dtype)
    assert facts["attention"].startswith(expected)
    assert ("segments" in facts["attention"]) == packed
    assert facts["remat"] == "mlp (a layer keeps all but the inside of its feed-forward)"


@pytest.mark.parametrize("attention", ["xla", "tiled"])
def test_operations_are_those_of_the_batch_s_length(attention):
    model = decoder(CONFIG, remat="dots", attention=attention)
    expected = flops_per_token(CONFIG, 64, remat="dots", attention=attention)
    assert model.flops(shapes(64, False), "float32") == expected
    assert expected.again > flops_per_token(CONFIG, 64, attention=attention).again


def test_rows_longer_than_the_model_is_meant_for_are_refused(batch):
    exact = DecoderConfig.llama(vocab_size=50, **SIZES, max_length=20)
    decoder(exact).init(jax.random.key(0), batch)
    short = DecoderConfig.llama(vocab_size=50, **SIZES, max_length=19)
    with pytest.raises(ConfigError, match=r"rows of 20 tokens are longer .* max_length=19"):
        decoder(short).init(jax.random.key(0), batch)
