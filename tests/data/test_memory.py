import pytest

from jaxtrain.data import memory
from jaxtrain.data.memory import machine_memory, refuse_too_much
from jaxtrain.errors import ConfigError


def test_half_of_the_memory_is_allowed_and_no_byte_more(monkeypatch):
    monkeypatch.setattr(memory, "machine_memory", lambda: 2**32)
    refuse_too_much(2**31, what="x", remedy="y")
    with pytest.raises(ConfigError) as caught:
        refuse_too_much(2**31 + 2**30, what="3 images", remedy="take fewer")
    assert str(caught.value) == (
        "3 images: 3.0 GiB of memory, and this machine can give 2.0 GiB, half of what it has; "
        "take fewer"
    )
    with pytest.raises(ConfigError):
        refuse_too_much(2**31 + 1, what="x", remedy="y")


def test_a_container_may_have_less_than_its_machine(monkeypatch, tmp_path):
    everything = machine_memory()
    assert 2**26 < everything < 2**50
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_GROUPS", (str(limit), str(tmp_path / "none")))
    for text, expected in (("max\n", None), ("1048576\n", 2**20)):
        limit.write_text(text)
        assert machine_memory() == (expected or machine_memory())
    assert machine_memory() == 2**20
