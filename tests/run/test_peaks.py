import pytest

from jaxtrain.run.peaks import peak_of


@pytest.mark.parametrize(
    ("kind", "teraflops"),
    [
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H200", 989.5),
        ("TPU v5 lite", 197),
        ("TPU v5", 459),
        ("TPU v6 lite", 918),
    ],
)
def test_it_is_dense_and_in_bfloat16(kind, teraflops):
    assert peak_of(kind) == teraflops * 1e12


@pytest.mark.parametrize("kind", ["cpu", "NVIDIA GeForce RTX 4090", "NVIDIA H100", "TPU v5 lit"])
def test_of_a_device_that_is_not_listed_nothing_is_said(kind):
    """Nor of one whose name begins as another's: PCIe cards are slower by a quarter."""
    assert peak_of(kind) is None
