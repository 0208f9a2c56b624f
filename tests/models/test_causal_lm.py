"""The decoder as configs name it."""

from __future__ import annotations

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrain.config import check
from jaxtrain.config.tree import ConfigDict
from jaxtrain.errors import ConfigError
from jaxtrain.models import MODELS
from jaxtrain.models.causal_lm import config_of
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
