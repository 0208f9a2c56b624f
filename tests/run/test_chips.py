"""What is known of chips, and how fast groups of them talk."""

import pytest

from jaxtrain.errors import ConfigError
from jaxtrain.run.chips import _CHIPS, chip_of
from jaxtrain.run.peaks import peak_of


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a100", "NVIDIA A100-SXM4-80GB"),
        ("h100", "NVIDIA H100 80GB HBM3"),
        ("h200", "NVIDIA H200"),
        ("v5e", "TPU v5e"),
        ("v5p", "TPU v5p"),
        ("V6E", "TPU v6e"),
    ],
)
def test_peaks_are_those_by_which_a_run_is_measured(name, kind):
    assert chip_of(name).flops == peak_of(kind)


def test_figures_are_of_the_size_that_they_can_have():
    """A prefix that is wrong by a thousand shows."""
    for chip in _CHIPS.values():
        assert 1e14 < chip.flops < 1e16
        assert 1e10 < chip.memory < 1e12
        assert 5e11 < chip.bandwidth < 1e13
        assert chip.link < chip.bandwidth
        assert chip.network is None or 1e9 < chip.network < chip.link
        assert chip.source


@pytest.mark.parametrize(
    ("members", "speed"),
    [
        (range(8), 450e9),
        ((0, 1), 450e9),
        ((8, 15), 450e9),
        ((7, 8), 50e9),
        (range(0, 256, 8), 50e9),
        (range(256), 400e9),
        (range(0, 16, 4), 100e9),
        ((0, 1, 2, 8), 50e9),
    ],
)
def test_a_ring_from_host_to_host_is_as_fast_as_the_adapters_of_its_members(members, speed):
    assert chip_of("h200").between(tuple(members)) == speed


def test_beyond_a_pod_nobody_knows():
    chip = chip_of("v5p")
    assert chip.between((0, 8959)) == chip.link
    with pytest.raises(ConfigError, match="--chip v5p: more than 8,960 devices"):
        chip.between((0, 8960))


def test_a_chip_that_nobody_knows_is_told_with_those_that_are_known():
    with pytest.raises(ConfigError, match=r"'h20' is not known here; did you mean .*: a100, h"):
        chip_of("h20")
