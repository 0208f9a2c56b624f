"""How a state lies on a mesh, in words; on a mesh that has no devices."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh

from jaxtrain.parallel import Layout
from jaxtrain.parallel.mesh import AXES
from jaxtrain.run.layouts import layout_lines

SHAPES = {"head": (1024, 512), "body": (768, 512), "odd": (7, 513), "bias": (512,)}


def task(rules=()):
    layout = Layout(AbstractMesh((4, 2, 1), AXES), rules)
    params = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in SHAPES.items()}
    params = layout.abstract(params)
    state = SimpleNamespace(params=params, opt_state=layout.abstract((params, params)))
    return SimpleNamespace(layout=layout, abstract_state=lambda: state)


def test_bytes_of_a_device_and_of_all_and_the_largest_first():
    lines = layout_lines(task())
    assert lines[0] == "mesh       {data: 4, fsdp: 2, tensor: 1}, over 8 devices"
    assert lines[1] == (
        "layout     on each device parameters 1.8 MiB of 3.5 MiB; optimizer 3.5 MiB of 7.0 MiB"
    )
    assert lines[2:4] == [
        "           head [1024, 512] over (fsdp, whole): 1.0 MiB on each",
        "           body [768, 512] over (fsdp, whole): 0.8 MiB on each",
    ]
    assert lines[5] == "           bias [512] over (whole): 2.0 KiB on each"
    assert len(lines) == 6


def test_what_a_rule_would_divide_and_can_not_is_told():
    lines = layout_lines(task([("odd", ("fsdp", "tensor")), ("body", (None, "fsdp"))]))
    assert "           body [768, 512] over (whole, fsdp): 0.8 MiB on each" in lines
    assert lines[-1] == (
        "WHOLE      odd: an axis of 7 does not divide into the 2 parts of fsdp, and stays whole"
    )


def test_without_a_mesh_there_is_nothing_to_say():
    assert layout_lines(SimpleNamespace(layout=None)) == []
