"""A plugin, as a user writes one: MNIST that is validated on its test images.

python -m jaxtrain.main config.json --plugin benchmarks/runs/source.py
"""

from __future__ import annotations

from jaxtrain.data import SOURCES, Splits
from jaxtrain.data.mnist_source import mnist


@SOURCES.register("mnist_validated_on_test")
def mnist_validated_on_test(
    validation_fraction: float, seed: int, *, root: str, flat: bool = True
) -> Splits:
    """MNIST: all 60,000 images are trained on, the 10,000 others are looked at after each epoch.

    Args:
        validation_fraction: of no account.
        seed: likewise.
        root: the directory of the files.
        flat: inputs `[B, H*W]` if true, `[B, H, W, 1]` if not.
    """
    found = mnist(0.0, seed, root=root, flat=flat)
    return Splits(found.train, found.test, found.test)
