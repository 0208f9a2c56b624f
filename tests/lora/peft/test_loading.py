"""What is read of an adapter's files, and what is refused by name."""

from __future__ import annotations

import dataclasses
import json
import shutil
import struct

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxtrain import lora
from jaxtrain.errors import ConfigError, DataError, DataNotFoundError, JaxtrainError
from jaxtrain.models.decoder import initial_params
from jaxtrain.step import create_train_state, make_train_step, next_token
from tests.lora import small
from tests.lora.peft.files import (
    CONFIG,
    KEY,
    OPTIONS,
    TENSORS,
    change_entries,
    change_tensors,
    written,
)


def load(path, **options):
    return lora.load_lora(path, small.params(), **options)


def refused(path, error, match, **options):
    with pytest.raises(error, match=match) as found:
        load(path, **options)
    assert "\n" not in str(found.value)


def same(one, other):
    """Also where padding is -0.0 in one of them."""
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_what_is_loaded_does_what_was_saved(tmp_path):
    adapter = small.adapter()
    path = lora.save_lora(tmp_path / "a", adapter, params=small.params())
    loaded = load(path)
    assert (loaded.targets, loaded.trainable) == (adapter.targets, False)
    same(loaded.factors, adapter.factors)
    merged = [lora.merge(small.params(), each) for each in (adapter, loaded)]
    assert small.same_bits(*merged)


def test_shapes_are_enough(tmp_path):
    shapes = jax.eval_shape(small.params)
    assert lora.load_lora(written(tmp_path), shapes).targets == load(tmp_path / "adapter").targets


def test_factors_are_float32_whatever_the_file_has(tmp_path):
    adapter = small.adapter()
    path = lora.save_lora(tmp_path / "a", adapter, params=small.params(), dtype="bfloat16")
    loaded = load(path)
    for mine, theirs in zip(jax.tree.leaves(adapter), jax.tree.leaves(loaded), strict=True):
        assert theirs.dtype == jnp.float32
        np.testing.assert_array_equal(mine.astype(jnp.bfloat16).astype(jnp.float32), theirs)


def train(adapter):
    model = lora.model(small.MODEL, adapter.config)
    batch, tx = small.batch(), optax.sgd(0.1)
    state = create_train_state(
        model, tx, batch, rng=jax.random.key(0), params=adapter, frozen=small.params()
    )
    return make_train_step(model, next_token(), tx)(state, batch)[0].params


def test_one_that_is_not_to_be_trained_is_not(tmp_path):
    path = written(tmp_path)
    with pytest.raises(ConfigError, match="trainable=True"):
        train(load(path))
    adapter = load(path, trainable=True)
    moved = train(adapter)
    assert not small.same_bits(moved.factors, adapter.factors)
    assert moved.trainable
    again = dataclasses.replace(moved, trainable=False)
    lora.save_lora(tmp_path / "again", again, params=small.params())  # saved it may be
    model = lora.model(small.MODEL, again.config)
    variables = {"params": again, "frozen": small.params()}
    model.apply(variables, small.batch(), train=False)  # and looked at


def test_nothing_there(tmp_path):
    refused(tmp_path / "none", DataNotFoundError, "none: there is no such directory")
    refused(tmp_path, DataNotFoundError, f"{CONFIG}: there is no such file")
    path = written(tmp_path)
    (path / TENSORS).unlink()
    refused(path, DataNotFoundError, f"{TENSORS}: there is no such file")


@pytest.mark.parametrize("name", ["adapter_model.bin", "adapter_model.pt"])
def test_a_pickle_is_not_read(tmp_path, name):
    path = written(tmp_path)
    (path / TENSORS).rename(path / name)
    refused(path, ConfigError, f"found {name}, and no {TENSORS}.*would execute")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("{", "not valid JSON"),
        ('{"peft_type": "LORA", "peft_type": "LORA"}', "'peft_type' is there twice"),
        ("[" * 100_000, "not valid JSON"),
        ('{"peft_type": "LORA", "r": NaN}', "r: expected a whole number"),
    ],
)
def test_a_config_that_is_none(tmp_path, text, match):
    path = written(tmp_path)
    (path / CONFIG).write_text(text)
    refused(path, ConfigError, f"{CONFIG}: .*{match}|{CONFIG}: {match}")


def test_a_target_without_factors(tmp_path):
    path = change_entries(written(tmp_path), {"target_modules": ["q_proj", "v_proj", "k_proj"]})
    refused(path, DataError, "no factors of 'model.layers.0.self_attn.k_proj', .*config means")


def test_factors_of_what_is_no_target(tmp_path):
    path = change_entries(written(tmp_path), {"target_modules": ["q_proj"]})
    refused(path, DataError, "has factors of 'model.layers.0.self_attn.v_proj', ")


def test_a_target_that_there_is_not(tmp_path):
    path = change_entries(written(tmp_path), {"target_modules": ["q_proj", "v_proj", "c_attn"]})
    refused(path, ConfigError, "target_modules: 'c_attn' matches no module")


def test_no_targets_are_those_that_peft_would_take(tmp_path):
    path = change_entries(written(tmp_path), {"target_modules": None})
    assert len(list(load(path).modules())) == 6
    other = written(tmp_path / "other", targets=("q",))
    change_entries(other, {}, without=("target_modules",))
    refused(other, DataError, "no factors of 'model.layers.0.self_attn.v_proj'")


def test_layers_that_the_file_does_not_have(tmp_path):
    path = change_entries(written(tmp_path), {"layers_to_transform": [0, 1]})
    refused(path, DataError, "has factors of 'model.layers.2.self_attn.q_proj'")
    path = change_entries(written(tmp_path / "b", layers=(0, 1)), {"layers_to_transform": None})
    refused(path, DataError, "no factors of 'model.layers.2.self_attn.q_proj'")


def test_a_missing_factor(tmp_path):
    path = change_tensors(written(tmp_path), lambda t: t.pop(KEY.format(1, "v", "B")))
    refused(path, DataError, "missing: 'base_model.model.model.layers.1.self_attn.v_proj.lora_B")
    path = change_tensors(written(tmp_path / "b"), lambda t: t.pop(KEY.format(1, "v", "A")))
    refused(path, DataError, "missing: 'base_model.model.model.layers.1.self_attn.v_proj.lora_A")


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("model.layers.0.self_attn.q_proj.lora_A.weight", "is no factor.*expected names such as"),
        ("base_model.model.layers.0.self_attn.q_proj.lora_A.weight", "there is no module"),
        (KEY.format(0, "q", "A.default"), "is no factor"),
        (KEY.format(7, "q", "A"), "there is no module 'model.layers.7.self_attn.q_proj'"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_B.bias", "is no factor"),
        ("base_model.model.lm_head.weight", "is not the weight that params have"),
        ("base_model.model.model.norm.weight", "is no factor"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector", "use_dora"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_embedding_A", "there as"),
    ],
)
def test_a_tensor_too_many(tmp_path, key, match):
    def more(tensors):
        tensors[key] = np.ones((31, 16), np.float32)

    path = change_tensors(written(tmp_path), more)
    refused(path, DataError, f"tensor .*{match}")


def test_all_keys_without_the_prefix(tmp_path):
    """PEFT warns, and goes on with an adapter that does nothing."""

    def stripped(tensors):
        for key in list(tensors):
            tensors[key.removeprefix("base_model.model.")] = tensors.pop(key)

    path = change_tensors(written(tmp_path), stripped)
    refused(path, DataError, "is no factor of a module here; expected names such as base_model")


def test_a_copy_of_the_base_says_nothing_and_another_base_is_refused(tmp_path):
    key = "base_model.model.model.embed_tokens.base_layer.weight"
    embedding = np.asarray(small.params()["embedding"]["embedding"])
    path = change_tensors(written(tmp_path), lambda t: t.__setitem__(key, embedding))
    same(load(path).factors, small.adapter(**OPTIONS).factors)
    with pytest.raises(ConfigError, match=r"embedding/embedding: there is a copy.*give arrays"):
        lora.load_lora(path, jax.eval_shape(small.params))
    narrow = jnp.asarray(embedding).astype(jnp.bfloat16)
    change_tensors(path, lambda t: t.__setitem__(key, np.asarray(narrow)))
    load(path)
    other = embedding.copy()
    other[3, 4] += 0.01
    change_tensors(path, lambda t: t.__setitem__(key, other))
    refused(path, DataError, "embed_tokens.base_layer.weight': is not the weight that params have")
    change_tensors(path, lambda t: t.__setitem__(key, embedding[:-1].copy()))
    refused(path, DataError, "is not the weight that params have")


def test_an_adapter_of_another_base(tmp_path):
    def wider(tensors):
        key = KEY.format(2, "v", "B")
        tensors[key] = np.concatenate([tensors[key]] * 2)

    path = change_entries(written(tmp_path), {"base_model_name_or_path": "someone/Large"})
    change_tensors(path, wider)
    refused(
        path,
        DataError,
        r"v_proj.lora_B.weight': expected \[8, 3\], .* found \[16, 3\]; .*'someone/Large'",
    )


def test_a_rank_that_the_config_does_not_say(tmp_path):
    path = change_entries(written(tmp_path), {"r": 4})
    refused(path, DataError, "q_proj': has factors of rank 3, and the config means 4")
    path = change_entries(written(tmp_path / "b"), {"rank_pattern": {"1.self_attn.v_proj": 2}})
    refused(path, DataError, "layers.1.self_attn.v_proj': has factors of rank 3, .* means 2")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite(tmp_path, value):
    def spoil(tensors):
        tensors[KEY.format(1, "q", "B")][2, 1] = value

    path = change_tensors(written(tmp_path), spoil)
    refused(path, DataError, "layers.1.self_attn.q_proj.lora_B.weight': holds NaN or Inf")


def test_a_dtype_that_is_no_float(tmp_path):
    def whole(tensors):
        key = KEY.format(0, "q", "A")
        tensors[key] = tensors[key].astype(np.int32)

    refused(change_tensors(written(tmp_path), whole), DataError, "dtype: expected one of")


def test_dora_without_magnitudes_and_magnitudes_without_dora(tmp_path):
    path = change_entries(written(tmp_path), {"use_dora": True})
    refused(path, DataError, "missing: .*q_proj.lora_magnitude_vector'")
    path = change_entries(written(tmp_path / "b", dora=True), {"use_dora": False})
    refused(path, DataError, "is a magnitude, and the config says that there is none")


def test_a_magnitude_under_the_name_that_it_has_in_memory(tmp_path):
    path = written(tmp_path, dora=True)
    before = load(path)

    def renamed(tensors):
        for key in [key for key in tensors if key.endswith("vector")]:
            tensors[f"{key}.weight"] = tensors.pop(key)

    same(load(change_tensors(path, renamed)).factors, before.factors)
    key = KEY.format(0, "q", "A").replace("lora_A.weight", "lora_magnitude_vector")
    change_tensors(path, lambda t: t.__setitem__(key, t[f"{key}.weight"]))
    refused(path, DataError, "magnitude_vector.*is there as")


def test_an_embedding_for_a_linear_layer(tmp_path):
    def renamed(tensors):
        for part in "AB":
            key = KEY.format(0, "q", part)
            tensors[key.replace(f"lora_{part}.weight", f"lora_embedding_{part}")] = tensors.pop(key)

    path = change_tensors(written(tmp_path), renamed)
    refused(path, DataError, "layers.0.attention.q is no embedding here; expected .*lora_A.weight")


@pytest.mark.parametrize("size", [0, 7, 20, 200, -1])
def test_a_truncated_file(tmp_path, size):
    path = written(tmp_path)
    data = (path / TENSORS).read_bytes()
    (path / TENSORS).write_bytes(data[:size])
    refused(path, DataError, f"{TENSORS}: .*truncated|{TENSORS}: truncated")


def test_a_header_that_lies(tmp_path):
    path = written(tmp_path)
    header = {KEY.format(0, "q", "A"): {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}
    raw = json.dumps(header).encode()
    (path / TENSORS).write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(8))
    refused(path, DataError, "takes .* bytes")


def test_a_tied_embedding_has_to_be_both(tmp_path):
    config = dataclasses.replace(small.CONFIG, tied=True)
    params = initial_params(jax.random.key(0), config)
    said = lora.LoRAConfig(rank=2, targets=("embedding", "q"), rank_pattern={"embedding": 3})
    adapter = small.trained(lora.init(jax.random.key(0), params, said))
    path = lora.save_lora(tmp_path / "a", adapter, params=params)
    same(lora.load_lora(path, params).factors, adapter.factors)

    def refused(match, error=ConfigError):
        with pytest.raises(error, match=match):
            lora.load_lora(path, params)

    entries = (path / CONFIG).read_text()
    assert json.loads(entries)["rank_pattern"] == {"embed_tokens": 3, "lm_head": 3}
    change_entries(path, {"rank_pattern": {"embed_tokens": 3}})
    refused(r"give model.embed_tokens rank and alpha \(3, 16.0\) and lm_head \(2, 16.0\)")
    (path / CONFIG).write_text(entries)
    change_entries(path, {"ensure_weight_tying": False})
    refused("adapts the embedding, which are one array here.*ensure_weight_tying")
    (path / CONFIG).write_text(entries)
    key = "base_model.model.lm_head.lora_A.weight"
    change_tensors(path, lambda t: t.__setitem__(key, 2 * t[key]))
    refused("lm_head.lora_A.weight': differs", DataError)
    change_tensors(path, lambda t: t.pop(key))
    refused("expected the factors of model.embed_tokens and of lm_head", DataError)
    dora = lora.init(jax.random.key(0), params, dataclasses.replace(said, dora=True))
    with pytest.raises(ConfigError, match="dora: the output head is the embedding"):
        lora.save_lora(tmp_path / "b", dora, params=params)


def test_pissa_wants_arrays_and_no_embedding(tmp_path):
    path = change_entries(written(tmp_path), {"init_lora_weights": "pissa"})
    with pytest.raises(ConfigError, match=r"layers/attention/q/kernel.*give arrays"):
        lora.load_lora(path, jax.eval_shape(small.params))
    path = written(tmp_path / "b", targets=("embedding", "q"))
    change_entries(path, {"init_lora_weights": "pissa"})
    refused(path, ConfigError, "pissa begins with a part of embedding/embedding here")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return written(tmp_path_factory.mktemp("whole"), targets=("q", "embedding"), dora=True)


FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def named_error_or_the_same(path, whole):
    try:
        loaded = load(path)
    except JaxtrainError as error:
        message = str(error)
    else:
        message = str(path)
        assert jax.tree.structure(loaded.factors) == jax.tree.structure(load(whole).factors)
    assert str(path) in message


@FUZZ
@given(
    place=st.integers(0, 10**9), byte=st.integers(0, 255), name=st.sampled_from([CONFIG, TENSORS])
)
def test_any_byte_may_be_another(whole, tmp_path, place, byte, name):
    path = tmp_path / "damaged"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, path)
    data = bytearray((path / name).read_bytes())
    data[place % min(len(data), 4000)] = byte
    (path / name).write_bytes(data)
    named_error_or_the_same(path, whole)


KEYS = st.sampled_from(
    ["r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "rank_pattern", "bias",
     "alpha_pattern", "layers_to_transform", "layers_pattern", "init_lora_weights", "use_dora",
     "use_rslora", "fan_in_fan_out", "base_model_name_or_path", "modules_to_save", "peft_type",
     "ensure_weight_tying", "task_type", "something"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 2**70), st.floats(), st.text(max_size=6),
    st.sampled_from(["q_proj", "all-linear", "(", "pissa", ".*", "LORA"]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=4,
)


@FUZZ
@given(changes=st.dictionaries(KEYS, VALUES, min_size=1, max_size=2))
def test_any_entry_may_be_another(whole, tmp_path, changes):
    path = tmp_path / "changed"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(whole, path)
    change_entries(path, changes)
    named_error_or_the_same(path, whole)
