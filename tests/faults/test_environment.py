"""Fault 29: a checkpoint of other versions, flags or settings than those of now."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("inject", "says"),
    [
        (["pretend", {"path": "jax:__version__", "value": "0.0.1"}], "jax: '0.0.1' -> "),
        (
            ["variable", {"name": "XLA_FLAGS", "value": "--xla_cpu_enable_fast_min_max=false"}],
            "xla_flags: '--xla_cpu_enable_fast_min_max=false' -> ''",
        ),
        (
            ["setting", {"name": "jax_threefry_partitionable", "value": False}],
            "jax_threefry_partitionable: 'False' -> 'True'",
        ),
    ],
)
def test_fault_29_another_environment_is_a_loud_warning(runs, tmp_path, inject, says):
    assert runs.run("run", [inject, ["interrupt_at", {"iteration": 12}]]) == 75
    assert "not bit-exact" not in runs.said("run")
    assert runs.run("run") == 0
    said = runs.said("run")
    assert "the continuation is not bit-exact" in said
    assert says in said


def test_fault_29_the_same_environment_is_none(runs):
    assert runs.run("run", [["interrupt_at", {"iteration": 12}]]) == 75
    assert runs.run("run") == 0
    assert "not bit-exact" not in runs.said("run")
