"""The decoder as configs name it."""

from __future__ import annotations

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.config import check
from jaxtrain.config.tree import ConfigDict
from jaxtrain.errors import ConfigError, DataError
from jaxtrain.models import MODELS, decoder_files, hf
from jaxtrain.models.causal_lm import config_of, fill
from jaxtrain.models.decoder import DecoderConfig, Llama3Scaling, initial_params
from jaxtrain.run.registries import REGISTRIES

SIZES = {"width": 32, "layers": 2, "heads": 4}


@pytest.fixture
def batch():
    inputs, labels = np.random.default_rng(0).integers(0, 50, (2, 3, 20), dtype=np.int32)
    return {"inputs": inputs, "labels": labels}


def section(**options):
    config = ConfigDict({"model": {"name": "decoder", **SIZES, **options}})
    return check(config, REGISTRIES).model


@pytest.mark.parametrize(("family", "tied"), [("llama", False), ("gemma", True)])
def test_a_config_names_a_family(batch, family, tied):
    model = MODELS.build(section(family=family, kv_heads=2), num_outputs=50)
    params = model.init(jax.random.key(0), batch)["params"]
    assert ("head" not in params) == tied
    assert params["layers"]["attention"]["k"]["kernel"].shape == (2, 32, 16)
    start = 0.0 if family == "gemma" else 1.0
    assert (params["norm"]["scale"] == start).all()


def test_a_config_may_say_everything(batch):
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 4,
    }
    given = section(
        family="gemma",
        kv_heads=4,
        head_dim=6,
        hidden=48,
        tied=False,
        norm_eps=1e-4,
        rope_theta=500.0,
        rope_scaling=scaling,
        max_length=64,
        form="unroll",
        remat="dots",
        attention="xla",
        param_dtype="bfloat16",
    )
    model = MODELS.build(given, num_outputs=50)
    variables = model.init(jax.random.key(0), batch)
    assert variables["params"]["layers"]["mlp"]["up"]["kernel"].shape == (2, 32, 48)
    assert variables["params"]["layers"]["attention"]["q"]["kernel"].shape == (2, 32, 24)
    assert variables["params"]["head"]["kernel"].dtype == jnp.bfloat16
    plain = MODELS.build(section(**(given.model_dump() | {"rope_scaling": None})), num_outputs=50)
    found, unscaled = (
        jax.jit(m.apply, static_argnames="train")(variables, batch, train=False)[0]["nll"]
        for m in (model, plain)
    )
    assert not np.array_equal(found, unscaled)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"family": "lama"}, "family"),
        ({"attention": "flash"}, "attention"),
        ({"kv_heads": 0}, "kv_heads"),
        ({"rope_scaling": {"factor": 8.0}}, "rope_scaling"),
        ({"rope_scaling": {"facto": 8.0}}, "rope_scaling"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(ConfigError, match=f"model.{message}"):
        section(**options)


def test_sizes_that_do_not_go_together_are_an_error_of_the_config():
    with pytest.raises(ConfigError, match="kv_heads: expected a divisor of heads=4, found 3"):
        MODELS.build(section(kv_heads=3), num_outputs=50)


@pytest.mark.parametrize(
    "options",
    [
        {"family": "gemma", "kv_heads": 1, "head_dim": 4, "tied": False},
        {"norm_eps": 1e-3, "rope_theta": 50.0, "hidden": 20},
        {
            "rope_scaling": {
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            }
        },
    ],
    ids=str,
)
def test_every_option_of_the_section_is_in_its_sizes(options, monkeypatch):
    """Against what the component itself makes of it."""
    made = []
    monkeypatch.setattr(
        sys.modules[config_of.__module__], "decoder", lambda config, **_: made.append(config)
    )
    given = section(**options)
    with pytest.raises(ConfigError, match="None"):  # which the decoder's stand-in returns
        MODELS.build(given, num_outputs=9)
    assert config_of(given, 9) == made[0] != config_of(section(), 9)


def test_a_model_may_have_more_tokens_than_the_tokenizer():
    assert config_of(section(vocab_size=64), 50).vocab_size == 64
    assert config_of(section(vocab_size=50), 50).vocab_size == 50
    with pytest.raises(ConfigError, match=r"vocab_size: expected at least 50.* found 49"):
        config_of(section(vocab_size=49), 50)


# -- weights -------------------------------------------------------------------------------------

LLAMA = DecoderConfig.llama(
    vocab_size=64,
    width=16,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=6,
    hidden=24,
    norm_eps=3e-6,
    rope_theta=777.0,
    rope_scaling=Llama3Scaling(
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=16,
    ),
    max_length=128,
)
GEMMA = DecoderConfig.gemma(vocab_size=64, width=16, layers=1, heads=2, hidden=24)


@pytest.fixture
def files(tmp_path):
    """files(config): a directory of such a model, in bfloat16."""

    def make(config=LLAMA, name="model"):
        params = initial_params(jax.random.key(7), config)
        hf.save(tmp_path / name, config, params, dtype="bfloat16")
        return str(tmp_path / name)

    return make


def weighted(path, **options):
    config = ConfigDict({"model": {"name": "decoder", "weights": path, **options}})
    return check(config, REGISTRIES).model


def errors_of(**options):
    with pytest.raises(ConfigError) as caught:
        check(ConfigDict({"model": {"name": "decoder", **options}}), REGISTRIES)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("config", [LLAMA, GEMMA], ids=["llama", "gemma"])
def test_what_a_config_leaves_out_is_that_of_the_files(files, config):
    given = weighted(files(config))
    assert config_of(given, 50) == config
    # All of it stands in what is kept, as a config may say it.
    written = given.model_dump()
    unsaid = [name for name, value in written.items() if value is None]
    assert unsaid == ([] if config.rope_scaling else ["rope_scaling"])
    again = check(ConfigDict({"model": written}), REGISTRIES).model
    assert again == given
    assert config_of(again, 50) == config


def test_what_it_says_as_the_files_do_is_no_error(files):
    path = files()
    plain = weighted(path)
    said = {"family": "llama", "width": 16, "norm_eps": 3e-6, "kv_heads": None}
    assert weighted(path, **said) == plain
    scaling = dict(plain.model_dump()["rope_scaling"])
    assert weighted(path, rope_scaling=scaling) == plain


def test_every_size_that_differs_is_listed(files):
    path = files()
    found = errors_of(
        weights=path, family="gemma", width=32, layers=2, tied=True, vocab_size=50, norm_eps=1e-5
    )
    assert found == [
        f"config: model.family: expected 'llama', as {path} says, found 'gemma'",
        f"config: model.width: expected 16, as {path} says, found 32",
        f"config: model.tied: expected False, as {path} says, found True",
        f"config: model.vocab_size: expected 64, as {path} says, found 50",
        f"config: model.norm_eps: expected 3e-06, as {path} says, found 1e-05",
    ]
    (scaled,) = errors_of(
        weights=path, rope_scaling={**weighted(path).model_dump()["rope_scaling"], "factor": 4.0}
    )
    assert "model.rope_scaling: expected {'factor': 8.0" in scaled
    (unscaled,) = errors_of(weights=path, rope_scaling=None)
    assert "model.rope_scaling: expected {'factor': 8.0" in unscaled
    assert unscaled.endswith("found None")
    assert weighted(files(GEMMA, "gemma"), rope_scaling=None).rope_scaling is None


def test_without_weights_the_sizes_are_missing(files):
    found = errors_of(heads=2)
    said = "missing; expected a whole number of at least 1, or model.weights, whose files would say"
    assert [line.split(" it")[0] for line in found] == [
        f"config: model.width: {said}",
        f"config: model.layers: {said}",
    ]
    with pytest.raises(ConfigError, match=r"model\.layers: missing; expected .*model\.weights"):
        MODELS["decoder"](50, width=16, heads=2)
    assert errors_of(weights=3) == ["config: model.weights: expected text, or null, found 3"]
    assert any("did you mean 'width'" in line for line in errors_of(weights=files(), wdith=3))


def test_a_config_that_is_complete_needs_no_files(files, monkeypatch):
    complete = weighted(files()).model_dump()
    monkeypatch.setattr(decoder_files, "read_config", None)
    gone = complete | {"weights": "gone"}
    given = check(ConfigDict({"model": gone}), REGISTRIES).model
    assert config_of(given, 50) == LLAMA
    model = MODELS.build(given, num_outputs=50)
    assert model.load is not None
    for name in ("family", "width", "vocab_size", "tied"):
        with pytest.raises(ConfigError, match="TypeError"):  # the files are asked for
            check(ConfigDict({"model": gone | {name: None}}), REGISTRIES)


def test_one_path_is_written_in_one_way(files):
    path = files()
    assert weighted(f"{path}//").weights == weighted(path).weights == path
    complete = weighted(path).model_dump() | {"weights": "/"}
    assert check(ConfigDict({"model": complete}), REGISTRIES).model.weights == "/"


def test_that_there_is_no_scaling_is_complete(files):
    given = weighted(files(GEMMA)).model_dump()
    assert given["rope_scaling"] is None
    assert fill(given | {"weights": "gone"}) == {}
    del given["rope_scaling"]
    assert fill(given)["rope_scaling"] is None
    (said,) = errors_of(**(given | {"weights": "gone"}))
    assert "gone: there is no such directory; set model.weights to where they lie" in said


def test_files_that_are_none_of_a_decoder(files, tmp_path):
    path = tmp_path / "model"
    files()
    (path / "config.json").write_text('{"model_type": "mixtral"}')
    (said,) = errors_of(weights=str(path))
    assert said.endswith("config.json: model_type: expected llama or gemma, found 'mixtral'")
    assert said.startswith(f"config: model.weights: {path}")
    (path / "config.json").unlink()
    (said,) = errors_of(weights=str(path))
    assert "config.json: there is no such file" in said
    (tmp_path / "torn.bin").write_bytes(b"\0" * 28)
    with pytest.raises(DataError, match=r"torn\.bin: is no checkpoint of llama2\.c"):
        weighted(str(tmp_path / "torn.bin"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_are_loaded_as_they_are_trained(files, batch, dtype):
    path = files()
    model = MODELS.build(weighted(path, param_dtype=dtype), num_outputs=50)
    params = model.load()
    expected = hf.load(path)[1]
    for found, own in zip(jax.tree.leaves(params), jax.tree.leaves(expected), strict=True):
        assert found.dtype == jnp.dtype(dtype)
        assert own.dtype == jnp.bfloat16
        np.testing.assert_array_equal(found.astype(jnp.float32), own.astype(jnp.float32))
    made = jax.eval_shape(model.init, jax.random.key(0), batch)["params"]
    assert jax.tree.map(lambda x: (x.shape, x.dtype), params) == jax.tree.map(
        lambda x: (x.shape, x.dtype), made
    )
    assert model.digests() == decoder_files.digests(path)


def test_other_files_at_the_same_place_are_told_when_they_are_loaded(files, tmp_path):
    """A config that says all sizes is checked without the files."""
    given = weighted(files())
    (tmp_path / "model").rename(tmp_path / "before")
    files(dataclasses.replace(LLAMA, hidden=32, rope_scaling=None))
    model = MODELS.build(given, num_outputs=50)
    with pytest.raises(ConfigError) as caught:
        model.load()
    hidden, scaling = sorted(str(caught.value).splitlines())
    assert hidden.startswith("model.hidden: expected 32, as ")
    assert hidden.endswith("found 24")
    assert scaling.startswith("model.rope_scaling: expected None, as ")


def test_without_weights_there_is_nothing_to_load():
    model = MODELS.build(section(), num_outputs=50)
    assert (model.load, model.digests) == (None, None)


def test_a_tokenizer_with_more_tokens_than_the_files(files):
    given = weighted(files())
    with pytest.raises(ConfigError, match=r"vocab_size: expected at least 65, .* found 64"):
        MODELS.build(given, num_outputs=65)
