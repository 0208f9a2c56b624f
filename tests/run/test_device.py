"""The device of a process: chosen by a call, never by the way."""

from __future__ import annotations

import jax
import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run.device import choose_device, refuse_other_device

HERE = jax.default_backend()
OTHER = "gpu" if HERE == "cpu" else "cpu"


def platforms():
    return getattr(jax.config, "jax_platforms")  # noqa: B009


@pytest.fixture(autouse=True)
def _as_before():
    before = platforms()
    yield
    jax.config.update("jax_platforms", before)


def test_the_one_in_use_may_be_chosen_again():
    choose_device(HERE)
    assert platforms() == ("cuda" if HERE == "gpu" else HERE)
    refuse_other_device(HERE)


@pytest.mark.parametrize("device", [OTHER, "tpu"])
def test_another_is_refused_and_nothing_is_changed(device):
    before = platforms()
    with pytest.raises(ConfigError, match=f"device: .*{device}"):
        choose_device(device)
    assert platforms() == before
    with pytest.raises(ConfigError, match=f"the config says {device!r}, but JAX runs on {HERE!r}"):
        refuse_other_device(device)


def test_auto_touches_nothing(monkeypatch):
    def never():
        raise AssertionError("a device was initialised")

    monkeypatch.setattr(jax, "default_backend", never)
    jax.config.update("jax_platforms", None)
    choose_device("auto")
    refuse_other_device("auto")
    assert platforms() is None


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (RuntimeError("Unable to\n initialize."), r"here: Unable to initialize\. Take"),
        (AssertionError(), "here: there is none"),
    ],
)
def test_what_jax_is_told_to_take_is_looked_for_at_once(monkeypatch, raised, said):
    """C19: JAX_PLATFORMS=cuda without a GPU came out as a traceback, from deep inside."""

    def fail():
        raise raised

    monkeypatch.setattr(jax, "default_backend", fail)
    jax.config.update("jax_platforms", "cuda")
    with pytest.raises(ConfigError, match=rf"told to run on 'cuda' \(JAX_PLATFORMS\).*{said}"):
        choose_device("auto")
    assert platforms() == "cuda"


@pytest.mark.parametrize("there", ["cuda", "rocm"])
def test_a_gpu_is_one_of_either_kind(monkeypatch, there):
    """JAX_PLATFORMS=gpu wants the plugins of all kinds to be installed."""

    def initialise():
        if platforms() != there:
            raise RuntimeError(f"Unable to initialize backend {platforms()!r}")
        return "gpu"

    monkeypatch.setattr(jax, "default_backend", initialise)
    choose_device("gpu")
    assert platforms() == there


def test_a_device_that_can_not_be_initialised_is_told_with_what_to_do(monkeypatch):
    def fail():
        raise RuntimeError("no such plugin")

    before = platforms()
    monkeypatch.setattr(jax, "default_backend", fail)
    with pytest.raises(ConfigError, match=r"'gpu' can't be used here: no such plugin.*\[cuda\]"):
        choose_device("gpu")
    with pytest.raises(ConfigError, match=r"no such plugin\. Use device: auto$"):
        choose_device("tpu")
    assert platforms() == before
