"""Small folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def draw(path: Path, level: int = 128, *, size=(6, 4), mode: str = "L", **options) -> Path:
    """An image whose pixels are about `level`, all different enough to be told apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = size
    steps = np.arange(height * width, dtype=np.uint8).reshape(height, width) // 4
    image = Image.fromarray((level + steps).astype(np.uint8)).convert(mode)
    image.save(path, **options)
    return path


@pytest.fixture(scope="session")
def drawn():
    return draw


@pytest.fixture
def birds(tmp_path) -> Path:
    """Three classes: 20 crows, 10 gulls, 5 Gulls; PNG and JPEG."""
    root = tmp_path / "birds"
    for label, level, count in (("crow", 20, 20), ("gull", 100, 10), ("Gull", 200, 5)):
        for number in range(count):
            draw(root / label / f"{number}.{'png' if number % 2 else 'JPG'}", level + number % 10)
    return root
