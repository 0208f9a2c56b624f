import json

import jax

from jaxtrain.checkpoint import environment


def test_it_is_json_and_names_what_bits_depend_on():
    current = environment.current()
    assert json.loads(json.dumps(current)) == current
    assert current["jax"] == jax.__version__
    assert {"jaxlib", "flax", "optax", "numpy", "platform", "device_kind", "xla_flags"} <= set(
        current
    )
    assert {name for name in current if name.startswith("jax_")} >= {
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
        "jax_enable_x64",
    }


def test_nothing_has_changed_against_itself():
    assert environment.changes(environment.current()) == []


def test_every_change_is_told_with_both_values():
    saved = environment.current() | {"jax": "0.1.2", "gone": "x"}
    del saved["numpy"]
    assert environment.changes(saved) == [
        "gone: 'x' -> None",
        f"jax: '0.1.2' -> {jax.__version__!r}",
        f"numpy: None -> {environment.current()['numpy']!r}",
    ]


def test_flags_and_settings_count(monkeypatch):
    saved = environment.current()
    monkeypatch.setenv("XLA_FLAGS", "--xla_of_another_kind")
    with jax.threefry_partitionable(not jax.config.jax_threefry_partitionable):
        found = environment.changes(saved)
    assert [line.partition(":")[0] for line in found] == [
        "jax_threefry_partitionable",
        "xla_flags",
    ]
