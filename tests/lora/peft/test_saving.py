"""What is written of an adapter, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from safetensors.numpy import load_file

from jaxtrain import lora
from jaxtrain.errors import CheckpointError, ConfigError, DataError
from jaxtrain.lora.peft import saving
from tests.lora import small
from tests.lora.peft import net
from tests.lora.peft.files import CONFIG, KEY, TENSORS, change_entries, written


def save(path, adapter, **options):
    return lora.save_lora(path, adapter, **({"params": small.params()} | options))


def entries_of(path):
    return json.loads((path / CONFIG).read_text())


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_what_is_there_then(tmp_path):
    path = save(tmp_path / "a" / "b", small.adapter())
    assert path == tmp_path / "a" / "b"
    assert sorted(file.name for file in path.iterdir()) == [CONFIG, TENSORS]
    assert [file.name for file in path.parent.iterdir()] == ["b"]
    tensors = load_file(path / TENSORS)
    adapter = small.adapter()
    assert len(tensors) == 2 * len(list(adapter.modules()))
    module = next(m for m in adapter.modules() if m.name == "layers.2.attention.q")
    np.testing.assert_array_equal(tensors[KEY.format(2, "q", "A")], module.a.T)
    np.testing.assert_array_equal(tensors[KEY.format(2, "q", "B")], module.b.T)
    assert module.rank == 2


@pytest.mark.parametrize("kind", ["file", "full"])
def test_nothing_is_replaced(tmp_path, kind):
    target = tmp_path / "a"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="a: expected no such path"):
        save(target, small.adapter())
    kept = target if kind == "file" else target / "mine"
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no room")

    monkeypatch.setattr(saving, "write_tensors", full)
    with pytest.raises(CheckpointError, match="a: could not be written: no room"):
        save(tmp_path / "a", small.adapter())
    assert list(tmp_path.iterdir()) == []


def test_words_are_few_where_they_can_be(tmp_path):
    found = entries_of(written(tmp_path, targets=("q", "down"), layers=(0, 2), dropout=0.25))
    assert found["target_modules"] == ["down_proj", "q_proj"]
    assert found["layers_to_transform"] == [0, 2]
    assert (found["r"], found["lora_alpha"], found["lora_dropout"]) == (3, 6, 0.25)
    assert (found["rank_pattern"], found["alpha_pattern"]) == ({}, {})
    assert found["task_type"] == "CAUSAL_LM"
    assert "ensure_weight_tying" not in found


def test_a_base_is_told_and_kept(tmp_path):
    adapter = small.adapter()
    path = save(tmp_path / "a", adapter, base_model="google/gemma-2b")
    assert entries_of(path)["base_model_name_or_path"] == "google/gemma-2b"
    loaded = lora.load_lora(path, small.params())
    assert entries_of(save(tmp_path / "b", loaded)) == entries_of(path)
    other = save(tmp_path / "c", loaded, base_model="other")
    assert entries_of(other)["base_model_name_or_path"] == "other"


def test_words_that_no_longer_fit_are_not_kept(tmp_path):
    path = change_entries(written(tmp_path), {"target_modules": r".*\.[qv]_proj", "revision": "x"})
    loaded = lora.load_lora(path, small.params())
    assert entries_of(save(tmp_path / "b", loaded)) == entries_of(path)
    doubled = lora.combine([loaded, loaded], [0.5, 0.5], by="cat")
    again = dataclasses.replace(doubled, peft=loaded.peft)
    found = entries_of(save(tmp_path / "c", again))
    assert (found["target_modules"], found["r"], found["revision"]) == (
        ["q_proj", "v_proj"], 6, "x",
    )  # fmt: skip


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_in_another_dtype(tmp_path, dtype):
    adapter = small.adapter()
    tensors = load_file(save(tmp_path / "a", adapter, dtype=dtype) / TENSORS)
    module = next(m for m in adapter.modules() if m.name == "layers.2.attention.q")
    found = tensors[KEY.format(2, "q", "A")]
    assert found.dtype == jnp.dtype(dtype)
    np.testing.assert_array_equal(found, np.asarray(module.a).T.astype(found.dtype))


def changed(adapter, path, part, value):
    factors = {**adapter.factors, path: dict(adapter.factors[path])}
    factors[path][part] = factors[path][part].at[2, 1, 1].set(value)
    return dataclasses.replace(adapter, factors=factors)


@pytest.mark.parametrize(
    ("value", "dtype", "match"),
    [
        (np.nan, None, "b of layers.2.attention.q: holds NaN or Inf"),
        (np.inf, "float16", "b of layers.2.attention.q: holds NaN or Inf"),
        (1e5, "float16", r"b of layers.2.attention.q: holds 100000, .* 65504; bfloat16 has room"),
        (1.0, "float64", "dtype: expected one of"),
        (1.0, "int8", "dtype: expected one of"),
    ],
)
def test_numbers_that_can_not_be_written(tmp_path, value, dtype, match):
    adapter = changed(small.adapter(), "layers/attention/q/kernel", "b", value)
    with pytest.raises(ConfigError, match=match):
        save(tmp_path / "a", adapter, dtype=dtype)
    assert list(tmp_path.iterdir()) == []


def test_without_the_parameters(tmp_path):
    """A decoder's layers are known by their paths; what may be another's is not guessed."""
    adapter = small.adapter()
    path = lora.save_lora(tmp_path / "a", adapter)
    other = save(tmp_path / "b", adapter)
    assert (path / TENSORS).read_bytes() == (other / TENSORS).read_bytes()
    same(lora.load_lora(path, small.params()).factors, adapter.factors)
    for name in ("embedding", "head"):
        with pytest.raises(ConfigError, match=rf"params: {name}/.* may be of our decoder.*give"):
            lora.save_lora(tmp_path / "c", small.adapter(targets=("q", name), rank_pattern={},
                                                         alpha_pattern={}))  # fmt: skip


def test_parameters_of_another_model(tmp_path):
    with pytest.raises(ConfigError, match="made for another model"):
        save(tmp_path / "a", small.adapter(), params=net.params())


def test_pissa_wants_what_it_began_with(tmp_path):
    config = lora.LoRAConfig(rank=2, targets=("q",), init="pissa")
    rest, initial = lora.init_pissa(jax.random.key(0), small.params(), config)
    adapter = small.trained(initial)
    with pytest.raises(ConfigError, match=r"initial: this adapter began with a part of the base"):
        save(tmp_path / "a", adapter)
    path = save(tmp_path / "a", adapter, initial=initial)
    loaded = lora.load_lora(path, small.params())
    expected = lora.merge(rest, adapter)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-5),
        lora.merge(small.params(), loaded),
        expected,
    )
    with pytest.raises(ConfigError, match="nothing to take back"):
        save(tmp_path / "b", loaded, initial=initial)


@pytest.mark.parametrize("dora", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_any_tree_there_and_back(tmp_path, dora, known):
    """Embeddings, convolutions, attention, several axes of inputs or outputs."""
    adapter = net.adapter(dora=dora)
    path = lora.save_lora(tmp_path / "a", adapter, params=net.params())
    loaded = lora.load_lora(path, net.params() if known else jax.eval_shape(net.params))
    same(loaded.factors, adapter.factors)
    assert loaded.targets == adapter.targets
    tensors = load_file(path / TENSORS)
    assert tensors["base_model.model.Conv_0.lora_A.weight"].shape == (2, 3, 3, 2)
    assert tensors["base_model.model.embed.lora_embedding_A"].shape == (2, 7)
    assert entries_of(path)["task_type"] is None


def test_kernels_with_several_axes_of_inputs_want_the_parameters(tmp_path):
    with pytest.raises(ConfigError, match=r"params: .*Conv_0/kernel has 3 axes of inputs"):
        lora.save_lora(tmp_path / "a", net.adapter(targets=("Conv_0", "Dense_0"), in_axes={}))
    adapter = net.adapter(targets=("Dense_0", "embed"), in_axes={})
    same(
        lora.load_lora(lora.save_lora(tmp_path / "a", adapter), net.params()).factors,
        adapter.factors,
    )


class Nested(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4, name="up")(Inner(name="inner")(nn.Dense(4, name="down")(x)))


class Inner(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(4, name="up")(x)


def test_a_name_that_another_ends_in(tmp_path):
    """In a list "up" would mean "inner.up" as well."""
    params = Nested().init(jax.random.key(0), jnp.zeros((1, 4)))["params"]
    config = lora.LoRAConfig(rank=2, targets="up|down", rank_pattern={"^up": 3})
    adapter = small.trained(lora.init(jax.random.key(0), params, config))
    for name, given in (("a", params), ("b", None)):
        path = lora.save_lora(tmp_path / name, adapter, params=given)
        assert entries_of(path)["target_modules"] == "down|up"
        loaded = lora.load_lora(path, params)
        same(loaded.factors, adapter.factors)
        assert [m.name for m in loaded.modules()] == ["down", "up"]


@pytest.mark.parametrize("names", [{"up": "net.fc2"}, lambda name: f"net.{name}"])
def test_other_names(tmp_path, names):
    params = Nested().init(jax.random.key(0), jnp.zeros((1, 4)))["params"]
    config = lora.LoRAConfig(rank=2, targets="up")
    adapter = small.trained(lora.init(jax.random.key(0), params, config))
    path = lora.save_lora(tmp_path / "a", adapter, params=params, names=names)
    their = "net.fc2" if isinstance(names, dict) else "net.up"
    assert f"base_model.model.{their}.lora_A.weight" in load_file(path / TENSORS)
    same(lora.load_lora(path, params, names=names).factors, adapter.factors)
    with pytest.raises(DataError, match=r"there is no module 'net\."):
        lora.load_lora(path, params)
