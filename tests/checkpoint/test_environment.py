import json
import os

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


def test_the_threads_of_a_cpu_are_part_of_it(monkeypatch):
    """At 888f0db a run stopped on two cores and continued on one had other bits, and no word."""
    monkeypatch.delenv("NPROC", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    saved = environment.current()
    assert saved["cpu_threads"] == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert environment.changes(saved) == ["cpu_threads: 3 -> 1"]
    monkeypatch.setenv("NPROC", "2")  # XLA goes by it
    assert environment.changes(saved) == ["cpu_threads: 3 -> 2"]
    for nonsense in ("many", "0", "-1", "", "9" * 30):
        monkeypatch.setenv("NPROC", nonsense)
        assert environment.cpu_threads() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert environment.cpu_threads() == 7


def test_of_another_device_the_threads_of_the_cpu_decide_nothing(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert "cpu_threads" not in environment.current()


def test_a_checkpoint_from_before_they_were_noted_says_nothing_of_them():
    saved = environment.current()
    del saved["cpu_threads"]
    assert environment.changes(saved) == []
    assert "cpu_threads: None -> " in environment.changes(saved | {"platform": "gpu"})[0]


def test_what_somebody_has_written_there_is_told_as_it_is():
    found = environment.changes({**environment.current(), "jax": ["0.1"], "cpu_threads": "many"})
    assert [line.partition(" -> ")[0] for line in found] == [
        "cpu_threads: 'many'",
        "jax: ['0.1']",
    ]
