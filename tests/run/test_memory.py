"""How much memory there is."""

from __future__ import annotations

import os
from types import SimpleNamespace

import jax
import pytest

from jaxtrain.run import memory
from jaxtrain.run.memory import Memory, available_memory

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.fixture
def device(monkeypatch):
    def device(platform, stats=None):
        found = SimpleNamespace(platform=platform, device_kind="Chip 5", memory_stats=lambda: stats)
        monkeypatch.setattr(jax, "devices", lambda: [found])

    return device


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, Memory(MACHINE, "this machine")),
        ("max\n", Memory(MACHINE, "this machine")),
        ("4096000\n", Memory(4096000, "this container")),
        (f"{2 * MACHINE}\n", Memory(MACHINE, "this machine")),
    ],
)
def test_a_cpu_has_the_machines_or_its_containers(device, monkeypatch, tmp_path, content, expected):
    device("cpu")
    monkeypatch.setattr(memory, "_CONTAINER", tmp_path / "memory.max")
    if content is not None:
        (tmp_path / "memory.max").write_text(content)
    assert available_memory() == expected


@pytest.mark.parametrize(
    ("stats", "expected"),
    [({"bytes_limit": 80 * 2**30}, Memory(80 * 2**30, "the Chip 5")), ({}, None), (None, None)],
)
def test_an_accelerator_says_its_own(device, stats, expected):
    device("gpu", stats)
    assert available_memory() == expected


def test_a_system_that_does_not_say(device, monkeypatch):
    device("cpu")

    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert available_memory() is None
